//! A pty of the container's own devpts.

use super::{StartError, failure::During, report::Reporter};
use crate::sys::{
    self, Errno,
    file::{DEVPTS_SUPER_MAGIC, Kind, Within, major, makedev},
    pty,
};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// Majors of the slaves (Documentation/admin-guide/devices.txt).
const PTS_MAJORS: std::ops::RangeInclusive<u32> = 136..=143;

/// Opens a pty, hands its master to the parent and returns the slave.
///
/// Nothing is taken for a terminal because of its name: the devpts, the ptmx and the slave are each looked at, for
/// a running container may have put something else there (CVE-2025-52565).
pub(super) fn open(root: BorrowedFd<'_>, rows: u16, cols: u16, reporter: &Reporter) -> Result<OwnedFd, StartError> {
    let devpts = devpts(root).during("terminal: /dev/pts")?;
    let master = master(devpts.as_fd()).during("terminal")?;
    pty::unlock(master.as_fd()).during("terminal")?;
    let slave = pty::slave(master.as_fd()).during("terminal")?;
    let stat = sys::file::stat(slave.as_fd()).during("terminal")?;
    if sys::file::kind(&stat) != Kind::CharacterDevice || !PTS_MAJORS.contains(&major(stat.st_rdev)) {
        return Err(StartError::setup("terminal", "the slave is no pty"));
    }
    pty::set_size(slave.as_fd(), rows, cols).during("terminal")?;
    reporter.console(master.as_fd()).during("terminal")?;
    Ok(slave)
}

fn devpts(root: BorrowedFd<'_>) -> sys::Result<OwnedFd> {
    let directory = sys::file::resolve(root, Path::new("/dev/pts"), Within::RootWithoutLinks)?;
    match sys::file::file_system(directory.as_fd())? {
        DEVPTS_SUPER_MAGIC => Ok(directory),
        _ => Err(sys::Error::new("open", "/dev/pts, which is no devpts", Errno::INVAL)),
    }
}

fn master(devpts: BorrowedFd<'_>) -> sys::Result<OwnedFd> {
    let master = sys::file::open_device(devpts, "ptmx".as_ref())?;
    let stat = sys::file::stat(master.as_fd())?;
    match sys::file::kind(&stat) == Kind::CharacterDevice && stat.st_rdev == makedev(5, 2) {
        true => Ok(master),
        false => Err(sys::Error::new("open", "/dev/pts/ptmx, which is no ptmx", Errno::INVAL)),
    }
}
