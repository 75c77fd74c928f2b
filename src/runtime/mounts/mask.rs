//! Docker's masked and read-only paths.
//!
//! Each is found without following any link, held by descriptor and checked to be a file of procfs or sysfs, and what
//! covers it is our own /dev/null or an empty tmpfs, never a name that a container could have redirected
//! (CVE-2025-31133, CVE-2025-52881).

use super::super::{StartError, failure::During};
use crate::sys::{
    self, Errno, Error, Result,
    file::{Kind, PROC_SUPER_MAGIC, SYSFS_MAGIC, Within, makedev},
    mount::{self, Attributes, Change},
};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(in super::super) fn all(root: BorrowedFd<'_>, dev: BorrowedFd<'_>) -> std::result::Result<(), StartError> {
    let mut covers = Covers { null: null(dev).during("mask")?, empty: None };
    for path in MASKED {
        mask(root, Path::new(path), &mut covers).during(format_args!("mask {path}"))?;
    }
    mask_thermal_throttle(root, &mut covers).during("mask thermal_throttle")?;
    for path in READ_ONLY {
        make_read_only(root, Path::new(path)).during(format_args!("make {path} read-only"))?;
    }
    Ok(())
}

/// What goes over masked files and directories.
struct Covers {
    null: OwnedFd,
    /// One superblock for all: where it is attached first, and copied from.
    empty: Option<OwnedFd>,
}

/// The container's /dev/null, seen to be one.
fn null(dev: BorrowedFd<'_>) -> Result<OwnedFd> {
    let null = sys::file::open_entry(dev, "null".as_ref())?;
    let stat = sys::file::stat(null.as_fd())?;
    match sys::file::kind(&stat) == Kind::CharacterDevice && stat.st_rdev == makedev(1, 3) {
        true => Ok(null),
        false => Err(Error::new("open", "/dev/null, which is none", Errno::INVAL)),
    }
}

/// `None` where this kernel has no such path, or a mount that the file asked for covers it.
fn find(root: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>> {
    let found = match sys::file::resolve(root, path, Within::RootWithoutLinks) {
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        result => result?,
    };
    let kernel_s_own = matches!(sys::file::file_system(found.as_fd())?, PROC_SUPER_MAGIC | SYSFS_MAGIC);
    Ok(kernel_s_own.then_some(found))
}

fn mask(root: BorrowedFd<'_>, path: &Path, covers: &mut Covers) -> Result<()> {
    let Some(target) = find(root, path)? else { return Ok(()) };
    match sys::file::kind(&sys::file::stat(target.as_fd())?) {
        Kind::Directory => {
            let cover = covers.empty_directory()?;
            mount::attach(cover.as_fd(), target.as_fd(), path.display())?;
            covers.empty.get_or_insert(cover);
            Ok(())
        }
        _ => {
            let cover = mount::open_tree_clone(covers.null.as_fd(), Path::new(""), false)?;
            mount::attach(cover.as_fd(), target.as_fd(), path.display())
        }
    }
}

impl Covers {
    fn empty_directory(&self) -> Result<OwnedFd> {
        if let Some(attached) = &self.empty {
            return mount::open_tree_clone(attached.as_fd(), Path::new(""), false);
        }
        let context = mount::fsopen("tmpfs")?;
        mount::fsconfig_string(context.as_fd(), "mode", Path::new("755"))?;
        mount::fsconfig_create(context.as_fd(), "tmpfs")?;
        let attributes = Attributes::MOUNT_ATTR_RDONLY | Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV;
        mount::fsmount(context.as_fd(), attributes | Attributes::MOUNT_ATTR_NOEXEC, "tmpfs")
    }
}

/// One directory a processor: their counters tell what runs beside the container (moby GHSA-6fw5-f8r9-fgfm).
fn mask_thermal_throttle(root: BorrowedFd<'_>, covers: &mut Covers) -> Result<()> {
    let processors = Path::new("/sys/devices/system/cpu");
    for number in 0.. {
        let processor = processors.join(format!("cpu{number}"));
        if find(root, &processor)?.is_none() {
            break;
        }
        mask(root, &processor.join("thermal_throttle"), covers)?;
    }
    Ok(())
}

/// Mounts the path on itself, read-only, with all that lies below.
fn make_read_only(root: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let Some(target) = find(root, path)? else { return Ok(()) };
    let clone = mount::open_tree_clone(target.as_fd(), Path::new(""), true)?;
    let change = Change { set: Attributes::MOUNT_ATTR_RDONLY, propagation: None, recursive: true };
    mount::set_attributes(clone.as_fd(), change, path.display())?;
    mount::attach(clone.as_fd(), target.as_fd(), path.display())
}
