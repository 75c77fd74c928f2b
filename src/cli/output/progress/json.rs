//! An object a line, with docker compose's fields.

use super::board::{Board, News, State};
use crate::cli::output::Writer;
use serde::Serialize;
use serde_json::json;
use std::io::{self, Write};

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    status: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u64>,
}

pub fn show(news: &News, board: &Board, err: &mut Writer) -> io::Result<()> {
    match news {
        News::Warning(text) => writeln!(err, "{}", json!({"warning": true, "message": text})),
        News::Notice(text) => writeln!(err, "{}", json!({"message": text})),
        News::Line(index) | News::Bytes(index) => {
            let line = &board.lines[*index];
            let current = line.bytes.map(|(current, _)| current);
            let total = line.bytes.and_then(|(_, total)| total);
            let message = Message {
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
            writeln!(err, "{}", serde_json::to_string(&message)?)
        }
    }
}

pub fn error(message: &str, err: &mut Writer) -> io::Result<()> {
    writeln!(err, "{}", json!({"error": true, "message": message}))
}
