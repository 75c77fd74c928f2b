//! Which devices a container may use: Docker's default list, as a BPF program for v2 and as lines for v1.

use crate::sys::bpf::Instruction;

/// Access bits of `struct bpf_cgroup_dev_ctx`.
const MKNOD: u32 = 1;
const ALL: u32 = 1 | 2 | 4;

/// A kind of device that may be used; `None` is any number.
struct Rule {
    /// BPF_DEVCG_DEV_BLOCK is 1, BPF_DEVCG_DEV_CHAR 2.
    kind: u32,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

const BLOCK: u32 = 1;
const CHARACTER: u32 = 2;

/// runc's and Docker's defaults: any node may be made, these may be opened.
const ALLOWED: [Rule; 11] = [
    Rule { kind: CHARACTER, major: None, minor: None, access: MKNOD },
    Rule { kind: BLOCK, major: None, minor: None, access: MKNOD },
    character(1, Some(3)), // null
    character(1, Some(5)), // zero
    character(1, Some(7)), // full
    character(1, Some(8)), // random
    character(1, Some(9)), // urandom
    character(5, Some(0)), // tty
    character(5, Some(1)), // console
    character(5, Some(2)), // ptmx
    character(136, None),  // pts/*
];

const fn character(major: u32, minor: Option<u32>) -> Rule {
    Rule { kind: CHARACTER, major: Some(major), minor, access: ALL }
}

/// Lines for `devices.allow`, after `a` has been written to `devices.deny`.
pub fn lines() -> impl Iterator<Item = String> {
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    ALLOWED.iter().map(move |rule| {
        let kind = if rule.kind == BLOCK { 'b' } else { 'c' };
        let access = if rule.access == MKNOD { "m" } else { "rwm" };
        format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor))
    })
}

// Codes of eBPF (linux/bpf.h).
const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

// Registers: the context, then what is read from it.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// The rules as a BPF_PROG_TYPE_CGROUP_DEVICE program: 1 in r0 allows.
pub fn program() -> Vec<Instruction> {
    let mut program = vec![
        // access_type: kind in the lower 16 bits, access in the upper.
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(MOVE_REGISTER, ACCESS, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in &ALLOWED {
        program.extend(block(rule));
    }
    program.extend([instruction(MOVE, RESULT, 0, 0, 0), instruction(EXIT, 0, 0, 0, 0)]);
    program
}

/// Leaves the block at the first thing that differs.
fn block(rule: &Rule) -> Vec<Instruction> {
    let mut tests = vec![(KIND, rule.kind)];
    tests.extend(rule.major.map(|major| (MAJOR, major)));
    tests.extend(rule.minor.map(|minor| (MINOR, minor)));
    let refused = ALL & !rule.access;
    let tail = 2 + if refused == 0 { 0 } else { 3 };
    let mut block: Vec<Instruction> = Vec::new();
    for (index, (register, value)) in tests.iter().enumerate() {
        let skip = tests.len() - index - 1 + tail;
        block.push(instruction(JUMP_NOT_EQUAL, *register, 0, skip as i16, *value as i32));
    }
    if refused != 0 {
        block.push(instruction(MOVE_REGISTER, SCRATCH, ACCESS, 0, 0));
        block.push(instruction(AND, SCRATCH, 0, 0, refused as i32));
        block.push(instruction(JUMP_NOT_EQUAL, SCRATCH, 0, 2, 0));
    }
    block.extend([instruction(MOVE, RESULT, 0, 0, 1), instruction(EXIT, 0, 0, 0, 0)]);
    block
}

fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: destination | source << 4, offset, immediate }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer; its own verifier reads the program in `tests/runtime`.
    fn allows(kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let (program, mut registers, mut at) = (program(), [0u32; 11], 0);
        loop {
            let Instruction { code, registers: r, offset, immediate } = program[at];
            let (d, s) = ((r & 15) as usize, (r >> 4) as usize);
            at += 1;
            match code {
                LOAD_WORD => registers[d] = [kind | access << 16, major, minor][offset as usize / 4],
                AND => registers[d] &= immediate as u32,
                SHIFT_RIGHT => registers[d] >>= immediate,
                MOVE => registers[d] = immediate as u32,
                MOVE_REGISTER => registers[d] = registers[s],
                JUMP_NOT_EQUAL if registers[d] != immediate as u32 => at += offset as usize,
                JUMP_NOT_EQUAL => {}
                EXIT => return registers[0] == 1,
                other => panic!("code {other:#x}"),
            }
        }
    }

    #[test]
    fn the_usual_devices_open_and_the_host_s_disks_do_not() {
        for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, 0), (136, 77)] {
            assert!(allows(CHARACTER, ALL, major, minor), "{major}:{minor}");
        }
        assert!(allows(BLOCK, MKNOD, 8, 0) && allows(CHARACTER, MKNOD, 1, 1));
        assert!(!allows(BLOCK, 2, 8, 0) && !allows(BLOCK, MKNOD | 2, 8, 0));
        assert!(!allows(CHARACTER, 2, 1, 1), "/dev/mem");
        assert!(!allows(CHARACTER, 2, 10, 200) && !allows(BLOCK, 2, 1, 3));
    }

    #[test]
    fn v1_gets_the_same_rules_as_lines() {
        let lines: Vec<String> = lines().collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        c *:* m
        b *:* m
        c 1:3 rwm
        c 1:5 rwm
        c 1:7 rwm
        c 1:8 rwm
        c 1:9 rwm
        c 5:0 rwm
        c 5:1 rwm
        c 5:2 rwm
        c 136:* rwm
        ");
    }
}
