//! Lines redrawn in place, as many as the terminal has room for.

use super::{
    board::{Board, Line, State},
    canvas::{self, Canvas},
};
use crate::cli::output::{Writer, duration, table};
use std::{
    fmt::Write as _,
    io,
    time::{Duration, Instant},
};

#[derive(Debug, Default)]
pub struct Screen {
    canvas: Canvas,
}

impl Screen {
    /// Overwrites what was drawn before.
    pub fn draw(&mut self, board: &Board, now: Instant, err: &mut Writer) -> io::Result<()> {
        if board.lines.is_empty() {
            return Ok(());
        }
        let (rows, columns) = canvas::size();
        let spinner = self.canvas.spinner(now);
        let lines = chosen(board, rows.saturating_sub(2).max(1));
        let width = lines.iter().map(|line| line.title.chars().count()).max().unwrap_or(0);
        let done = board.lines.iter().filter(|line| line.state != State::Working).count();
        let mut text = vec![format!("[+] Running {done}/{}", board.lines.len())];
        text.extend(lines.iter().map(|line| draw_line(line, width, columns, spinner, now, err)));
        self.canvas.draw(&text, err)
    }

    /// Takes back what was drawn, so that an ordinary line can be written.
    pub fn clear(&mut self, err: &mut Writer) -> io::Result<()> {
        self.canvas.clear(err)
    }
}

fn draw_line(line: &Line, width: usize, columns: usize, spinner: &str, now: Instant, err: &Writer) -> String {
    let (sgr, mark) = match line.state {
        State::Working => ("33", spinner),
        State::Done(_) => ("32", "✔"),
        State::Failed => ("31", "✘"),
        State::Skipped => ("33", "!"),
    };
    let time = match line.state {
        State::Working => Some(now.duration_since(line.began)),
        State::Done(took) => took,
        State::Failed | State::Skipped => None,
    };
    let word = line.word;
    let body = format!("{:<width$}  {:<12}{}", line.title, word, tail(line, time));
    // What would wrap could not be overwritten.
    let body = table::ellipsis(body.trim_end(), columns.saturating_sub(4).max(10));
    let painted = body.replacen(word, &err.paint(sgr, word), 1);
    format!(" {} {}", err.paint(sgr, mark), if body.matches(word).count() == 1 { painted } else { body })
}

fn tail(line: &Line, time: Option<Duration>) -> String {
    let mut text = time.map_or_else(String::new, |time| format!("{:>6.1}s", time.as_secs_f64()));
    match line.bytes {
        Some((current, Some(total))) => {
            let _ =
                write!(text, "  {} {:>7}/{:<7}", bar(current, total), duration::size(current), duration::size(total));
        }
        Some((current, None)) => {
            let _ = write!(text, "  {}", duration::size(current));
        }
        None => {}
    }
    if let Some(detail) = &line.detail {
        let _ = write!(text, "  {detail}");
    }
    text
}

/// How much of it is done, in as many cells.
const BAR: usize = 20;

fn bar(current: u64, total: u64) -> String {
    let done = (current.min(total) * BAR as u64).checked_div(total).map_or(0, |cells| cells as usize);
    format!("{}{}", "━".repeat(done), "─".repeat(BAR - done))
}

/// All lines where there is room; otherwise those that go on or failed come before those that are done.
fn chosen(board: &Board, room: usize) -> Vec<&Line> {
    let lines: Vec<&Line> = board.lines.iter().collect();
    if lines.len() <= room {
        return lines;
    }
    let is_done = |line: &Line| matches!(line.state, State::Done(_));
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|index| (is_done(lines[*index]), *index));
    order.truncate(room);
    order.sort_unstable();
    order.into_iter().map(|index| lines[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_what_is_done() {
        assert_eq!(bar(5, 10), "━━━━━━━━━━──────────");
        assert_eq!(bar(20, 10), "━".repeat(BAR));
        assert_eq!(bar(0, 0), "─".repeat(BAR));
    }
}
