//! Rules to classic BPF: per architecture a binary search over ranges of call numbers with one verdict.
//!
//! The kernel runs the filter once for every number when it is installed and keeps a bitmap of those that are always
//! allowed (Linux 5.11), so at run time only the few calls with argument checks cost anything.

use super::table::{self, NONE, Syscall};
use crate::sys::{credentials::Capability, seccomp::Instruction};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Offsets into `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The low half of the first argument: all that the kernel looks at in the calls checked here.
const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "little") { 16 } else { 20 };

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;
pub(super) const ALLOW: u32 = 0x7fff_0000;
pub(super) const ERRNO: u32 = 0x0005_0000;

/// AF_VSOCK reaches the hypervisor, AF_ALG the kernel's crypto; the others are left without users (moby's profile).
const SOCKET_FAMILIES_END: u32 = 46;
const SOCKET_FAMILIES_DENIED: [u32; 9] = [12, 19, 20, 23, 25, 34, 37, 38, 40];
/// PER_LINUX, PER_LINUX32, UNAME26, both, and "only tell".
const PERSONALITIES: [u32; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// Every CLONE_NEW* flag but the time namespace's, which clone(2) cannot take.
const CLONE_NAMESPACES: u32 = 0x7e02_0000;

/// One column of the table, and its AUDIT_ARCH_* number (seccomp(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Architecture {
    column: usize,
    audit: u32,
}

const X86_64: Architecture = Architecture { column: 0, audit: 0xc000_003e };
const I386: Architecture = Architecture { column: 1, audit: 0x4000_0003 };
const AARCH64: Architecture = Architecture { column: 2, audit: 0xc000_00b7 };

/// A kernel's architectures: its own, and those of foreign programs it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    X86_64,
    Aarch64,
}

impl Machine {
    pub(super) fn native() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 }
    }
    fn architectures(self) -> &'static [Architecture] {
        match self {
            Self::X86_64 => &[X86_64, I386],
            Self::Aarch64 => &[AARCH64],
        }
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    Refuse(u32),
    SocketFamily,
    Personality,
    CloneWithoutNamespaces,
}

/// The filter as a program.
pub(super) fn compile(capabilities: Capability, machine: Machine) -> Vec<Instruction> {
    let mut program = vec![load(ARCHITECTURE)];
    for architecture in machine.architectures() {
        let mut section = vec![load(NUMBER)];
        section.extend(search(&ranges(capabilities, architecture.column)));
        program.push(branch(JUMP_EQUAL, architecture.audit, 1, 0));
        program.push(jump(section.len()));
        program.extend(section);
    }
    program.push(refuse(ENOSYS));
    program
}

/// First numbers of ranges with one verdict, ascending from 0 and without gaps.
fn ranges(capabilities: Capability, column: usize) -> Vec<(u32, Verdict)> {
    let mut calls = verdicts(capabilities, column);
    // Stable: where a call stands twice, the rule that came first is the wider one.
    calls.sort_by_key(|(number, _)| *number);
    let mut ranges = vec![(0, Verdict::Refuse(EPERM))];
    let mut next = 0;
    for (number, verdict) in calls {
        if number < next {
            continue;
        }
        if number > next {
            push(&mut ranges, next, Verdict::Refuse(EPERM));
        }
        push(&mut ranges, number, verdict);
        next = number + 1;
    }
    // Newer than the profile: programs fall back on ENOSYS, not on EPERM. x32 numbers have bit 30 and end up here too.
    push(&mut ranges, next, Verdict::Refuse(ENOSYS));
    ranges
}

fn push(ranges: &mut Vec<(u32, Verdict)>, start: u32, verdict: Verdict) {
    match ranges.last_mut() {
        Some((last, previous)) if *last == start => *previous = verdict,
        Some((_, previous)) if *previous == verdict => {}
        _ => ranges.push((start, verdict)),
    }
}

fn verdicts(capabilities: Capability, column: usize) -> Vec<(u32, Verdict)> {
    let mut calls = Vec::with_capacity(512);
    let mut allow = |list: &[Syscall]| {
        let numbers = list.iter().map(|(_, numbers)| numbers[column]).filter(|number| *number != NONE);
        calls.extend(numbers.map(|number| (number as u32, Verdict::Allow)));
    };
    allow(table::ALWAYS);
    for (capability, list) in table::WITH_CAPABILITY {
        if capabilities.contains(*capability) {
            allow(list);
        }
    }
    let (clone, clone3) = match capabilities.contains(Capability::SYS_ADMIN) {
        true => (Verdict::Allow, Verdict::Allow),
        // Its flags lie in memory, which no filter can read; the C library falls back to clone.
        false => (Verdict::CloneWithoutNamespaces, Verdict::Refuse(ENOSYS)),
    };
    calls.push((table::CLONE[column] as u32, clone));
    calls.push((table::CLONE3[column] as u32, clone3));
    calls.push((table::SOCKET[column] as u32, Verdict::SocketFamily));
    calls.push((table::PERSONALITY[column] as u32, Verdict::Personality));
    calls
}

fn search(ranges: &[(u32, Verdict)]) -> Vec<Instruction> {
    let [(_, verdict)] = ranges else {
        let (left, right) = ranges.split_at(ranges.len() / 2);
        let start = right[0].0;
        let (left, right) = (search(left), search(right));
        let mut program = match u8::try_from(left.len()) {
            Ok(skip) => vec![branch(JUMP_GREATER_EQUAL, start, skip, 0)],
            Err(_) => vec![branch(JUMP_GREATER_EQUAL, start, 0, 1), jump(left.len())],
        };
        program.extend(left);
        program.extend(right);
        return program;
    };
    match verdict {
        Verdict::Allow => vec![allow()],
        Verdict::Refuse(errno) => vec![refuse(*errno)],
        Verdict::SocketFamily => {
            let mut program = vec![load(FIRST_ARGUMENT), branch(JUMP_GREATER_EQUAL, SOCKET_FAMILIES_END, 10, 0)];
            let families = SOCKET_FAMILIES_DENIED.iter().enumerate();
            program.extend(families.map(|(index, family)| branch(JUMP_EQUAL, *family, 9 - index as u8, 0)));
            program.extend([allow(), refuse(EPERM)]);
            program
        }
        Verdict::Personality => {
            let mut program = vec![load(FIRST_ARGUMENT)];
            let values = PERSONALITIES.iter().enumerate();
            program.extend(values.map(|(index, value)| branch(JUMP_EQUAL, *value, 5 - index as u8, 0)));
            program.extend([refuse(EPERM), allow()]);
            program
        }
        Verdict::CloneWithoutNamespaces => {
            vec![load(FIRST_ARGUMENT), branch(JUMP_SET, CLONE_NAMESPACES, 0, 1), refuse(EPERM), allow()]
        }
    }
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, jt: 0, jf: 0, k: offset }
}
fn branch(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}
fn jump(over: usize) -> Instruction {
    Instruction { code: JUMP, jt: 0, jf: 0, k: over as u32 }
}
fn allow() -> Instruction {
    Instruction { code: RETURN, jt: 0, jf: 0, k: ALLOW }
}
fn refuse(errno: u32) -> Instruction {
    Instruction { code: RETURN, jt: 0, jf: 0, k: ERRNO | errno }
}

#[cfg(test)]
mod tests {
    use super::{super::interpret::verdict, *};

    const DOCKER: Capability = Capability::from_bits_retain(0xa804_25fb);

    fn number(name: &str, column: usize) -> u32 {
        let conditional = table::WITH_CAPABILITY.iter().flat_map(|(_, list)| list.iter());
        let found = table::ALWAYS.iter().chain(conditional).find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("{name} stands in no list")).1[column] as u32
    }
    fn x86_64(capabilities: Capability, number: u32, argument: u64) -> String {
        verdict(&compile(capabilities, Machine::X86_64), X86_64.audit, number, argument)
    }

    #[test]
    fn every_listed_call_gets_its_verdict_on_every_architecture() {
        for (machine, architecture) in [(Machine::X86_64, X86_64), (Machine::X86_64, I386), (Machine::Aarch64, AARCH64)]
        {
            let bare = compile(Capability::empty(), machine);
            let full = compile(Capability::all(), machine);
            let numbers = |list: &[Syscall]| -> Vec<(&str, u32)> {
                let listed = list.iter().filter(|(_, numbers)| numbers[architecture.column] != NONE);
                listed.map(|(name, numbers)| (*name, numbers[architecture.column] as u32)).collect()
            };
            let always = numbers(table::ALWAYS);
            for (name, number) in &always {
                assert_eq!(verdict(&bare, architecture.audit, *number, 0), "allow", "{name}");
            }
            for (name, number) in table::WITH_CAPABILITY.iter().flat_map(|(_, list)| numbers(list)) {
                if !always.iter().any(|(known, _)| *known == name) {
                    assert_eq!(verdict(&bare, architecture.audit, number, 0), "errno 1", "{name}");
                }
                assert_eq!(verdict(&full, architecture.audit, number, 0), "allow", "{name}");
            }
        }
    }

    #[test]
    fn what_leads_out_of_a_container_is_refused_to_docker_s_capabilities() {
        for name in ["mount", "umount2", "unshare", "setns", "bpf", "perf_event_open", "open_by_handle_at", "reboot"] {
            assert_eq!(x86_64(DOCKER, number(name, 0), 0), "errno 1", "{name}");
        }
        // io_uring_setup, userfaultfd, keyctl, add_key, kexec_load, swapon, pivot_root, migrate_pages: in no list at all.
        for listed_nowhere in [425, 323, 250, 248, 246, 167, 155, 256] {
            assert_eq!(x86_64(DOCKER, listed_nowhere, 0), "errno 1", "{listed_nowhere}");
        }
        assert_eq!(x86_64(DOCKER, number("chroot", 0), 0), "allow");
    }

    #[test]
    fn calls_newer_than_the_profile_and_x32_do_not_exist() {
        assert_eq!(x86_64(DOCKER, 467, 0), "errno 38");
        assert_eq!(x86_64(DOCKER, 0x4000_0000, 0), "errno 38");
        assert_eq!(x86_64(DOCKER, u32::MAX, 0), "errno 38");
        let filter = compile(DOCKER, Machine::Aarch64);
        assert_eq!(verdict(&filter, 0x4000_0028, 1, 0), "errno 38", "32-bit ARM");
    }

    #[test]
    fn clone_makes_threads_and_processes_but_no_namespaces() {
        let clone = table::CLONE[0] as u32;
        assert_eq!(x86_64(DOCKER, clone, 0x003d_0f00), "allow");
        assert_eq!(x86_64(DOCKER, clone, 0x1000_0011), "errno 1");
        assert_eq!(x86_64(DOCKER, table::CLONE3[0] as u32, 0), "errno 38");
        assert_eq!(x86_64(DOCKER | Capability::SYS_ADMIN, clone, 0x1000_0011), "allow");
        assert_eq!(x86_64(DOCKER | Capability::SYS_ADMIN, table::CLONE3[0] as u32, 0), "allow");
    }

    #[test]
    fn sockets_and_personalities_are_limited_by_argument() {
        let allowed: Vec<u64> =
            (0..64).filter(|family| x86_64(DOCKER, table::SOCKET[0] as u32, *family) == "allow").collect();
        insta::assert_snapshot!(format!("{allowed:?}"), @"[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45]");
        let personality = table::PERSONALITY[0] as u32;
        for value in [0, 8, 0x20000, 0x20008, 0xffff_ffff] {
            assert_eq!(x86_64(DOCKER, personality, value), "allow");
        }
        assert_eq!(x86_64(DOCKER, personality, 0x0040_0000), "errno 1");
    }

    #[test]
    fn a_filter_fits_the_kernel_s_limit() {
        for machine in [Machine::X86_64, Machine::Aarch64] {
            assert!(compile(DOCKER, machine).len() < 4096 / 4, "{}", compile(DOCKER, machine).len());
        }
    }
}
