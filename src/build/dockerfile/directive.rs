//! Parser directives: `# syntax=`, `# escape=` and `# check=` on the first lines.

use super::{
    error::{Error, Fault},
    place::Place,
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// The frontend that the file asks for: the image, with what follows it.
    pub syntax: Option<(String, usize)>,
    pub check: Option<(String, usize)>,
    /// `None` is the backslash.
    pub escape: Option<char>,
    done: bool,
}

impl Directives {
    pub fn escape(&self) -> char {
        self.escape.unwrap_or('\\')
    }

    /// Looks at one line, which has no space before it. The first line that is no directive ends them.
    pub fn line(&mut self, text: &str, number: usize) -> Result<(), Error> {
        if self.done {
            return Ok(());
        }
        // How a file is made executable: the directives come behind.
        if number == 1 && text.starts_with("#!") {
            return Ok(());
        }
        let Some((name, value)) = split(text) else {
            self.done = true;
            return Ok(());
        };
        let fail = |fault| Err(Error::new(Place::new(number, 1), fault));
        let twice = |name: &str| fail(Fault::DirectiveTwice { name: name.to_owned() });
        match name.to_ascii_lowercase().as_str() {
            "syntax" if self.syntax.is_some() => return twice("syntax"),
            "check" if self.check.is_some() => return twice("check"),
            "escape" if self.escape.is_some() => return twice("escape"),
            "syntax" => self.syntax = Some((value.to_owned(), number)),
            "check" => self.check = Some((value.to_owned(), number)),
            "escape" => match value {
                "\\" => self.escape = Some('\\'),
                "`" => self.escape = Some('`'),
                _ => return fail(Fault::EscapeCharacter { value: value.to_owned() }),
            },
            _ => self.done = true,
        }
        Ok(())
    }
}

/// `# name = value`
fn split(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.strip_prefix('#')?.trim_start().split_once('=')?;
    let (name, value) = (name.trim_end(), value.trim());
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric());
    (plain && !value.is_empty()).then_some((name, value))
}
