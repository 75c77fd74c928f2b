//! Flags of instructions, by a table.

use super::{
    error::{Error, Fault, nearest},
    lines::Statement,
    place::{Place, Word},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Text,
    Texts,
}

use Kind::{Boolean, Text, Texts};

/// What each instruction knows. The others know none.
const KNOWN: &[(&str, &[(&str, Kind)])] = &[
    (
        "ADD",
        &[
            ("checksum", Text),
            ("chmod", Text),
            ("chown", Text),
            ("exclude", Texts),
            ("keep-git-dir", Boolean),
            ("link", Boolean),
            ("unpack", Boolean),
        ],
    ),
    (
        "COPY",
        &[
            ("chmod", Text),
            ("chown", Text),
            ("exclude", Texts),
            ("from", Text),
            ("link", Boolean),
            ("parents", Boolean),
        ],
    ),
    ("FROM", &[("platform", Text)]),
    (
        "HEALTHCHECK",
        &[("interval", Text), ("retries", Text), ("start-interval", Text), ("start-period", Text), ("timeout", Text)],
    ),
    ("RUN", &[("mount", Texts), ("network", Text), ("security", Text)]),
];

#[derive(Debug, Default)]
pub struct Flags(Vec<(&'static str, Word)>);

impl Flags {
    /// `texts` are with their dashes and their offset in the statement.
    pub fn read(instruction: &'static str, texts: &[(String, usize)], statement: &Statement) -> Result<Self, Error> {
        let known = KNOWN.iter().find(|(name, _)| *name == instruction).map_or(&[][..], |(_, flags)| *flags);
        let mut flags = Self::default();
        for (text, offset) in texts {
            let at = statement.place(*offset);
            let fail = |fault| Err(Error::new(at, fault));
            let text = text.trim_start_matches("--");
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            let flag = name.to_owned();
            let Some((name, kind)) = known.iter().find(|(known, _)| *known == name) else {
                let hint = nearest(name, known.iter().map(|(name, _)| *name));
                return fail(Fault::UnknownFlag { instruction, flag, hint });
            };
            if *kind != Texts && flags.get(name).is_some() {
                return fail(Fault::FlagTwice { flag });
            }
            let value = match (kind, value) {
                (Boolean, None) => "true".to_owned(),
                (Boolean, Some(value)) if value.eq_ignore_ascii_case("true") => "true".to_owned(),
                (Boolean, Some(value)) if value.eq_ignore_ascii_case("false") => "false".to_owned(),
                (Boolean, Some(value)) => return fail(Fault::FlagNotBoolean { flag, value: value.to_owned() }),
                (_, None) => return fail(Fault::FlagWithoutValue { flag }),
                (_, Some(value)) => value.to_owned(),
            };
            flags.0.push((name, Word { text: value, at }));
        }
        Ok(flags)
    }

    pub fn get(&self, name: &str) -> Option<&Word> {
        self.all(name).next()
    }

    /// An empty value is as good as no flag.
    pub fn text(&self, name: &str) -> Option<Word> {
        self.get(name).filter(|word| !word.text.is_empty()).cloned()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &Word> {
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, word)| word)
    }

    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.get(name).map(|word| word.text == "true")
    }

    /// Where the flag stands, when it is on.
    pub fn on(&self, name: &str) -> Option<Place> {
        self.get(name).filter(|word| word.text == "true").map(|word| word.at)
    }
}
