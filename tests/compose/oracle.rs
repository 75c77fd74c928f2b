//! The loader against docker compose 2.26.1: recorded answers to the cases of `oracle/*.txt`.
//!
//! `MUSTER_CASE=words` runs only the cases whose title holds the words, or those of one file by its name.

mod call;
mod case;
mod compare;
mod differences;
mod generate;
mod live;

use call::Call;
use case::{Answer, Case};
use differences::DIFFERENCES;
use std::{fmt::Write as _, fs, path::Path};

/// The disagreements of one case.
fn disagreements(case: &Case) -> Vec<String> {
    let outer = tempfile::tempdir().unwrap();
    let directory = outer.path().join("project");
    fs::create_dir(&directory).unwrap();
    case.write(&directory);
    let oracle = case.oracle.as_ref().unwrap_or_else(|| panic!("{}: run record", case.title));
    let expected = case.own.as_ref().unwrap_or(oracle);
    let call = Call::of(case, &directory);
    let answer = call.answer();
    let mut found = compare::differ(expected, &answer);
    // The words of the oracle's errors are its own; those of muster's are a part of the case.
    if let (Some(Answer::Error(words)), Answer::Error(said)) = (&case.own, &answer)
        && !said.contains(words.as_str())
    {
        found.push(format!("muster says {said}, not {words}"));
    }
    if let Some(again) = call.again().filter(|_| case.differs.as_deref() != Some("read again")) {
        let lost =
            compare::differ(&answer, &again).into_iter().map(|line| format!("when printed and read again: {line}"));
        found.extend(lost);
    }
    if let Some(name) = &case.differs {
        if !DIFFERENCES.iter().any(|difference| difference.name == *name) {
            found.push(format!("{name:?} is no known difference"));
        }
        if case.own.is_some() && compare::differ(oracle, &answer).is_empty() {
            found.push(format!("there is no difference any more: {name}"));
        }
    } else if case.own.is_some() {
        found.push("what is the difference called?".into());
    }
    found
}

#[test]
fn every_recorded_case_means_the_same_to_both() {
    let wanted = std::env::var("MUSTER_CASE").ok();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/oracle");
    let mut paths: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let (mut report, mut table) = (String::new(), String::new());
    let (mut all, mut failed) = (0, 0);
    for path in paths {
        let subject = path.file_stem().unwrap().to_string_lossy();
        let mut cases = case::parse(&fs::read_to_string(&path).unwrap());
        if let Some(words) = &wanted {
            cases.retain(|case| case.title.contains(words) || subject == *words);
        }
        let mut bad = 0;
        for case in &cases {
            let found = disagreements(case);
            if !found.is_empty() {
                bad += 1;
                let _ = writeln!(report, "{subject}.txt:{}: {}", case.line, case.title);
                for line in found {
                    let _ = writeln!(report, "    {}", line.replace('\n', "\n      "));
                }
            }
        }
        all += cases.len();
        failed += bad;
        let _ = writeln!(table, "{:>5} of {:>3} {subject}", cases.len() - bad, cases.len());
    }
    assert!(all > 0, "no such case");
    assert!(failed == 0, "{failed} of {all} cases differ\n{report}\n{table}");
}

#[test]
fn every_difference_has_a_reason_and_a_case() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/oracle");
    let files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let texts: String = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for difference in DIFFERENCES {
        assert!(difference.reason.ends_with('.'), "{}", difference.name);
        let named = texts.contains(&format!("\n~ {}\n", difference.name));
        assert!(named || difference.alike.is_some(), "no case shows {:?}", difference.name);
    }
}
