//! Small servers that busybox does not have. The test binary is static, so a container can run it: bound to `/e2e` and
//! told by `E2E_ROLE` which part to play, it serves until it is killed.

use std::net::{Ipv4Addr, UdpSocket};

/// What a service needs to play `role`: to stand in the braces of a compose file's service.
pub fn service(role: &str) -> String {
    let binary = std::env::current_exe().unwrap();
    format!(
        "image: '%IMAGE%', command: [/e2e, --exact, 'role::play', --nocapture], environment: {{E2E_ROLE: {role}}}, \
         volumes: ['{}:/e2e:ro'], stop_grace_period: 0s",
        binary.display()
    )
}

/// No test by itself: without a role it passes at once.
#[test]
fn play() {
    match std::env::var("E2E_ROLE").as_deref() {
        Ok("udp-echo") => answer(7, <[u8]>::to_vec),
        Ok("resolver") => answer(53, |question| resolved(question, Ipv4Addr::new(192, 0, 2, 33))),
        _ => {}
    }
}

fn answer(port: u16, make: impl Fn(&[u8]) -> Vec<u8>) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let mut buffer = [0; 1500];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        let _ = socket.send_to(&make(&buffer[..length]), peer);
    }
}

/// The answer to a DNS question (RFC 1035): `address` for every name.
fn resolved(question: &[u8], address: Ipv4Addr) -> Vec<u8> {
    // The header is 12 bytes, then the name ends with a zero byte, then type and class.
    let Some(end) = question.get(12..).and_then(|rest| rest.iter().position(|byte| *byte == 0)).map(|at| at + 17)
    else {
        return Vec::new();
    };
    let mut answer = question[..end.min(question.len())].to_vec();
    // A response, recursion available; one question, one answer, nothing else.
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    // The name of the question, type A, class IN, one second, four bytes.
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
    answer.extend(address.octets());
    answer
}
