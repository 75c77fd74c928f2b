//! User, groups and capabilities of the calling thread. Plain system calls: the C library's wrappers would signal
//! threads that do not exist in a cloned child.

use super::{Error, Result, error::Named};
use rustix::{
    process::{Gid, Uid},
    thread::{CapabilitySet, CapabilitySets},
};

/// Bits of capabilities(7).
pub use rustix::thread::CapabilitySet as Capability;

pub fn set_groups(groups: &[u32]) -> Result<()> {
    let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    rustix::thread::set_thread_groups(&groups).named("setgroups", groups.len())
}

/// Real, effective and saved.
pub fn set_gid(gid: u32) -> Result<()> {
    let gid = Gid::from_raw(gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).named("setresgid", gid)
}

/// Real, effective and saved.
pub fn set_uid(uid: u32) -> Result<()> {
    let uid = Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).named("setresuid", uid)
}

/// Whether a change of user leaves the permitted set.
pub fn keep_capabilities(keep: bool) -> Result<()> {
    rustix::thread::set_keep_capabilities(keep).named("prctl", "PR_SET_KEEPCAPS")
}

/// What the kernel knows and the thread could still come to have.
pub fn bounding_set() -> Result<CapabilitySet> {
    let mut set = CapabilitySet::empty();
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::capability_is_in_bounding_set(capability) {
            Ok(true) => set |= capability,
            Ok(false) => {}
            // The first number that the kernel does not know.
            Err(rustix::io::Errno::INVAL) => break,
            Err(errno) => return Err(Error::new("prctl", "PR_CAPBSET_READ", errno)),
        }
    }
    Ok(set)
}

/// Gives up one for ever.
pub fn drop_from_bounding_set(capability: CapabilitySet) -> Result<()> {
    rustix::thread::remove_capability_from_bounding_set(capability).named("prctl", "PR_CAPBSET_DROP")
}

/// Sets permitted and effective; the inheritable set becomes empty, and with it the ambient one (CVE-2022-24769).
pub fn set_capabilities(set: CapabilitySet) -> Result<()> {
    let sets = CapabilitySets { effective: set, permitted: set, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).named("capset", "process")
}

pub fn forbid_new_privileges() -> Result<()> {
    rustix::thread::set_no_new_privs(true).named("prctl", "PR_SET_NO_NEW_PRIVS")
}

/// A session keyring of its own, so that the keys of the host's session stay out of reach. A kernel without keys has none to guard.
pub fn join_new_session_keyring(name: &str) -> Result<()> {
    let Ok(c_name) = std::ffi::CString::new(name) else {
        return Err(Error::new("keyctl", name.escape_default(), rustix::io::Errno::INVAL));
    };
    // SAFETY: the name is NUL-terminated and lives across the call.
    match unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, c_name.as_ptr()) } {
        -1 => match Error::last("keyctl", name) {
            error if error.errno == rustix::io::Errno::NOSYS => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}
