//! The part of a terminal that is drawn again and again.

use crate::cli::output::Writer;
use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

/// Frames of the mark in front of a line that goes on; ten a second.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

#[derive(Debug, Default)]
pub struct Canvas {
    /// Lines that stand on the terminal and are ours to overwrite.
    drawn: usize,
    first: Option<Instant>,
}

impl Canvas {
    /// Overwrites what was drawn before. No line may wrap: it could not be overwritten.
    pub fn draw(&mut self, lines: &[String], err: &mut Writer) -> io::Result<()> {
        let mut text = self.rewind();
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        err.write_all(text.as_bytes())?;
        err.flush()
    }

    /// Takes back what was drawn, so that an ordinary line can be written.
    pub fn clear(&mut self, err: &mut Writer) -> io::Result<()> {
        let text = self.rewind();
        self.drawn = 0;
        err.write_all(text.as_bytes())
    }

    /// Cursor to the first drawn line, and everything below away (ECMA-48 CUU and ED).
    fn rewind(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\x1b[{}A\r\x1b[J", self.drawn) }
    }

    /// Since the first time that this was asked.
    pub fn elapsed(&mut self, now: Instant) -> Duration {
        now.duration_since(*self.first.get_or_insert(now))
    }

    pub fn spinner(&mut self, now: Instant) -> &'static str {
        SPINNER[(self.elapsed(now).as_millis() / 100) as usize % SPINNER.len()]
    }
}

/// Rows and columns of the terminal at standard error.
pub fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(rustix::stdio::stderr()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => (24, 80),
    }
}
