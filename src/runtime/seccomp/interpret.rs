//! Runs a filter as the kernel would, for tests: text of the verdict out.

use super::compile::{ALLOW, ERRNO};
use crate::sys::seccomp::Instruction;

/// `allow` or `errno N`.
pub(super) fn verdict(filter: &[Instruction], architecture: u32, number: u32, argument: u64) -> String {
    let data = |offset: u32| match offset {
        0 => number,
        4 => architecture,
        16 => argument as u32,
        20 => (argument >> 32) as u32,
        other => panic!("offset {other}"),
    };
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let Instruction { code, jt, jf, k } = filter[at];
        at += 1;
        let holds = match code {
            0x20 => {
                accumulator = data(k);
                continue;
            }
            0x05 => {
                at += k as usize;
                continue;
            }
            0x06 if k == ALLOW => return "allow".to_owned(),
            0x06 => return format!("errno {}", k ^ ERRNO),
            0x15 => accumulator == k,
            0x35 => accumulator >= k,
            0x45 => accumulator & k != 0,
            other => panic!("code {other:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}
