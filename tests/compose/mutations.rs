//! Damaged files: whatever comes in, the loader answers, and what it answers can be shown.

use crate::Files;
use muster::compose::load;

const FILE: &str = include_str!("everything.yaml");
const WORDS: &[&str] = &[
    "*a",
    "&a ",
    "<<: *a",
    "!reset ",
    "!override ",
    "${A",
    "${A:-",
    "}",
    "$$",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "\n",
    "\"",
    "'",
    "|\n",
    "---\n",
    "é",
    "😀",
    "\t",
    "\0",
    "\u{feff}",
    "99999999999999999999",
    "-1",
    "0",
    "~",
    "null",
    "# ",
    "? ",
    "%YAML 1.1\n",
    "\u{2028}",
    "1-65535",
    "../../..",
    "x-y: &a [*a]\n",
];

/// Small, quick and the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn damaged(random: &mut Random) -> Vec<u8> {
    let mut bytes = FILE.as_bytes().to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => {
                bytes.remove(at);
            }
            1 => bytes[at] = random.below(256) as u8,
            2 | 3 => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
            4 => {
                let end = (at + random.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let end = (at + random.below(200)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
        }
        if bytes.is_empty() {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn rounds(seed: u64, count: usize) {
    let mut random = Random(seed);
    let files = Files::new("").file("token", "t").file(".env", "A=1\nB=${A}\n");
    for round in 0..count {
        let bytes = damaged(&mut random);
        std::fs::write(files.path().join("compose.yaml"), &bytes).unwrap();
        let _ = load(&files.options);
        match files.try_document() {
            Ok(document) => {
                let _ = document.warnings.render(true);
                let text = document.to_yaml();
                let again = Files::new(&text);
                match again.try_document() {
                    Ok(second) => assert_eq!(second.to_yaml(), text, "round {round} of {seed}"),
                    Err(findings) => {
                        let source = String::from_utf8_lossy(&bytes);
                        panic!("round {round} of {seed}: {findings}\n{text}\n----\n{source}")
                    }
                }
            }
            Err(findings) => {
                assert!(findings.has_errors(), "round {round} of {seed}");
                let _ = findings.render(true);
                for item in findings.items() {
                    let _ = findings.location(item);
                }
            }
        }
    }
}

#[test]
fn no_damage_makes_the_loader_panic() {
    rounds(0x9e37_79b9_7f4a_7c15, 400);
}

/// Minutes: `cargo test --test compose -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn no_damage_makes_the_loader_panic_for_long() {
    for seed in 4..=11 {
        rounds(0x2545_f491_4f6c_dd1d_u64.wrapping_mul(seed), 4_000);
    }
}

#[test]
fn what_would_grow_without_end_is_refused() {
    let doubling: String = (0..64).map(|i| format!("V{}=${{V{i}}}${{V{i}}}\n", i + 1)).collect();
    let hostile = [
        ("compose.yaml", format!("services: {{web: {{image: x, labels: {{a: '{}'}}}}}}\n", "${A:-".repeat(20_000))),
        (
            "compose.yaml",
            format!(
                "services: {{web: {{image: x, ports: [{}]}}}}\n",
                (1..2000).map(|i| format!("'{i}-65535', ")).collect::<String>()
            ),
        ),
        ("compose.yaml", "services: {a: ".repeat(5000)),
        ("compose.yaml", format!("a: &a {}\n", "[".repeat(50_000))),
        ("compose.yaml", "x".repeat(33 << 20)),
        (".env", format!("V0=xxxxxxxx\n{doubling}")),
    ];
    for (name, text) in hostile {
        let files = Files::new("services: {web: {image: '${V64}'}}\n").file(name, &text);
        let started = std::time::Instant::now();
        assert_ne!(files.refused(), "accepted", "{name}");
        assert!(started.elapsed().as_secs() < 20, "{name}: {:.100}", text);
    }
}

#[test]
fn a_long_chain_of_services_is_no_matter() {
    let mut text = String::from("services:\n  s0: {image: x}\n");
    for i in 1..10_000 {
        text += &format!("  s{i}: {{image: x, depends_on: [s{}]}}\n", i - 1);
    }
    assert_eq!(Files::new(&text).refused(), "accepted");
    text += "  last: {image: x, depends_on: [s9999, last]}\n";
    assert!(Files::new(&text).refused().contains("dependency cycle detected: last -> last"));
}
