//! Every error that docker compose knows (the cases of its loader, checks and consistency), as muster tells of it: a
//! message with its place. `errors.txt` holds the cases and the answers; `MUSTER_BLESS=1` writes the answers anew.
//!
//! A case is a line `=== what is wrong`, files after lines `>>> NAME` (`compose.yaml` where none is named), and the
//! answer after `<<<`.

use crate::Files;
use muster::compose::{LoadOptions, Purpose, load};
use std::{fmt::Write, fs, path::PathBuf};

struct Case {
    title: String,
    files: Vec<(String, String)>,
    answer: String,
}

fn path() -> PathBuf {
    PathBuf::from("tests/compose/errors.txt")
}

fn cases(text: &str) -> (String, Vec<Case>) {
    let mut parts = text.split("=== ");
    let head = parts.next().unwrap_or_default().to_owned();
    let cases = parts.map(|part| {
        let (title, rest) = part.split_once('\n').unwrap();
        let (files, answer) = rest.split_once("<<<\n").unwrap_or((rest, ""));
        let files = files.split(">>> ").filter(|file| !file.trim().is_empty()).map(|file| {
            let (name, text) = file.split_once('\n').unwrap();
            (name.to_owned(), text.to_owned())
        });
        Case { title: title.to_owned(), files: files.collect(), answer: answer.trim_end().to_owned() }
    });
    (head, cases.collect())
}

/// What `up` would say.
fn answer(case: &Case) -> String {
    let main = case.files.iter().find(|(name, _)| name == "compose.yaml").map_or("", |(_, text)| text);
    let mut files = Files::new(main).variable("HOME", "/home/me");
    for (name, text) in case.files.iter().filter(|(name, _)| name != "compose.yaml") {
        files = files.file(name, text);
    }
    if main.is_empty() && case.files.iter().all(|(name, _)| name != "compose.yaml") {
        fs::remove_file(files.path().join("compose.yaml")).unwrap();
    }
    let answer = match load(&LoadOptions { purpose: Purpose::Run, ..files.options.clone() }) {
        Ok(loaded) => format!("accepted\n{}", loaded.warnings.render(false)),
        Err(findings) => findings.render(false),
    };
    let trimmed: Vec<String> = files.anonymous(&answer).lines().map(|line| line.trim_end().to_owned()).collect();
    trimmed.join("\n").trim_end().to_owned()
}

#[test]
fn every_known_error_names_its_place() {
    let text = fs::read_to_string(path()).unwrap();
    let (head, cases) = cases(&text);
    let mut written = head;
    let mut wrong = String::new();
    for case in &cases {
        let answer = answer(case);
        let _ = writeln!(written, "=== {}", case.title);
        for (name, text) in &case.files {
            let _ = write!(written, ">>> {name}\n{text}");
        }
        let _ = writeln!(written, "<<<\n{answer}\n");
        if answer != case.answer {
            let _ = writeln!(wrong, "{}:\n{answer}\n-- instead of\n{}\n", case.title, case.answer);
        }
    }
    if std::env::var_os("MUSTER_BLESS").is_some() {
        fs::write(path(), written).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{wrong}");
    let no_error = |case: &&Case| !case.answer.lines().any(|line| line.starts_with("error: "));
    assert_eq!(cases.iter().find(no_error).map(|case| case.title.as_str()), None, "is no error");
}
