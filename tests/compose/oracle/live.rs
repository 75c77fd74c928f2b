//! The oracle on the spot: projects made up at random, run through both.
//!
//! `MUSTER_ORACLE=path/to/docker-compose cargo test --test compose live` with `MUSTER_ROUNDS` (300) and `MUSTER_SEED`
//! (0, the first seed). Without an oracle there is nothing to do. What differs is shown in its smallest form.

use super::{
    call::Call,
    case::{Answer, Case, lines},
    compare,
    generate::{self, Random},
};
use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// What docker compose says, as `record` takes it down.
fn oracle(program: &str, case: &Case, directory: &Path) -> Answer {
    let outer = directory.parent().unwrap().display().to_string();
    let clean = |text: &str| text.replace(&format!("{outer}/"), "/").replace(&outer, "/");
    let call = Call::of(case, directory);
    let mut command = Command::new(program);
    command.args(call.arguments()).current_dir(directory).env_clear().envs(&call.options.environment);
    if !call.is_list() {
        command.arg("--format=json");
    }
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = clean(&String::from_utf8_lossy(&output.stdout));
    match (output.status.success(), call.is_list()) {
        (false, _) => Answer::Error(clean(&String::from_utf8_lossy(&output.stderr))),
        (true, true) => Answer::Text(lines(&text)),
        (true, false) => Answer::Json(serde_json::from_str(&text).unwrap()),
    }
}

/// The disagreements of both over one case; none where the oracle itself says now this, now that.
fn disagreements(program: &str, case: &Case) -> Vec<String> {
    let outer = tempfile::tempdir().unwrap();
    let directory = outer.path().join("project");
    fs::create_dir(&directory).unwrap();
    case.write(&directory);
    let call = Call::of(case, &directory);
    let muster = call.answer();
    // An optional dependency that is off cannot be read again: see differences.rs.
    if let Some(again) = call.again()
        && again != muster
        && !matches!(&again, Answer::Error(words) if words.contains("depends on undefined service"))
    {
        return compare::differ(&muster, &again);
    }
    for _ in 0..3 {
        if compare::differ(&oracle(program, case, &directory), &muster).is_empty() {
            return Vec::new();
        }
    }
    compare::differ(&oracle(program, case, &directory), &muster)
}

/// What a disagreement is about, without names and values: one of each kind is enough to see.
fn kind(line: &str) -> String {
    let words = line.lines().next().unwrap_or_default();
    let mut parts: Vec<&str> = words.split(['.', ' ', '[']).filter(|part| !part.is_empty()).collect();
    if parts.first() == Some(&"services") && parts.len() > 1 {
        parts.remove(1);
    }
    parts.truncate(if words.starts_with('.') { 3 } else { 8 });
    parts.join(" ")
}

#[test]
fn live_projects_made_up_at_random_mean_the_same_to_both() {
    let Ok(program) = std::env::var("MUSTER_ORACLE") else { return };
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (first, rounds) = (number("MUSTER_SEED", 0), number("MUSTER_ROUNDS", 300));
    let mut shown: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut differing = 0;
    for round in 0..rounds {
        let made = generate::project(Random::new(first.wrapping_add(round)).next());
        let found = disagreements(&program, &made.case());
        let Some(line) = found.first() else { continue };
        differing += 1;
        let about = kind(line);
        let entry = shown.entry(about.clone()).or_insert_with(|| {
            let small = made.shrink(|case| disagreements(&program, case).iter().any(|line| kind(line) == about));
            let case = small.case();
            (0, format!("{}    {}\n", case.text(), disagreements(&program, &case).join("\n    ")))
        });
        entry.0 += 1;
    }
    let report: String = shown.iter().map(|(kind, (count, text))| format!("{count} times: {kind}\n{text}\n")).collect();
    assert!(differing == 0, "{differing} of {rounds} projects from seed {first} on differ\n\n{report}");
}

/// `MUSTER_GENERATE=160`: makes `generated.txt` anew; `record` then asks the oracle.
#[test]
#[ignore = "writes cases"]
fn write_generated_cases() {
    let count = std::env::var("MUSTER_GENERATE").unwrap().parse().unwrap();
    let mut text = String::from("# Made up by generate.rs (MUSTER_GENERATE, see live.rs).\n\n");
    for seed in 1..=count {
        text += &generate::project(seed).case().text();
        text += "\n";
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/oracle/generated.txt"), text).unwrap();
}
