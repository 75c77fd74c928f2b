//! YAML text -> nodes. The only file that knows the YAML parser.
//!
//! Limits, so that no file can make the loader run away: nesting (which also bounds every recursion over a tree), the
//! values that are written, and what they come to with every alias expanded.

use super::{Entry, Kind, Mapping, MergeTag, Node};
use crate::compose::diagnostics::{Diagnostic, Span};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    rc::Rc,
};

const MAX_NESTING: usize = 100;
/// Values that one text may hold, and that all texts together may come to: 10,000 large services have half of it.
pub const MAX_VALUES: usize = 2_000_000;
/// Values that a text may come to when every alias is expanded: this many, ...
const MAX_EXPANDED: usize = 250_000;
/// ... or, for texts that are long themselves, this many for every value that is written.
const MAX_EXPANSION: usize = 16;

/// The documents of a text. Findings go to `findings`; after a syntax error, what was whole before it is returned.
pub fn parse(source: u32, text: &str, findings: &mut Vec<Diagnostic>) -> Vec<Rc<Node>> {
    const MARK: char = '\u{feff}';
    if text.starts_with([MARK]) && text.trim_start_matches(MARK).len() + MARK.len_utf8() < text.len() {
        let (start, end) = (MARK.len_utf8() as u32, 2 * MARK.len_utf8() as u32);
        findings.push(Diagnostic::error("a second byte order mark").at(Span { source, start, end }));
    }
    let mut reader = Reader::new(source, text, findings);
    let mut documents = Vec::new();
    loop {
        match reader.document() {
            Ok(Some(document)) => documents.push(document),
            Ok(None) => return documents,
            Err(finding) => {
                reader.findings.push(*finding);
                return documents;
            }
        }
    }
}

/// A finding after which reading on makes no sense.
type Fatal = Box<Diagnostic>;

/// A node and what it weighs with its aliases expanded.
type Weighed = (Rc<Node>, usize);

struct Reader<'a, 'f> {
    source: u32,
    text: &'a str,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    findings: &'f mut Vec<Diagnostic>,
    anchors: HashMap<usize, Weighed>,
    /// Where aliases stand for nothing.
    broken: HashSet<u32>,
    /// Values so far, as they are written.
    values: usize,
    /// What aliases and merge keys have added to them so far.
    expanded: usize,
}

fn too_deep(place: Span) -> Diagnostic {
    Diagnostic::error("nested too deeply").at(place).help(format!("no more than {MAX_NESTING} levels are read"))
}

impl<'a, 'f> Reader<'a, 'f> {
    fn new(source: u32, text: &'a str, findings: &'f mut Vec<Diagnostic>) -> Self {
        let options = granit_parser::options! {
            emit_comments: false,
            emit_unresolved_aliases: true,
            flow_nesting_limit: MAX_NESTING,
            block_nesting_limit: MAX_NESTING,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        Self { source, text, parser, findings, anchors: HashMap::new(), broken: HashSet::new(), values: 0, expanded: 0 }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Fatal> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or(0..0);
                Ok((event, self.span(range.start, range.end)))
            }
            Some(Err(error)) => Err(Box::new(self.syntax_error(&error))),
            None => Ok((Event::StreamEnd, self.span(self.text.len(), self.text.len()))),
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span { source: self.source, start: start as u32, end: end as u32 }
    }

    fn syntax_error(&self, error: &ScanError) -> Diagnostic {
        let at = error.marker().byte_offset().unwrap_or(self.text.len()).min(self.text.len());
        if error.info() == "recursion limit exceeded" {
            return too_deep(self.span(at, at));
        }
        let mut finding = Diagnostic::error(format!("invalid YAML: {}", error.info())).at(self.span(at, at));
        let line_start = self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        if self.text.get(line_start..).is_some_and(|line| line.trim_start_matches(' ').starts_with('\t')) {
            finding = finding.help("YAML indents with spaces; tabs are not allowed");
        }
        finding
    }

