//! The mount API by descriptors: fsopen(2), open_tree(2), move_mount(2), mount_setattr(2), pivot_root(2).

use super::{Errno, Error, Result, error::Named};
use rustix::{
    fs::CWD,
    mount::{FsMountFlags, FsOpenFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags},
};
use std::{
    ffi::CStr,
    fmt::Display,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// Flags of one mount, as mount_setattr(2) takes them.
pub use rustix::mount::MountAttrFlags as Attributes;

/// How mount events travel between a mount and its peers, as mount_setattr(2) takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Private,
    Slave,
    Shared,
}

/// Begins a new file system of this type.
pub fn fsopen(kind: &str) -> Result<OwnedFd> {
    rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).named("fsopen", kind)
}

/// The kernel reads at most 255 bytes of `value`.
pub fn fsconfig_string(context: BorrowedFd<'_>, key: &str, value: &Path) -> Result<()> {
    rustix::mount::fsconfig_set_string(context, key, value).named("fsconfig", format_args!("{key}={}", value.display()))
}

pub fn fsconfig_flag(context: BorrowedFd<'_>, key: &str) -> Result<()> {
    rustix::mount::fsconfig_set_flag(context, key).named("fsconfig", key)
}

/// Makes the superblock; a refusal carries the kernel's own words where it has any.
pub fn fsconfig_create(context: BorrowedFd<'_>, object: impl Display) -> Result<()> {
    rustix::mount::fsconfig_create(context).map_err(|errno| match message(context) {
        Some(words) => Error::new("mount", format_args!("{object} ({words})"), errno),
        None => Error::new("mount", object, errno),
    })
}

/// Reads what the kernel says about a context: lines such as `e overlay: No changes allowed`.
fn message(context: BorrowedFd<'_>) -> Option<String> {
    let mut buffer = [0u8; 256];
    let length = rustix::io::read(context, &mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer[..length]);
    let text = text.trim().trim_start_matches(['e', 'w', 'i']).trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A mount of a made superblock that is attached nowhere.
pub fn fsmount(context: BorrowedFd<'_>, attributes: Attributes, object: impl Display) -> Result<OwnedFd> {
    rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).named("fsmount", object)
}

/// A detached copy of the mount (and, recursively, of those below it) at `path`, which may be the descriptor itself (empty).
pub fn open_tree_clone(at: BorrowedFd<'_>, path: &Path, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    rustix::mount::open_tree(at, path, flags).named("open_tree", path.display())
}

/// `open_tree_clone` of a path of the caller's own root and working directory.
pub fn open_tree_clone_path(path: &Path, recursive: bool) -> Result<OwnedFd> {
    open_tree_clone(CWD, path, recursive)
}

/// Attaches a detached mount on the very inode that `target` refers to; no path is walked.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>, object: impl Display) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", target, "", flags).named("move_mount", object)
}

#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub set: Attributes,
    pub propagation: Option<Propagation>,
    pub recursive: bool,
}

/// Changes the mount that `mount` is the root of.
pub fn set_attributes(mount: BorrowedFd<'_>, change: Change, object: impl Display) -> Result<()> {
    mount_setattr(mount.as_raw_fd(), c"", libc::AT_EMPTY_PATH, change, object)
}

/// Changes the mount at the caller's root directory.
pub fn set_root_attributes(change: Change) -> Result<()> {
    mount_setattr(libc::AT_FDCWD, c"/", 0, change, "/")
}

fn mount_setattr(fd: i32, path: &CStr, flags: i32, change: Change, object: impl Display) -> Result<()> {
    let flags = flags | if change.recursive { libc::AT_RECURSIVE } else { 0 };
    let attributes = libc::mount_attr {
        attr_set: u64::from(change.set.bits()),
        attr_clr: 0,
        propagation: match change.propagation {
            None => 0,
            Some(Propagation::Private) => libc::MS_PRIVATE,
            Some(Propagation::Slave) => libc::MS_SLAVE,
            Some(Propagation::Shared) => libc::MS_SHARED,
        },
        userns_fd: 0,
    };
    // SAFETY: path is NUL-terminated and attributes has the size given; both live across the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    if result == 0 { Ok(()) } else { Err(Error::last("mount_setattr", object)) }
}

/// mount(2) with up to a page of options: for overlays on kernels before 6.7, whose fsconfig(2) takes 255 bytes for all layers.
pub fn mount_by_options(kind: &str, target: &Path, options: &CStr) -> Result<()> {
    rustix::mount::mount(kind, target, kind, MountFlags::empty(), options)
        .named("mount", format_args!("{kind} ({})", options.to_string_lossy()))
}

/// Makes the working directory the root of the mount namespace, and stacks the old root upon it (pivot_root(2), notes).
pub fn pivot_to_working_directory() -> Result<()> {
    rustix::process::pivot_root(".", ".").named("pivot_root", "container's root")
}

/// Lets go of the topmost mount at the working directory, with all below it; they end with their last user.
pub fn detach_working_directory() -> Result<()> {
    rustix::mount::unmount(".", UnmountFlags::DETACH).named("umount2", "old root")
}

/// The running program on a read-only mount of its own, attached nowhere.
pub fn read_only_self() -> Result<OwnedFd> {
    let program = match open_tree_clone_path(Path::new("/proc/self/exe"), false) {
        // A mount that is attached nowhere cannot be cloned: this program was started from such a one, and the
        // descriptor of its file is what is wanted.
        Err(error) if error.errno == Errno::INVAL => return started_from_read_only_mount(error),
        program => program?,
    };
    let change =
        Change { set: Attributes::MOUNT_ATTR_RDONLY, propagation: Some(Propagation::Private), recursive: false };
    set_attributes(program.as_fd(), change, "/proc/self/exe")?;
    Ok(program)
}

/// The file of this program where its mount is read-only, as `read_only_self` made it for an earlier process.
fn started_from_read_only_mount(otherwise: Error) -> Result<OwnedFd> {
    let program = super::file::open_path(Path::new("/proc/self/exe"))?;
    let mount = rustix::fs::fstatvfs(&program).named("fstatvfs", "/proc/self/exe")?;
    if mount.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) { Ok(program) } else { Err(otherwise) }
}
