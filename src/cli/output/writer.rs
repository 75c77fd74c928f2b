//! The only way to standard output and standard error.
//!
//! Rust ignores SIGPIPE, so `println!` panics under `muster logs | head`. Here a closed reader is an ordinary
//! `BrokenPipe`, which `exit` turns into a quiet end.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    os::fd::AsFd,
};

/// A buffered stream. Standard error goes out line by line, standard output when the buffer is full or flushed.
pub struct Writer {
    inner: BufWriter<Box<dyn Write>>,
    by_line: bool,
    /// A person looks at it: it may be redrawn.
    pub terminal: bool,
    /// It takes colour.
    pub colour: bool,
}

/// `--ansi`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Ansi {
    Never,
    Always,
    #[default]
    Auto,
}

impl Ansi {
    fn colour(self, terminal: bool, colourless: bool) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Auto => terminal && !colourless,
        }
    }
}

impl Writer {
    pub fn stdout(ansi: Ansi, colourless: bool) -> io::Result<Self> {
        let stream = io::stdout();
        let terminal = stream.is_terminal();
        Ok(Self::new(duplicate(stream.as_fd())?, false, terminal, ansi.colour(terminal, colourless)))
    }

    pub fn stderr(ansi: Ansi, colourless: bool) -> io::Result<Self> {
        let stream = io::stderr();
        let terminal = stream.is_terminal();
        Ok(Self::new(duplicate(stream.as_fd())?, true, terminal, ansi.colour(terminal, colourless)))
    }

    pub fn new(stream: impl Write + 'static, by_line: bool, terminal: bool, colour: bool) -> Self {
        Self { inner: BufWriter::with_capacity(128 * 1024, Box::new(stream)), by_line, terminal, colour }
    }

    /// `text` in the colour of an SGR sequence (ECMA-48), or plain.
    pub fn paint(&self, sgr: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A file of the same description: std's own handles buffer once more and split at lines.
fn duplicate(stream: impl AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        if self.by_line && bytes[..written].contains(&b'\n') {
            self.inner.flush()?;
        }
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
pub mod capture {
    //! A stream that a test can read afterwards.

    use super::Writer;
    use std::{
        cell::RefCell,
        io::{self, Write},
        rc::Rc,
    };

    #[derive(Clone, Default)]
    pub struct Captured(Rc<RefCell<Vec<u8>>>);

    impl Captured {
        pub fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.borrow()).into_owned()
        }
    }
    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub fn writer(colour: bool) -> (Writer, Captured) {
        let captured = Captured::default();
        (Writer::new(captured.clone(), true, false, colour), captured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_the_flag_then_the_terminal_then_the_environment() {
        assert!(Ansi::Always.colour(false, true));
        assert!(!Ansi::Never.colour(true, false));
        assert!(Ansi::Auto.colour(true, false));
        assert!(!Ansi::Auto.colour(true, true));
        assert!(!Ansi::Auto.colour(false, false));
    }
}
