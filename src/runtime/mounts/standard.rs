//! /proc, /dev and /sys of every container.

use super::{
    super::{StartError, cgroup::Host, failure::During, spec::Spec},
    HostDevice, device,
};
use crate::sys::{
    self, Result,
    file::Within,
    mount::{self, Attributes, Change},
};
use std::{
    ffi::OsStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// nosuid, noexec, nodev.
const INERT: Attributes =
    Attributes::MOUNT_ATTR_NOSUID.union(Attributes::MOUNT_ATTR_NOEXEC).union(Attributes::MOUNT_ATTR_NODEV);
const READ_ONLY: Attributes = INERT.union(Attributes::MOUNT_ATTR_RDONLY);

/// All of them. `root` is the container's, entered; the result is the container's /dev.
pub(in super::super) fn mount_all(
    root: BorrowedFd<'_>,
    spec: &Spec,
    host: &Host,
    devices: &[HostDevice],
) -> std::result::Result<OwnedFd, StartError> {
    mount_proc(root).during("mount /proc")?;
    let dev = mount_dev(root, spec.shm_size, devices).during("mount /dev")?;
    let attributes = if spec.privileged { INERT } else { READ_ONLY };
    let sys = mount_sys(root, attributes).during("mount /sys")?;
    mount_cgroups(sys.as_fd(), host, attributes).during("mount /sys/fs/cgroup")?;
    Ok(dev)
}

/// A made file system, attached nowhere.
fn file_system(kind: &str, options: &[(&str, &str)], attributes: Attributes) -> Result<OwnedFd> {
    let context = mount::fsopen(kind)?;
    for (key, value) in options {
        match *value {
            "" => mount::fsconfig_flag(context.as_fd(), key)?,
            value => mount::fsconfig_string(context.as_fd(), key, Path::new(value))?,
        }
    }
    mount::fsconfig_create(context.as_fd(), kind)?;
    mount::fsmount(context.as_fd(), attributes, kind)
}

/// On a plain directory of this name: where an image has a link instead, it is refused (CVE-2019-16884, CVE-2023-27561).
fn attach(mount: &OwnedFd, parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    let directory = match sys::file::open_directory(parent, name) {
        Err(error) if error.errno == sys::Errno::NOENT => {
            sys::file::make_directory(parent, name, 0o755)?;
            sys::file::open_directory(parent, name)?
        }
        result => result?,
    };
    mount::attach(mount.as_fd(), directory.as_fd(), name.display())
}

fn mount_proc(root: BorrowedFd<'_>) -> Result<()> {
    attach(&file_system("proc", &[], INERT)?, root, "proc".as_ref())
}

fn mount_dev(root: BorrowedFd<'_>, shm_size: u64, devices: &[HostDevice]) -> Result<OwnedFd> {
    let options = [("mode", "755"), ("size", "65536k")];
    let dev = file_system("tmpfs", &options, Attributes::MOUNT_ATTR_NOSUID)?;
    device::make_standard(dev.as_fd())?;
    devices.iter().try_for_each(|device| device.make(dev.as_fd()))?;
    attach(&dev, root, "dev".as_ref())?;

    let ptmx = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    let devpts = file_system("devpts", &ptmx, Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NOEXEC)?;
    attach(&devpts, dev.as_fd(), "pts".as_ref())?;
    let size = shm_size.to_string();
    attach(&file_system("tmpfs", &[("mode", "1777"), ("size", &size)], INERT)?, dev.as_fd(), "shm".as_ref())?;
    attach(&file_system("mqueue", &[], INERT)?, dev.as_fd(), "mqueue".as_ref())?;
    Ok(dev)
}

fn mount_sys(root: BorrowedFd<'_>, attributes: Attributes) -> Result<OwnedFd> {
    let sysfs = file_system("sysfs", &[], attributes)?;
    attach(&sysfs, root, "sys".as_ref())?;
    Ok(sysfs)
}

/// The container's own cgroups, rooted where its cgroup namespace is. With v1 a directory for each hierarchy it has joined.
fn mount_cgroups(sysfs: BorrowedFd<'_>, host: &Host, attributes: Attributes) -> Result<()> {
    let place = match sys::file::resolve(sysfs, Path::new("fs/cgroup"), Within::FileSystem) {
        Err(error) if error.errno == sys::Errno::NOENT => return Ok(()),
        result => result?,
    };
    if host.v1.is_empty() {
        let cgroups = file_system("cgroup2", &[], attributes)?;
        return mount::attach(cgroups.as_fd(), place.as_fd(), "cgroup2");
    }
    let directories = file_system("tmpfs", &[("mode", "755")], INERT)?;
    mount::attach(directories.as_fd(), place.as_fd(), "tmpfs")?;
    for tree in &host.v1 {
        let options: Vec<(&str, &str)> = tree.options.iter().map(|option| (option.as_str(), "")).collect();
        let name = tree.at.file_name().unwrap_or("cgroup".as_ref());
        attach(&file_system("cgroup", &options, attributes)?, directories.as_fd(), name)?;
        // `cpu` and `cpuacct` lead to `cpu,cpuacct`.
        for controller in tree.controllers.iter().filter(|controller| name != controller.as_str()) {
            sys::file::make_link(name, directories.as_fd(), controller.as_ref())?;
        }
    }
    if host.v2.is_some() {
        attach(&file_system("cgroup2", &[], attributes)?, directories.as_fd(), "unified".as_ref())?;
    }
    let change = Change { set: attributes, propagation: None, recursive: false };
    mount::set_attributes(directories.as_fd(), change, "/sys/fs/cgroup")
}

/// The terminal as /dev/console, on a file of the container's own fresh /dev.
pub(in super::super) fn mount_console(dev: BorrowedFd<'_>, terminal: BorrowedFd<'_>) -> Result<()> {
    drop(sys::file::create_file(dev, "console".as_ref(), 0o600)?);
    let target = sys::file::open_entry(dev, "console".as_ref())?;
    let console = mount::open_tree_clone(terminal, Path::new(""), false)?;
    mount::attach(console.as_fd(), target.as_fd(), "/dev/console")
}
