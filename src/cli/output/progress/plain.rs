//! A line a change: ` Container app-web-1  Started  0.3s`.

use super::{
    board::{Board, News, State},
    warning,
};
use crate::cli::output::{Writer, duration, failure::printable};
use std::io::{self, Write};

pub fn show(news: &News, board: &Board, err: &mut Writer) -> io::Result<()> {
    match news {
        // The bytes of a pull would fill the log of whoever keeps this output.
        News::Bytes(_) => Ok(()),
        News::Warning(text) => warning(text, err),
        News::Notice(text) => writeln!(err, "{}", printable(text)),
        News::Line(index) => {
            let line = &board.lines[*index];
            write!(err, " {}  {}", line.title, line.word)?;
            if let State::Done(Some(took)) = line.state {
                write!(err, "  {:.1}s", took.as_secs_f64())?;
            }
            if let Some(detail) = &line.detail {
                write!(err, "  {}", printable(detail))?;
            }
            if let Some((current, Some(total))) = line.bytes {
                write!(err, "  {}/{}", duration::size(current), duration::size(total))?;
            }
            writeln!(err)
        }
    }
}
