//! Files that want to hurt: whatever they hold, the loader ends soon, in little memory, and says what is wrong.
//!
//! Each case runs in a process of its own, so that a stack that overflows, a loop without end and memory that grows are
//! seen and end nothing else. The bound on time only detects hangs; every case takes well under a second in a release
//! build.

use crate::Files;
use muster::compose::{LoadOptions, load};
use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const MOST_TIME: Duration = Duration::from_secs(60);
const MOST_MEMORY_KIB: u64 = 768 << 10;
/// Whoever reads the findings is a person.
const MOST_WORDS: usize = 256 << 10;
const SMALL: &str = "services: {a: {image: i}}\n";

/// What became of a load in a process of its own.
struct Outcome {
    accepted: bool,
    words: String,
}

/// Run by `attack` in the other process.
#[test]
#[ignore = "runs only within the others"]
fn child() {
    let Ok(directory) = std::env::var("MUSTER_HOSTILE") else { return };
    let environment = [("HOME".to_owned(), "/nonexistent".to_owned())].into();
    let options = LoadOptions { cwd: directory.into(), environment, ..LoadOptions::default() };
    let answer = match load(&options) {
        Ok(loaded) => format!("accepted\n{}", loaded.warnings.render(false)),
        Err(findings) => format!("refused\n{}", findings.render(false)),
    };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    fs::write(options.cwd.join("answer"), format!("{peak}\n{answer}")).unwrap();
}

fn attack(files: &Files) -> Outcome {
    let begin = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["hostile::child", "--exact", "--ignored", "--test-threads=1"])
        .env("MUSTER_HOSTILE", files.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begin.elapsed() > MOST_TIME => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("has no end");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(status.success(), "{status}: {}", std::io::read_to_string(child.stderr.take().unwrap()).unwrap());
    let answer = fs::read_to_string(files.path().join("answer")).unwrap();
    let mut lines = answer.splitn(3, '\n');
    let peak = lines.next().unwrap().trim_end_matches(" kB").parse::<u64>().unwrap();
    assert!(peak < MOST_MEMORY_KIB, "took {peak} KiB");
    let accepted = lines.next() == Some("accepted");
    let words = files.anonymous(lines.next().unwrap_or_default());
    assert!(words.len() < MOST_WORDS, "says {} bytes: {:.2000}", words.len(), words);
    Outcome { accepted, words }
}

/// Must be refused with these words.
#[track_caller]
fn refused(files: &Files, expected: &str) {
    let Outcome { accepted, words } = attack(files);
    assert!(!accepted, "accepted: {words:.2000}");
    assert!(words.contains(expected), "{expected:?} is not in: {words:.2000}");
}

