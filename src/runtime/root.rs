//! The root of a container: an overlay, made and entered inside the container's own mount namespace, so that the
//! host's mount table never shows it and nothing of it outlives the container.

use super::{StartError, failure::During, spec::Root};
use crate::sys::{
    self, Errno,
    mount::{self, Attributes, Change, Propagation},
};
use std::{
    ffi::CString,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Nothing that is mounted from now on shows on the host, and nothing the host mounts shows here.
pub(super) fn cut_propagation() -> Result<(), StartError> {
    let change = Change { set: Attributes::empty(), propagation: Some(Propagation::Private), recursive: true };
    mount::set_root_attributes(change).during("mounts")
}

/// Mounts the overlay over its own upper directory, which is the one place known to exist; in this namespace that
/// hides it from nobody. The result is the root of the mount.
pub(super) fn mount(root: &Root) -> Result<OwnedFd, StartError> {
    let overlay = match by_context(root) {
        // Linux before 6.7 has no `lowerdir+`, and before 6.5 finds that out only when the superblock is made.
        Err(error) if error.errno == Errno::INVAL => by_options(root),
        result => result,
    };
    overlay.during("root file system")
}

/// A layer an option each: no limit on their number, no escaping.
fn by_context(root: &Root) -> sys::Result<OwnedFd> {
    let context = mount::fsopen("overlay")?;
    for layer in &root.lower {
        mount::fsconfig_string(context.as_fd(), "lowerdir+", layer)?;
    }
    mount::fsconfig_string(context.as_fd(), "upperdir", &root.upper)?;
    mount::fsconfig_string(context.as_fd(), "workdir", &root.work)?;
    // With an index the same upper directory cannot be mounted again while the last mount is being torn down.
    mount::fsconfig_string(context.as_fd(), "index", Path::new("off"))?;
    // Notes instead of content, which some kernels write by default: an upper directory has to mean the same without
    // the layers below.
    mount::fsconfig_string(context.as_fd(), "redirect_dir", Path::new("off"))?;
    mount::fsconfig_string(context.as_fd(), "metacopy", Path::new("off"))?;
    if root.volatile {
        mount::fsconfig_flag(context.as_fd(), "volatile")?;
    }
    mount::fsconfig_create(context.as_fd(), format_args!("overlay on {}", root.upper.display()))?;
    let overlay = mount::fsmount(context.as_fd(), Attributes::empty(), "overlay")?;
    let target = sys::file::open_path(&root.upper)?;
    mount::attach(overlay.as_fd(), target.as_fd(), root.upper.display())?;
    Ok(overlay)
}

/// All layers in one string of at most a page, each as a descriptor of /proc, which is short and has nothing to escape.
fn by_options(root: &Root) -> sys::Result<OwnedFd> {
    let lower: Vec<OwnedFd> = root.lower.iter().map(|layer| sys::file::open_path(layer)).collect::<sys::Result<_>>()?;
    let (upper, work) = (sys::file::open_path(&root.upper)?, sys::file::open_path(&root.work)?);
    let name = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let lower: Vec<String> = lower.iter().map(name).collect();
    // The vector above keeps them open until the call is done.
    let volatile = if root.volatile { ",volatile" } else { "" };
    let options = format!(
        "lowerdir={},upperdir={},workdir={},index=off,redirect_dir=off,metacopy=off{volatile}",
        lower.join(":"),
        name(&upper),
        name(&work)
    );
    let options = CString::new(options).map_err(|_| sys::Error::new("mount", "overlay", Errno::INVAL))?;
    mount::mount_by_options("overlay", &root.upper, &options)?;
    sys::file::open_path(&root.upper)
}

/// Makes it the root, and lets go of the host's: no name leads there any more.
pub(super) fn enter(overlay: &OwnedFd) -> Result<(), StartError> {
    sys::file::change_directory(overlay.as_fd(), Path::new("/")).during("root")?;
    mount::pivot_to_working_directory().during("root")?;
    // The working directory is below the old root, stacked upon the new one.
    mount::detach_working_directory().during("root")?;
    let root = sys::file::open_path(&PathBuf::from("/")).during("root")?;
    sys::file::change_directory(root.as_fd(), Path::new("/")).during("root")
}
