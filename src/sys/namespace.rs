//! setns(2) and unshare(2) for the calling thread.

use super::{Errno, Error, Result, error::Named};
use nix::sched::{CloneFlags, unshare};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags};
use std::os::fd::BorrowedFd;

/// Joins the mount, UTS, IPC, network and cgroup namespaces of a process, all or none.
pub fn join(pidfd: BorrowedFd<'_>) -> Result<()> {
    let all = ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::CONTROL_GROUP;
    rustix::thread::move_into_thread_name_spaces(pidfd, all).named("setns", "namespaces of the container")
}

/// Children that are made from now on come to live in the PID namespace of this process.
pub fn children_into_pid_namespace_of(pidfd: BorrowedFd<'_>) -> Result<()> {
    rustix::thread::move_into_thread_name_spaces(pidfd, ThreadNameSpaceType::PROCESS_ID)
        .named("setns", "PID namespace of the container")
}

/// Children that are made from now on come to live in this PID namespace (`/proc/self/ns/pid`).
pub fn children_into_pid_namespace(namespace: BorrowedFd<'_>) -> Result<()> {
    rustix::thread::move_into_link_name_space(namespace, Some(LinkNameSpaceType::ProcessID))
        .named("setns", "own PID namespace")
}

pub fn join_network(namespace: BorrowedFd<'_>) -> Result<()> {
    rustix::thread::move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
        .named("setns", "network namespace")
}

/// Puts the calling thread, and it alone, into a copy of its mount namespace; its working directory is its own as well.
pub fn new_mount_namespace() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS)
        .map_err(|errno| Error::new("unshare", "mount namespace", Errno::from_raw_os_error(errno as i32)))
}

/// A cgroup namespace rooted at the cgroups that the caller is in now.
pub fn new_cgroup_namespace() -> Result<()> {
    // SAFETY: CLONE_NEWCGROUP shares and unshares no memory and no descriptors.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }.named("unshare", "cgroup namespace")
}

/// Name of the UTS namespace.
pub fn set_host_name(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).named("sethostname", name)
}

pub fn set_domain_name(name: &str) -> Result<()> {
    rustix::system::setdomainname(name.as_bytes()).named("setdomainname", name)
}

/// Brings `lo` up in the caller's network namespace.
pub fn bring_loopback_up() -> Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    use std::os::fd::AsRawFd;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .named("socket", "loopback interface")?;
    // SAFETY: ifreq is plain old data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which lives across the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(Error::last("SIOCSIFFLAGS", "lo")),
    }
}