#[track_caller]
fn accepted(files: &Files) {
    let Outcome { accepted, words } = attack(files);
    assert!(accepted, "refused: {words:.2000}");
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

// --- YAML -------------------------------------------------------------------------------------------------------------

#[test]
fn aliases_that_multiply() {
    let mut text = String::from("x-0: &x0 [a, a, a, a, a, a, a, a, a, a]\n");
    for level in 1..30 {
        let item = format!("*x{}, ", level - 1).repeat(10);
        let _ = writeln!(text, "x-{level}: &x{level} [{item}]");
    }
    refused(&Files::new(&format!("{text}{SMALL}")), "alias");
}

#[test]
fn aliases_of_mappings_that_multiply_within_a_service() {
    let mut text = String::from("x-0: &x0 {k: v}\n");
    for level in 1..40 {
        let below = level - 1;
        let _ = writeln!(text, "x-{level}: &x{level} {{a: *x{below}, b: *x{below}, c: *x{below}}}");
    }
    refused(&Files::new(&format!("{text}services: {{a: {{image: i, x-all: *x39}}}}\n")), "alias");
}

#[test]
fn merge_keys_that_multiply() {
    let mut text = String::from("x-0: &x0 {");
    for key in 0..1_000 {
        let _ = write!(text, "k{key}: v, ");
    }
    text += "}\n";
    for level in 1..2_000 {
        let _ =
            writeln!(text, "x-{level}: &x{level} {{<<: [{}], own{level}: v}}", format!("*x{}, ", level - 1).repeat(10));
    }
    refused(&Files::new(&format!("{text}{SMALL}")), "alias");
}

#[test]
fn a_merge_key_of_many_aliases() {
    let mut text = String::from("x-a: &a {image: i}\nservices: {a: {<<: [");
    text += &"*a, ".repeat(20_000);
    text += "]}}\n";
    attack(&Files::new(&text));
}

#[test]
fn an_alias_of_itself() {
    refused(&Files::new("x-a: &a [*a]\nservices: {a: {image: i}}\n"), "a");
    refused(&Files::new("x-a: &a {<<: *a}\nservices: {a: {image: i}}\n"), "a");
}

#[test]
fn nesting_of_flow_collections() {
    for open in ["[", "{a: ", "[{a: ", "{? ", "? [", "&a [", "!reset [", "!!seq ["] {
        refused(&Files::new(&format!("x-a: {}\n", open.repeat(10_000))), "");
        let closed = format!("x-a: {}{}\n{SMALL}", "[".repeat(10_000), "]".repeat(10_000));
        refused(&Files::new(&closed), "nest");
    }
}

#[test]
fn nesting_of_block_collections() {
    refused(&Files::new(&format!("x-a:\n {}x\n{SMALL}", "- ".repeat(10_000))), "nest");
    refused(&Files::new(&format!("x-a:\n {}x\n{SMALL}", "? ".repeat(10_000))), "");
    let mut text = String::new();
    for depth in 0..2_000 {
        let _ = writeln!(text, "{}a:", " ".repeat(depth));
    }
    refused(&Files::new(&text), "nest");
}

#[test]
fn files_of_a_hundred_megabytes() {
    let files = Files::new(SMALL);
    let path = files.path().join("compose.yaml");
    for unit in ["# a comment\n", "x", " ", "- a\n", "\n", "services:\n", "\"", "'", "a: |\n"] {
        fs::write(&path, unit.repeat((100 << 20) / unit.len())).unwrap();
        refused(&files, "larger than");
    }
    fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
    refused(&files, "larger than");
}

#[test]
fn env_files_of_a_hundred_megabytes() {
    let big = "A=b\n".repeat((100 << 20) / 4);
    refused(&Files::new("services: {a: {image: i, env_file: big.env}}\n").file("big.env", &big), "larger than");
    refused(&Files::new(SMALL).file(".env", &big), "larger than");
}

#[test]
fn a_million_documents() {
    attack(&Files::new(&"---\n".repeat(1_000_000)));
    attack(&Files::new(&"--- {services: {a: {image: i}}}\n".repeat(20_000)));
}

#[test]
fn tens_of_thousands_of_each() {
    let many = |line: &dyn Fn(usize) -> String| (0..30_000).map(line).collect::<String>();
    let cases = [
        many(&|i| format!("x-{i}: &a{i} v\n")),
        many(&|_| "x-a: v\n".into()),
        many(&|i| format!("unknown{i}: v\n")),
        format!("services:\n  a:\n    image: i\n{}", many(&|i| format!("    unknown{i}: v\n"))),
        format!("services:\n  a:\n    image: i\n    environment:\n{}", many(&|i| format!("      - K{i}=v\n"))),
        format!("services:\n  a:\n    image: i\n    ports:\n{}", many(&|i| format!("      - {}\n", i % 65_000))),
        format!("services:\n  a:\n    image: i\n    volumes:\n{}", many(&|i| format!("      - ./d{i}:/d{i}\n"))),
        format!("services:\n  a:\n    image: i\n    networks:\n{}", many(&|i| format!("      - n{i}\n"))),
        format!("services:\n  a:\n    image: i\n    depends_on:\n{}", many(&|i| format!("      - s{i}\n"))),
        format!("services:\n  a:\n    image: i\n    cap_add:\n{}", many(&|_| "      - A\n".into())),
        format!("services:\n{}", many(&|i| format!("  s{i}: {{}}\n"))),
        format!("services:\n{}", many(&|i| format!("  s{i}: {{image: '${{A{i}}}'}}\n"))),
        format!("volumes:\n{}", many(&|i| format!("  v{i}: {{driver: }}\n"))),
    ];
    for text in cases {
        attack(&Files::new(&text));
    }
}

#[test]
fn lists_of_two_files_that_are_merged() {
    let list = |from: usize| (from..from + 50_000).map(|i| format!("      - K{i}=v\n")).collect::<String>();
    for key in ["environment", "labels", "cap_add", "extra_hosts", "tmpfs", "expose", "dns_search", "security_opt"] {
        let text = |from| format!("services:\n  a:\n    image: i\n    {key}:\n{}", list(from));
        attack(&Files::new(&text(0)).file("compose.override.yaml", text(25_000)));
    }
    let mounts = |from: usize| (from..from + 30_000).map(|i| format!("      - ./d:/d{i}\n")).collect::<String>();
    let text = |from| format!("services:\n  a:\n    image: i\n    volumes:\n{}", mounts(from));
    accepted(&Files::new(&text(0)).file("compose.override.yaml", text(15_000)));
}

#[test]
fn lines_and_words_of_megabytes() {
    let long = "x".repeat(4 << 20);
    refused(&Files::new(&long), "");
    refused(&Files::new(&format!("{long}: 1\n{SMALL}")), "");
    refused(&Files::new(&format!("services: {{{long}: {{image: i, nope: 1}}}}\n")), "");
    refused(&Files::new(&format!("services: {{a: {{image: i, ports: ['{long}']}}}}\n")), "");
    refused(&Files::new(&format!("services: {{a: {{image: i, networks: ['{long}']}}}}\n")), "");
    refused(&Files::new(&format!("services: {{a: {{image: i, mem_limit: '{long}'}}}}\n")), "");
    refused(&Files::new(&format!("services: {{a: {{image: '${{{long}}}', nope: 1}}}}\n")), "");
    refused(&Files::new(&format!("services: {{a: {{image: '${{A:?{long}}}'}}}}\n")), "");
    attack(&Files::new(&format!("services: {{a: {{image: i, command: '{}'}}}}\n", "a ".repeat(2 << 20))));
    attack(&Files::new(&format!("services: {{a: {{image: i, labels: {{a: '{long}'}}}}}}\n")));
    attack(&Files::new(SMALL).file(".env", format!("A={long}\n")));
    attack(&Files::new(SMALL).file(".env", format!("{long}=1\n")));
    attack(&Files::new(SMALL).file(".env", format!("A=\"{long}\n")));
}

#[test]
fn bytes_that_are_no_text() {
    refused(&Files::new("").file("compose.yaml", b"services: {a: {image: \xff\xfe}}\n"), "UTF-8");
    refused(&Files::new("").file("compose.yaml", b"\xff\xfes\0e\0r\0v\0i\0c\0e\0s\0"), "UTF-8");
    refused(&Files::new("services: {a: {image: \"i\0j\"}}\n"), "");
    refused(&Files::new("services: {a: {image: i}}\n\0\n"), "");
    refused(&Files::new("\u{feff}"), "empty");
    attack(&Files::new(&format!("\u{feff}\u{feff}{SMALL}")));
    refused(&Files::new(SMALL).file(".env", b"A=\xff\n"), "UTF-8");
    refused(&Files::new("services: {a: {image: i, env_file: a.env}}\n").file("a.env", b"A=\xff\n"), "UTF-8");
}

#[test]
fn a_nul_that_yaml_writes_out() {
    for attribute in [
        "environment: {\"A\": \"x\\0y\"}",
        "environment: {\"A\\0\": y}",
        "command: [\"\\0\"]",
        "volumes: [\"./a\\0:/b\"]",
    ] {
        refused(&Files::new(&format!("services: {{a: {{image: i, {attribute}}}}}\n")), "NUL");
    }
}

// --- other files -------------------------------------------------------------------------------------------------------

#[test]
fn includes_in_a_circle() {
    refused(&Files::new("include: [compose.yaml]\n"), "include cycle");
    refused(&Files::new("include: [./x/../compose.yaml]\n").file("x/y", ""), "include cycle");
    let chain = (0..50).fold(Files::new("include: [f0.yaml]\n"), |files, i| {
        files.file(&format!("f{i}.yaml"), format!("include: [f{}.yaml]\n", (i + 1) % 50))
    });
    refused(&chain, "include cycle");
}

#[test]
fn includes_in_a_circle_of_links() {
    let files = Files::new("include: [link.yaml]\n");
    std::os::unix::fs::symlink("compose.yaml", files.path().join("link.yaml")).unwrap();
    refused(&files, "include");
    let files = Files::new("include: [d/compose.yaml]\nservices: {a: {image: i}}\n");
    std::os::unix::fs::symlink(".", files.path().join("d")).unwrap();
    refused(&files, "include");
}

#[test]
fn includes_that_multiply() {
    let doubling = (0..40).fold(Files::new("include: [f0.yaml, f0.yaml]\n"), |files, i| {
        files.file(&format!("f{i}.yaml"), format!("include: [f{0}.yaml, f{0}.yaml]\n", i + 1))
    });
    attack(&doubling.file("f40.yaml", SMALL));
    let mut fan = Files::new("include: [l0-0.yaml]\n");
    for level in 0..12 {
        let next: Vec<String> = (0..8).map(|i| format!("l{}-{i}.yaml", level + 1)).collect();
        for i in 0..8 {
            fan = fan.file(&format!("l{level}-{i}.yaml"), format!("include: [{}]\n", next.join(", ")));
        }
    }
    attack(&(0..8).fold(fan, |fan, i| fan.file(&format!("l12-{i}.yaml"), SMALL)));
}

#[test]
fn a_chain_of_two_thousand_includes() {
    let chain = (0..2_000).fold(Files::new("include: [f0.yaml]\n"), |files, i| {
        files.file(&format!("f{i}.yaml"), format!("include: [f{}.yaml]\n", i + 1))
    });
    refused(&chain.file("f2000.yaml", SMALL), "include");
}

#[test]
fn extends_in_a_circle() {
    refused(&Files::new("services: {a: {image: i, extends: a}}\n"), "Circular reference");
    refused(
        &Files::new("services: {a: {image: i, extends: b}, b: {extends: c}, c: {extends: a}}\n"),
        "Circular reference",
    );
    let over = "services: {a: {extends: {file: b.yaml, service: a}}}\n";
    let back = "services: {a: {image: i, extends: {file: compose.yaml, service: a}}}\n";
    refused(&Files::new(over).file("b.yaml", back), "Circular reference");
}

#[test]
fn long_chains_of_extends() {
    let mut text = String::from("services:\n  s0: {image: i}\n");
    for i in 1..10_000 {
        let _ = writeln!(text, "  s{i}: {{extends: s{}}}", i - 1);
    }
    attack(&Files::new(&text));
    // Backwards: the first service needs all the others.
    let mut text = String::from("services:\n");
    for i in 0..10_000 {
        let _ = writeln!(text, "  s{i}: {{extends: s{}, environment: {{K{i}: v}}}}", i + 1);
    }
    attack(&Files::new(&(text + "  s10000: {image: i}\n")));
    let files = (0..2_000).fold(Files::new("services: {a: {extends: {file: f0.yaml, service: a}}}\n"), |files, i| {
        files.file(
            &format!("f{i}.yaml"),
            format!("services: {{a: {{extends: {{file: f{}.yaml, service: a}}}}}}\n", i + 1),
        )
    });
    attack(&files.file("f2000.yaml", SMALL));
}

#[test]
fn many_services_that_extend_one_large_file() {
    let labels: String = (0..10_000).map(|i| format!("K{i}: v, ")).collect();
    let base = format!("services: {{b: {{image: i, labels: {{{labels}}}}}}}\n");
    let services: String =
        (0..2_000).map(|i| format!("  s{i}: {{extends: {{file: base.yaml, service: b}}}}\n")).collect();
    refused(&Files::new(&format!("services:\n{services}")).file("base.yaml", base), "too much data");
}

#[test]
fn links_that_lead_nowhere() {
    let files = Files::new("services: {a: {image: i, env_file: loop.env}}\n");
    std::os::unix::fs::symlink("loop.env", files.path().join("loop.env")).unwrap();
    refused(&files, "loop.env");
    let files = Files::new("include: [loop.yaml]\n");
    std::os::unix::fs::symlink("loop.yaml", files.path().join("loop.yaml")).unwrap();
    refused(&files, "loop.yaml");
    let files = Files::new("");
    fs::remove_file(files.path().join("compose.yaml")).unwrap();
    std::os::unix::fs::symlink("compose.yaml", files.path().join("compose.yaml")).unwrap();
    refused(&files, "");
}

#[test]
fn devices_without_end() {
    for text in [
        "include: [/dev/zero]\n",
        "include: [/dev/urandom]\n",
        "include: [{path: inc.yaml, env_file: /dev/zero}]\n",
        "services: {a: {extends: {file: /dev/zero, service: a}}}\n",
        "services: {a: {image: i, env_file: /dev/zero}}\n",
        "services: {a: {image: i, env_file: [{path: /dev/urandom}]}}\n",
    ] {
        refused(&Files::new(text).file("inc.yaml", SMALL), "/dev/");
    }
    let files = Files::new(SMALL);
    fs::remove_file(files.path().join("compose.yaml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", files.path().join("compose.yaml")).unwrap();
    refused(&files, "");
    let files = Files::new(SMALL);
    std::os::unix::fs::symlink("/dev/zero", files.path().join(".env")).unwrap();
    refused(&files, "");
}

#[test]
fn pipes_that_nobody_writes_to() {
    for text in [
        "include: [pipe]\n",
        "services: {a: {extends: {file: pipe, service: a}}}\n",
        "services: {a: {image: i, env_file: pipe}}\n",
    ] {
        let files = Files::new(text);
        fifo(&files.path().join("pipe"));
        attack(&files);
    }
    let files = Files::new(SMALL);
    fifo(&files.path().join(".env"));
    accepted(&files);
}

#[test]
fn a_pipe_that_somebody_writes_to_is_read_to_its_end() {
    let files = Files::new("include: [pipe]\n");
    let path = files.path().join("pipe");
    fifo(&path);
    let text = format!("{SMALL}#{}\n", "x".repeat(300_000));
    let writer = std::thread::spawn(move || fs::write(path, text).unwrap());
    accepted(&files);
    writer.join().unwrap();
}

#[test]
fn directories_in_place_of_files() {
    for text in [
        "include: [d]\n",
        "services: {a: {extends: {file: d, service: a}}}\n",
        "services: {a: {image: i, env_file: d}}\n",
    ] {
        refused(&Files::new(text).file("d/x", ""), "directory");
    }
}

#[test]
fn paths_that_leave_the_project() {
    let up = "../".repeat(60);
    refused(&Files::new(&format!("include: ['{up}etc/hostname/nope']\n")), "hostname/nope");
    refused(
        &Files::new(&format!("services: {{a: {{extends: {{file: '{up}nope.yaml', service: a}}}}}}\n")),
        "nope.yaml",
    );
    refused(&Files::new(&format!("services: {{a: {{image: i, env_file: '{up}nope.env'}}}}\n")), "nope.env");
    let deep = "x/".repeat(100_000);
    refused(&Files::new(&format!("include: ['{deep}']\n")), "");
    refused(&Files::new(&format!("services: {{a: {{image: i, env_file: '{deep}'}}}}\n")), "");
    attack(&Files::new(&format!("services: {{a: {{image: i, volumes: ['./{deep}{}:/x']}}}}\n", "../".repeat(200_000))));
}

// --- values ------------------------------------------------------------------------------------------------------------

#[test]
fn ranges_of_ports() {
    let bomb = "'1-65535', ".repeat(2_000);
    attack(&Files::new(&format!("services: {{a: {{image: i, ports: [{bomb}]}}}}\n")));
    let different: String = (1..=250).map(|i| format!("'10.0.0.{i}:1-65535:1-65535', ")).collect();
    attack(&Files::new(&format!("services: {{a: {{image: i, ports: [{different}]}}}}\n")));
    attack(&Files::new(&format!("services: {{a: {{image: i, expose: [{bomb}]}}}}\n")));
    let all: String = (0..200).map(|i| format!("s{i}: {{image: i, ports: ['1-65535']}}, ")).collect();
    attack(&Files::new(&format!("services: {{{all}}}\n")));
}

#[test]
fn variables_that_multiply() {
    let doubling: String = (0..64).map(|i| format!("V{}=${{V{i}}}${{V{i}}}\n", i + 1)).collect();
    refused(&Files::new("services: {a: {image: '${V64}'}}\n").file(".env", format!("V0=xxxxxxxx\n{doubling}")), "");
    let big = format!("A={}\n", "x".repeat(1 << 20));
    let uses = "${A}".repeat(100_000);
    refused(&Files::new(&format!("services: {{a: {{image: i, labels: {{l: '{uses}'}}}}}}\n")).file(".env", &big), "");
    let uses = "x${A}\n".repeat(100_000);
    refused(
        &Files::new("services: {a: {image: i, env_file: b.env}}\n")
            .file(".env", &big)
            .file("b.env", format!("B=\"{uses}\"\n")),
        "",
    );
}

#[test]
fn variables_that_nest() {
    let nested = |open: &str, depth: usize| format!("{}x{}", open.repeat(depth), "}".repeat(depth));
    for open in ["${A:-", "${A:?", "${A-", "${HOME:+", "${", "${A:-${", "${A:-$$"] {
        for text in [nested(open, 20_000), open.repeat(20_000)] {
            attack(&Files::new(&format!("services: {{a: {{image: i, labels: {{l: '{text}'}}}}}}\n")));
            attack(&Files::new(SMALL).file(".env", format!("A={text}\n")));
        }
    }
}

#[test]
fn numbers_beyond_all_bounds() {
    let huge = "9".repeat(400);
    for attribute in [
        "scale: 9223372036854775808",
        "scale: 99999999999999999999999999",
        "mem_limit: 99999999999999999999g",
        "mem_limit: 16e",
        "mem_limit: 99999999999t",
        "stop_grace_period: 99999999999999h",
        "healthcheck: {test: x, interval: 1e400s}",
        "ports: ['99999999999999999999:80']",
        "ports: ['1-99999999999999999999']",
        "cpus: .inf",
        "cpus: 1e400",
        "pids_limit: 1e30",
        "oom_score_adj: -99999999999",
    ] {
        refused(&Files::new(&format!("services: {{a: {{image: i, {attribute}}}}}\n")), "a.");
    }
    for attribute in ["scale", "mem_limit", "cpus", "stop_grace_period", "cpu_shares", "pids_limit", "shm_size"] {
        for value in
            [huge.clone(), format!("-{huge}"), format!("0.{huge}"), format!("{huge}e{huge}"), format!("0x{huge}")]
        {
            attack(&Files::new(&format!("services: {{a: {{image: i, {attribute}: {value}}}}}\n")));
            attack(&Files::new(&format!("services: {{a: {{image: i, {attribute}: '{value}s'}}}}\n")));
        }
    }
}

// --- relations ---------------------------------------------------------------------------------------------------------

#[test]
fn dependencies_with_more_ways_than_atoms() {
    let mut text = String::from("services:\n");
    for i in 0..2_000usize {
        let all: Vec<String> = (i.saturating_sub(5)..i).map(|other| format!("s{other}")).collect();
        let _ = writeln!(text, "  s{i}: {{image: i, depends_on: [{}]}}", all.join(", "));
    }
    accepted(&Files::new(&text));
    text += "  s2000: {image: i, depends_on: [s1999], links: [s0], volumes_from: [s2000]}\n";
    refused(&Files::new(&text), "cycle");
}

#[test]
fn a_circle_of_ten_thousand() {
    let mut text = String::from("services:\n");
    for i in 0..10_000 {
        let _ = writeln!(text, "  s{i}: {{image: i, depends_on: [s{}]}}", (i + 1) % 10_000);
    }
    refused(&Files::new(&text), "cycle");
}

#[test]
fn everybody_depends_on_everybody() {
    let names: Vec<String> = (0..300).map(|i| format!("s{i}")).collect();
    let all = names.join(", ");
    let services: String = names.iter().map(|name| format!("  {name}: {{image: i, depends_on: [{all}]}}\n")).collect();
    refused(&Files::new(&format!("services:\n{services}")), "cycle");
}
