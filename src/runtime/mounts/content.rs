//! Secrets and configs: read-only files whose bytes lie on a tmpfs of the container and touch no disk.

use crate::sys::{
    self, Errno, Error, Result,
    file::Within,
    mount::{self, Attributes, Change},
};
use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

/// Docker takes half a megabyte for a secret, a megabyte for a config.
const MAX_SIZE: u64 = 16 << 20;

/// A file that has been read and waits for its place.
pub(super) struct File {
    bytes: Vec<u8>,
    uid: u32,
    gid: u32,
    mode: u32,
}

impl File {
    pub(super) fn read(source: &Path, uid: u32, gid: u32, mode: u32) -> Result<Self> {
        let root = sys::file::root()?;
        let file = sys::file::open_for_reading(root.as_fd(), source, Within::Root)?;
        Ok(Self { bytes: sys::file::read_regular(file, MAX_SIZE, source)?, uid, gid, mode })
    }
}

/// One tmpfs for all contents of a container. It has to be attached while mounts are cloned off it (open_tree(2)
/// before Linux 6.15), and goes with the host's view; the clones keep it.
pub(super) struct Stage {
    tmpfs: OwnedFd,
    next: std::cell::Cell<u32>,
}

impl Stage {
    pub(super) fn new(scratch: &Path) -> Result<Self> {
        let attributes = Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV | Attributes::MOUNT_ATTR_NOEXEC;
        let context = mount::fsopen("tmpfs")?;
        mount::fsconfig_string(context.as_fd(), "mode", Path::new("0700"))?;
        match mount::fsconfig_flag(context.as_fd(), "noswap") {
            // Linux 6.4; before it, whoever has swap has it on an encrypted disk or not at all.
            Err(error) if error.errno == Errno::INVAL => {}
            result => result?,
        }
        mount::fsconfig_create(context.as_fd(), "tmpfs of secrets and configs")?;
        let tmpfs = mount::fsmount(context.as_fd(), attributes, "tmpfs")?;
        let target = sys::file::open_path(scratch)?;
        mount::attach(tmpfs.as_fd(), target.as_fd(), scratch.display())?;
        Ok(Self { tmpfs, next: std::cell::Cell::new(0) })
    }

    /// A detached, read-only mount of the one file.
    pub(super) fn add(&self, file: &File) -> Result<OwnedFd> {
        let name = self.next.replace(self.next.get() + 1).to_string();
        let written = sys::file::create_file(self.tmpfs.as_fd(), name.as_ref(), 0o600)?;
        sys::file::write_all(written.as_fd(), &file.bytes, "secret or config")?;
        sys::file::set_owner(written.as_fd(), file.uid, file.gid)?;
        sys::file::set_mode(written.as_fd(), file.mode & 0o7777)?;
        if file.mode > 0o7777 {
            return Err(Error::new("chmod", format_args!("{:o}", file.mode), Errno::INVAL));
        }
        let clone = mount::open_tree_clone(self.tmpfs.as_fd(), Path::new(&name), false)?;
        let change = Change { set: Attributes::MOUNT_ATTR_RDONLY, propagation: None, recursive: false };
        mount::set_attributes(clone.as_fd(), change, "secret or config")?;
        Ok(clone)
    }
}
