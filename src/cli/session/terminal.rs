//! The person's terminal in raw mode, and back.

use rustix::termios::{self, OptionalActions, Termios};
use std::{io, os::fd::AsFd};

/// Raw until it is dropped: every key goes to the container, Ctrl-C too.
#[derive(Debug)]
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Of standard input.
    pub fn enter() -> io::Result<Self> {
        let before = termios::tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone by now; then there is nothing to restore.
        let _ = termios::tcsetattr(stdin(), OptionalActions::Drain, &self.before);
    }
}

/// Rows and columns of the terminal at standard output.
pub fn size() -> (u16, u16) {
    match termios::tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row, size.ws_col),
        _ => (24, 80),
    }
}

/// Gives the container's terminal our size.
pub fn resize(pty: impl AsFd, (rows, cols): (u16, u16)) {
    let size = termios::Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    // A pty whose other side is closed has no size any more.
    let _ = termios::tcsetwinsize(pty, size);
}

fn stdin() -> impl AsFd {
    rustix::stdio::stdin()
}

/// What is typed is not shown until this is dropped.
#[derive(Debug)]
pub struct Hidden {
    before: Termios,
}

impl Hidden {
    /// At standard input.
    pub fn enter() -> io::Result<Self> {
        let before = termios::tcgetattr(stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(termios::LocalModes::ECHO);
        termios::tcsetattr(stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(stdin(), OptionalActions::Drain, &self.before);
    }
}
