//! The builder's conformance set: Dockerfiles, each a feature or a corner, with what must come of them.
//!
//! `cases/*.case` hold cases as text. A case begins with `=== NAME`, a section with `--- KIND [ARGUMENTS]`; a line that
//! begins with `##` between cases is a comment. A line of a section that has to begin with `===` or `---` begins with a
//! backslash before it.
//!
//! | section | what |
//! |---|---|
//! | `Dockerfile` | the file, with `\r` at an end of a line for a carriage return there |
//! | `options` | one a line, as below |
//! | `file PATH [MODE]` | a file of the context; `NAME:PATH` is one of the additional context NAME. 644 without a mode |
//! | `binary PATH` | the same, 644, in Base64 |
//! | `dir PATH [MODE]` | a directory of it; those that files need are there without |
//! | `link PATH TARGET` | a symbolic link of it |
//! | `image NAME` | the `config` object of one more base image, in JSON; its files are those of `base` |
//! | `error` | `LINE:COLUMN MESSAGE`, all there are; nothing is built |
//! | `warnings` | `LINE RULE MESSAGE`, all there are; without the section none is looked at |
//! | `plan` | the steps, as `show.rs` prints them |
//! | `config` | JSON: each key has that value in the outcome's `config`; `null` is absence |
//! | `image-config` | the same for the whole document |
//! | `history` | what the build adds, one entry a line: `+` with a layer, `-` without |
//! | `excluded` | paths of the context that the ignore file leaves out, and `!PATH` those that it does not |
//! | `tree` | what the image holds, for the engine; as below |
//! | `fails` | the engine's error: `LINE` and a part of its message |
//!
//! Options: `target NAME`, `arg NAME=VALUE`, `platform P`, `context NAME [IMAGE]`, `no-cache`, `no-cache-filter STAGE`,
//! `network default|none|host`, `label NAME=VALUE`, `extra-host NAME=ADDRESS`, `shm-size BYTES`,
//! `ulimit NAME=SOFT:HARD`, `secret ID=VALUE`, `allow ENTITLEMENT`, `dockerfile NAME`, `file-name-ignore` (the ignore
//! file is the Dockerfile's own).
//!
//! Lines of `tree`: `file PATH [MODE|- [UID:GID|- [JSON STRING]]]`, `dir PATH [MODE|- [UID:GID|-]]`,
//! `link PATH TARGET`, `none PATH`.
//!
//! `base` is an image with busybox in `/bin` and a link for each of its tools, `/tmp` (1777), `/etc/passwd` with `root`
//! and `user` (1000:1000), `/etc/group` with `root`, `user` (1000) and `staff` (50); its configuration is in `frontend.rs`.
//! `tests/build_cases` builds them.
//!
//! `BLESS=1` writes the sections `error`, `warnings`, `plan` and `history` anew where they are: read what changed.

#![allow(clippy::unwrap_used)]

mod case;
mod frontend;
mod show;

use case::{Case, Section};
use frontend::plan;
use muster::build::frontend::Warning;
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write, fs};

#[test]
fn every_case_gives_what_it_must() {
    let mut faults = String::new();
    let mut count = 0;
    for file in case::files() {
        let text = fs::read_to_string(&file).unwrap();
        let mut cases = case::read(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in &mut cases {
            count += 1;
            if let Err(fault) = check(case) {
                writeln!(faults, "\n{}: {}\n{fault}", file.file_name().unwrap().display(), case.name).unwrap();
            }
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, case::write(&text, &cases)).unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(count >= 120, "{count} cases");
}

fn check(case: &mut Case) -> Result<(), String> {
    let planned = plan(case);
    if let Err(errors) = &planned
        && !case.sections.iter().any(|section| section.kind == "error")
    {
        return Err(format!("is refused:\n{}", errors.join("\n")));
    }
    let excluded = case.excluded();
    let mut faults = String::new();
    for section in &mut case.sections {
        let checked = match (section.kind.as_str(), &planned) {
            ("error", Err(errors)) => same(section, &lines(errors)),
            ("error", Ok(_)) => Err("is not refused".to_owned()),
            ("warnings", Ok(planned)) => {
                let told = |warning: &Warning| format!("{} {} {}", warning.at.line, warning.kind.rule(), warning.kind);
                same(section, &lines(&planned.warnings.iter().map(told).collect::<Vec<_>>()))
            }
            ("plan", Ok(planned)) => same(section, &show::plan(&planned.plan)),
            ("history", Ok(planned)) => same(section, &show::history(&planned.plan)),
            ("config", Ok(planned)) => has(&planned.plan.outcome.config["config"], &section.text),
            ("image-config", Ok(planned)) => has(&Value::Object(planned.plan.outcome.config.clone()), &section.text),
            ("excluded", _) => same(section, &excluded),
            _ => Ok(()),
        };
        if let Err(fault) = checked {
            faults.push_str(&fault);
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn same(section: &mut Section, found: &str) -> Result<(), String> {
    if section.text.trim_end() == found.trim_end() {
        return Ok(());
    }
    let expected = std::mem::replace(&mut section.text, found.to_owned());
    Err(format!("--- {} is to be\n{expected}--- and is\n{found}", section.kind))
}

fn has(document: &Value, expected: &str) -> Result<(), String> {
    let expected: BTreeMap<String, Value> = serde_json::from_str(expected).map_err(|error| error.to_string())?;
    for (key, value) in expected {
        let found = document.get(&key).cloned().unwrap_or(Value::Null);
        if found != value {
            return Err(format!("{key} is to be\n{value}\nand is\n{found}"));
        }
    }
    Ok(())
}