    fn document(&mut self) -> Result<Option<Rc<Node>>, Fatal> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(None),
                (Event::DocumentStart(..), _) => {
                    self.anchors.clear();
                    let (event, span) = self.next()?;
                    return self.node(event, span, 0).map(|(node, _)| Some(node));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Weighed, Fatal> {
        // Flow collections inside block collections: each has its own limit in the parser.
        if depth > MAX_NESTING {
            return Err(Box::new(too_deep(span)));
        }
        let (anchor, (node, weight)) = match event {
            Event::Alias(id) => {
                let (node, weight) = self.alias(id, span);
                self.expand(weight, span)?;
                return Ok((node, weight));
            }
            Event::UnresolvedAlias(name) => {
                self.findings.push(Diagnostic::error(format!("unknown anchor `{name}`")).at(span));
                self.broken.insert(span.start);
                return Ok((Rc::new(Node::null(span)), 1));
            }
            Event::Scalar(text, style, anchor, tag) => (anchor, self.scalar(text, style, tag, span)?),
            Event::SequenceStart(_, anchor, tag) => (anchor, self.sequence(tag, span, depth)?),
            Event::MappingStart(_, anchor, tag) => (anchor, self.mapping(tag, span, depth)?),
            _ => return Err(Box::new(Diagnostic::error("invalid YAML: a value is missing").at(span))),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        Ok((node, weight))
    }

    fn alias(&mut self, id: usize, span: Span) -> Weighed {
        match self.anchors.get(&id) {
            Some((node, weight)) => (node.clone(), *weight),
            None => {
                self.findings.push(Diagnostic::error("an alias inside of its own anchor").at(span));
                self.broken.insert(span.start);
                (Rc::new(Node::null(span)), 1)
            }
        }
    }

    fn spend(&mut self, weight: usize, span: Span) -> Result<(), Fatal> {
        self.values = self.values.saturating_add(weight);
        if self.values.saturating_add(self.expanded) > MAX_VALUES {
            let finding = Diagnostic::error("too much data");
            return Err(Box::new(finding.because(span, format!("more than {MAX_VALUES} values up to here"))));
        }
        Ok(())
    }

    fn expand(&mut self, weight: usize, span: Span) -> Result<(), Fatal> {
        self.expanded = self.expanded.saturating_add(weight);
        let limit = MAX_EXPANDED.max(self.values.saturating_mul(MAX_EXPANSION)).min(MAX_VALUES);
        if self.expanded > limit {
            return Err(Box::new(
                Diagnostic::error("too much data")
                    .because(span, format!("more than {limit} values up to here"))
                    .help("aliases count with all that they stand for"),
            ));
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        tag: Option<Cow<'a, Tag>>,
        span: Span,
    ) -> Result<Weighed, Fatal> {
        let weight = 1 + text.len() / 256;
        self.spend(weight, span)?;
        if text.contains('\0') {
            self.findings.push(Diagnostic::error("a text cannot hold a NUL").at(span));
        }
        let as_text = tag.as_ref().is_some_and(|tag| tag.core_suffix() == Some("str"));
        let tag = self.merge_tag(tag, span);
        let plain = style == ScalarStyle::Plain && !as_text;
        let kind = Kind::Scalar { text: text.into_owned(), plain };
        Ok((Rc::new(Node { tag, ..Node::new(span, kind) }), weight))
    }

    fn sequence(&mut self, tag: Option<Cow<'a, Tag>>, start: Span, depth: usize) -> Result<Weighed, Fatal> {
        self.spend(1, start)?;
        let (mut items, mut weight) = (Vec::new(), 1usize);
        let end = loop {
            match self.next()? {
                (Event::SequenceEnd, span) => break span,
                (event, span) => {
                    let (item, item_weight) = self.node(event, span, depth + 1)?;
                    weight = weight.saturating_add(item_weight);
                    items.push(item);
                }
            }
        };
        let span = Span { end: end.end.max(start.end), ..start };
        let tag = self.merge_tag(tag, span);
        Ok((Rc::new(Node { tag, ..Node::new(span, Kind::Sequence(items)) }), weight))
    }

    fn mapping(&mut self, tag: Option<Cow<'a, Tag>>, start: Span, depth: usize) -> Result<Weighed, Fatal> {
        self.spend(1, start)?;
        let (mut entries, mut merged, mut weight) = (Mapping::new(), Vec::new(), 1usize);
        let end = loop {
            let (key, key_span) = match self.next()? {
                (Event::MappingEnd, span) => break span,
                (event, span) => (self.node(event, span, depth + 1)?.0, span),
            };
            let (event, span) = self.next()?;
            let (value, value_weight) = self.node(event, span, depth + 1)?;
            weight = weight.saturating_add(value_weight);
            match &key.kind {
                Kind::Scalar { text, plain: true } if text == "<<" => merged.push(value),
                _ => {
                    if let Some(name) = self.key(&key) {
                        self.insert(&mut entries, name, key_span, value);
                    }
                }
            }
        };
        for value in merged {
            weight = weight.saturating_add(self.merge(&mut entries, &value)?);
        }
        let span = Span { end: end.end.max(start.end), ..start };
        let tag = self.merge_tag(tag, span);
        Ok((Rc::new(Node { tag, ..Node::mapping(span, entries) }), weight))
    }

    /// Compose refuses keys that YAML reads as something other than a string.
    fn key(&mut self, key: &Node) -> Option<String> {
        match (&key.kind, key.plain()) {
            (Kind::Scalar { text, .. }, None | Some(super::Plain::Text(_))) => Some(text.clone()),
            (Kind::Scalar { .. }, Some(_)) => {
                let found = key.describe();
                self.findings.push(
                    Diagnostic::error(format!("a key must be a string, not {found}")).at(key.span).help("quote it"),
                );
                None
            }
            _ => {
                self.findings.push(Diagnostic::error("a key must be a string").at(key.span));
                None
            }
        }
    }

    fn insert(&mut self, entries: &mut Mapping, name: String, key: Span, value: Rc<Node>) {
        if let Some(first) = entries.get(&name) {
            let finding = Diagnostic::error(format!("duplicate key `{name}`")).at(key);
            self.findings.push(finding.because(first.key, "first set here"));
            return;
        }
        entries.insert(name, Entry { key, value });
    }

    /// `<<`: own keys win, then the earliest mapping of the list.
    fn merge(&mut self, entries: &mut Mapping, value: &Rc<Node>) -> Result<usize, Fatal> {
        let list = match &value.kind {
            Kind::Sequence(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        let mut weight = 0;
        for from in list {
            let Kind::Mapping(other) = &from.kind else {
                // An unknown anchor has been told of.
                if self.broken.contains(&from.span.start) {
                    continue;
                }
                let message = format!("`<<` takes a mapping or a list of mappings, not {}", from.describe());
                self.findings.push(Diagnostic::error(message).at(from.span));
                continue;
            };
            // The values were counted where they stand; this bounds the number of merges.
            self.expand(other.len(), from.span)?;
            for (name, entry) in other {
                weight += 1;
                match entries.get_mut(name) {
                    None => drop(entries.insert(name.clone(), entry.clone())),
                    // The tag still says what becomes of earlier files; the value is the own one.
                    Some(own) if entry.value.tag.is_some() && own.value.tag.is_none() => {
                        let tag = Some(MergeTag::Override);
                        own.value = Rc::new(Node { tag, ..own.value.as_ref().clone() });
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(weight)
    }

    fn merge_tag(&mut self, tag: Option<Cow<'a, Tag>>, span: Span) -> Option<MergeTag> {
        let tag = tag?;
        match (tag.handle(), tag.suffix()) {
            ("!", "reset") => Some(MergeTag::Reset),
            ("!", "override") => Some(MergeTag::Override),
            _ if tag.is_yaml_core_schema() || tag.handle().is_empty() && tag.suffix() == "!" => None,
            _ => {
                let finding = Diagnostic::warning(format!("the tag `{}` has no meaning here", tag.original())).at(span);
                self.findings.push(finding.help("Compose knows `!reset` and `!override`"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::diagnostics::{Diagnostics, SourceText};

    /// The tree in one line, without places.
    fn show(node: &Node) -> String {
        let tag = match node.tag {
            Some(MergeTag::Reset) => "!reset ",
            Some(MergeTag::Override) => "!override ",
            None => "",
        };
        let body = match &node.kind {
            Kind::Scalar { text, plain: true } => text.clone(),
            Kind::Scalar { text, plain: false } => format!("{text:?}"),
            Kind::Sequence(items) => format!("[{}]", items.iter().map(|n| show(n)).collect::<Vec<_>>().join(", ")),
            Kind::Mapping(entries) => {
                let entries: Vec<String> = entries.iter().map(|(k, e)| format!("{k}: {}", show(&e.value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
        };
        format!("{tag}{body}")
    }

    fn read(text: &str) -> (Vec<String>, String) {
        let mut findings = Vec::new();
        let documents = parse(0, text, &mut findings);
        let sources = vec![SourceText { name: "compose.yaml".into(), text: text.into() }];
        (documents.iter().map(|d| show(d)).collect(), Diagnostics::new(findings, sources).render(false))
    }

    #[test]
    fn documents_anchors_merge_keys_and_tags_are_read() {
        let (documents, findings) = read(
            "base: &b {a: 1, b: '2'}\nmore: &m {b: 3, c: [x, \"y\"]}\none:\n  <<: [*b, *m]\n  a: own\n---\nx: !reset null\ny: !override [a]\nz: !!str 8\n",
        );
        assert_eq!(findings, "");
        assert_eq!(
            documents,
            [
                r#"{base: {a: 1, b: "2"}, more: {b: 3, c: [x, "y"]}, one: {a: own, b: "2", c: [x, "y"]}}"#,
                r#"{x: !reset null, y: !override [a], z: "8"}"#
            ]
        );
        assert_eq!(read("").0, Vec::<String>::new());
        assert_eq!(read("# only a comment\n").0, Vec::<String>::new());
    }

    #[test]
    fn an_alias_bomb_is_stopped_by_its_weight() {
        let line = |i: usize| match i {
            0 => "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(),
            _ => format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(",")),
        };
        let (documents, findings) = read(&(0..12).map(line).collect::<String>());
        assert!(documents.is_empty());
        assert!(findings.starts_with("error: too much data\n"), "{findings}");
    }

    #[test]
    fn a_bomb_of_merge_keys_is_stopped_too() {
        let keys: String = (0..3000).map(|i| format!("  k{i}: 1\n")).collect();
        let text = format!("a: &a\n{keys}b:\n  <<: [{}]\n", vec!["*a"; 3000].join(","));
        assert!(read(&text).1.starts_with("error: too much data\n"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(5000), "? ".repeat(5000)] {
            let (_, findings) = read(&text);
            assert!(findings.starts_with("error: nested too deeply"), "{findings}");
        }
        let mixed = format!("{}{}{}", "- ".repeat(90), "[".repeat(90), "]".repeat(90));
        assert!(read(&mixed).1.contains("nested too deeply"));
    }

    #[test]
    fn errors_of_one_text_are_all_reported_with_their_places() {
        insta::assert_snapshot!(read("a: 1\nb: *nope\na: 2\n3: x\nc: &c [*c]\nd: {<<: 5}\ne: !foo x\n").1, @r"
        error: unknown anchor `nope`
         --> compose.yaml:2:4
          |
        2 | b: *nope
          |    ^^^^^

        error: duplicate key `a`
         --> compose.yaml:3:1
          |
        1 | a: 1
          | - first set here
        2 | b: *nope
        3 | a: 2
          | ^

        error: a key must be a string, not the number 3
         --> compose.yaml:4:1
          |
        4 | 3: x
          | ^
          |
          = help: quote it

        error: an alias inside of its own anchor
         --> compose.yaml:5:8
          |
        5 | c: &c [*c]
          |        ^^

        error: `<<` takes a mapping or a list of mappings, not the number 5
         --> compose.yaml:6:9
          |
        6 | d: {<<: 5}
          |         ^

        warning: the tag `!foo` has no meaning here
         --> compose.yaml:7:9
          |
        7 | e: !foo x
          |         ^
          |
          = help: Compose knows `!reset` and `!override`
        ");
    }
}
