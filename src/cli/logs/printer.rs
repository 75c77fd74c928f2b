//! A line as people see it: prefix, time, text.

use super::reader::Entry;
use crate::{
    cli::output::{
        Writer,
        prefix::{Prefix, Prefixes},
    },
    state::logline::Stream,
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// How lines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub timestamps: bool,
    pub no_prefix: bool,
    pub colour: bool,
    /// What a container wrote to its standard error goes to ours (`up`); `logs` writes all to one.
    pub split: bool,
}

/// Where lines come from, as the follower counts.
pub type Source = usize;

#[derive(Debug)]
pub struct Printer {
    style: Style,
    prefixes: Prefixes,
    sources: BTreeMap<Source, (Prefix, String)>,
}

impl Printer {
    pub fn new(style: Style) -> Self {
        Self { style, prefixes: Prefixes::new(style.colour, style.no_prefix), sources: BTreeMap::new() }
    }

    /// A further container; the names before it are padded anew.
    pub fn add(&mut self, name: &str, source: Source) {
        self.sources.insert(source, (self.prefixes.add(name), String::new()));
        for (prefix, text) in self.sources.values_mut() {
            *text = self.prefixes.text(prefix);
        }
    }

    pub fn print(&self, source: Source, entry: Entry<'_>, out: &mut Writer, err: &mut Writer) -> io::Result<()> {
        if self.style.split && entry.stream == Stream::Stderr {
            // Both may be one terminal: what was written first has to be there first.
            out.flush()?;
            return self.line(source, entry, err);
        }
        self.line(source, entry, out)
    }

    /// A line of a watch, among those of the containers.
    pub fn mark(&self, text: &str, out: &mut Writer) -> io::Result<()> {
        writeln!(out, "{}{text}", self.prefixes.mark())?;
        out.flush()
    }

    fn line(&self, source: Source, entry: Entry<'_>, to: &mut Writer) -> io::Result<()> {
        if let Some((_, prefix)) = self.sources.get(&source) {
            to.write_all(prefix.as_bytes())?;
        }
        if self.style.timestamps {
            to.write_all(entry.time.as_bytes())?;
            to.write_all(b" ")?;
        }
        to.write_all(entry.text)?;
        to.write_all(b"\n")
    }
}
