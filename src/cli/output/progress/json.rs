//! An object a line, with docker compose's fields.

use super::board::{Board, News, State};
use crate::{
    cli::output::Writer,
    compose::{Diagnostics, Place, Severity},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::{self, Write};

/// A line on standard error with `--progress json`: how far a step is, or something that is said.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Message<'a> {
    Step(Step<'a>),
    Said(Said<'a>),
}

/// How far a step is.
#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct Step<'a> {
    /// What it acts on, such as `Container app-web-1`.
    id: &'a str,
    /// `Working`, `Done`, `Error` or `Warning`.
    status: &'static str,
    /// What happens to it, such as `Starting`.
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
    /// Bytes so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    /// Bytes in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u64>,
}

/// An error, a warning, or a notice, which is neither.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct Said<'a> {
    #[serde(skip_serializing_if = "is_false")]
    error: bool,
    #[serde(skip_serializing_if = "is_false")]
    warning: bool,
    message: &'a str,
    /// Places in the Compose files; the first one is what the message is about, the others explain it.
    #[serde(skip_serializing_if = "<[Place]>::is_empty")]
    places: &'a [Place],
    /// What to do about it.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    help: &'a [String],
}

fn is_false(value: &bool) -> bool {
    !value
}

fn write(message: &Message<'_>, err: &mut Writer) -> io::Result<()> {
    writeln!(err, "{}", serde_json::to_string(message)?)
}

pub fn show(news: &News, board: &Board, err: &mut Writer) -> io::Result<()> {
    match news {
        News::Warning(text) => write(&Message::Said(Said { warning: true, message: text, ..Said::default() }), err),
        News::Notice(text) => write(&Message::Said(Said { message: text, ..Said::default() }), err),
        News::Line(index) | News::Bytes(index) => {
            let line = &board.lines[*index];
            let current = line.bytes.map(|(current, _)| current);
            let total = line.bytes.and_then(|(_, total)| total);
            let step = Step {
                id: &line.title,
                status: match line.state {
                    State::Working => "Working",
                    State::Done(_) => "Done",
                    State::Failed => "Error",
                    State::Skipped => "Warning",
                },
                text: line.word,
                details: line.detail.as_deref(),
                current,
                total,
                percent: current.zip(total.filter(|total| *total > 0)).map(|(current, total)| current * 100 / total),
            };
            write(&Message::Step(step), err)
        }
    }
}

/// A step of a build.
pub fn step(id: &str, status: &'static str, text: &str, details: Option<&str>, err: &mut Writer) -> io::Result<()> {
    write(&Message::Step(Step { id, status, text, details, current: None, total: None, percent: None }), err)
}

pub fn warning(message: &str, err: &mut Writer) -> io::Result<()> {
    write(&Message::Said(Said { warning: true, message, ..Said::default() }), err)
}

pub fn error(message: &str, err: &mut Writer) -> io::Result<()> {
    write(&Message::Said(Said { error: true, message, ..Said::default() }), err)
}

/// What is wrong with the Compose files, a finding a line.
pub fn diagnostics(diagnostics: &Diagnostics, err: &mut Writer) -> io::Result<()> {
    for finding in diagnostics.findings() {
        let said = Said {
            error: finding.severity == Severity::Error,
            warning: finding.severity == Severity::Warning,
            message: &finding.message,
            places: &finding.places,
            help: &finding.help,
        };
        write(&Message::Said(said), err)?;
    }
    Ok(())
}
