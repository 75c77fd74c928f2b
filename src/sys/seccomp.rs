//! seccomp(2) filters.

use super::{Error, Result};

/// One instruction of classic BPF, laid out as the kernel's `sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// Installs a filter for the calling thread. Needs CAP_SYS_ADMIN or no-new-privileges.
///
/// SECCOMP_FILTER_FLAG_SPEC_ALLOW: without it kernels before 5.16 turn on the costly speculative store bypass
/// mitigation for every filtered process; runc sets it as well.
pub fn install(filter: &[Instruction]) -> Result<()> {
    const _: () = assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>());
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr() as *mut libc::sock_filter };
    // SAFETY: the program points at `len` instructions of the kernel's layout; the kernel copies and verifies them.
    let result = unsafe {
        let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Error::last("seccomp", format_args!("filter of {} instructions", filter.len())))
    }
}
