//! Merged tree -> what does not have the shape of a Compose file, all at once, each at its place.
//!
//! One walk over tree and shape side by side. An `x-` attribute is not looked into; a value of the wrong kind neither.

use super::{
    patterns::Pattern,
    shape::{List, Mapping, Number, Shape, Text, shape},
    wording,
};
use crate::compose::{
    diagnostics::{Diagnostic, MAX_SHOWN, did_you_mean},
    tree::{self, Kind, Node, Plain},
};
use std::{collections::HashMap, fmt, rc::Rc};

/// Finds unknown and missing attributes, wrong kinds, values out of range, words that are none, and repetitions.
///
/// Variables are resolved: a text is what it is.
pub fn check(root: &Rc<Node>, findings: &mut Vec<Diagnostic>) {
    Check { path: Path::default(), findings }.node(root, shape());
}

struct Check<'t, 'f> {
    path: Path<'t>,
    findings: &'f mut Vec<Diagnostic>,
}

/// The way to a value, which is written out only for a finding.
#[derive(Default)]
pub struct Path<'t>(Vec<Step<'t>>);

#[derive(Clone, Copy)]
enum Step<'t> {
    Key(&'t str),
    Index(usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if depth == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl<'t> Check<'t, '_> {
    fn node(&mut self, node: &'t Rc<Node>, shape: &Shape) {
        if shape.anything {
            return;
        }
        let known = match &node.kind {
            Kind::Mapping(entries) => shape.mapping.as_ref().map(|mapping| self.mapping(node, entries, mapping)),
            Kind::Sequence(items) => shape.list.as_ref().map(|list| self.list(items, list)),
            Kind::Scalar { text, plain } => self.scalar(node, text, *plain, shape),
        };
        if known.is_none() {
            self.report(wording::wrong_kind(&self.path, node, shape));
        }
    }

    /// `None`: the kind is not wanted.
    fn scalar(&mut self, node: &Node, text: &str, plain: bool, shape: &Shape) -> Option<()> {
        let value = if plain { Plain::resolve(text) } else { Plain::Text(text) };
        match value {
            Plain::Null => shape.null.then_some(()),
            Plain::Bool(_) => shape.boolean.then_some(()),
            Plain::Int(value) => {
                let number = shape.number.as_ref()?;
                self.range(node, value, number);
                Some(())
            }
            Plain::Float(value) => {
                let number = shape.number.as_ref()?;
                if number.whole && value.fract() != 0.0 {
                    return None;
                }
                // Bounds are small: where the cast saturates, it saturates on the right side.
                self.range(node, value as i64, number);
                Some(())
            }
            // More than fits a signed number, which is why it is kept as text.
            Plain::Text(text) if plain && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
                let number = shape.number.as_ref()?;
                self.range(node, i64::MAX, number);
                Some(())
            }
            Plain::Text(text) => self.text(node, text, shape),
        }
    }

    fn text(&mut self, node: &Node, text: &str, shape: &Shape) -> Option<()> {
        let Text { words, pattern } = shape.text.as_ref()?;
        if !words.is_empty() && !words.iter().any(|word| word == text) {
            self.report(wording::no_such_word(&self.path, node, words, text));
        }
        match pattern {
            Some(pattern) if !pattern.accepts(text) => self.report(wording::mismatch(&self.path, node, shape)),
            // The text is read as the number that it says.
            Some(Pattern::Integer) => {
                if let (Some(number), Ok(value)) = (&shape.number, text.parse()) {
                    self.range(node, value, number);
                }
            }
            _ => {}
        }
        Some(())
    }

    fn range(&mut self, node: &Node, value: i64, number: &Number) {
        if let Some(minimum) = number.minimum.filter(|minimum| value < *minimum) {
            self.report(wording::out_of_range(&self.path, node, "less", minimum));
        }
        if let Some(maximum) = number.maximum.filter(|maximum| value > *maximum) {
            self.report(wording::out_of_range(&self.path, node, "more", maximum));
        }
    }

    fn mapping(&mut self, node: &'t Rc<Node>, entries: &'t tree::Mapping, mapping: &Mapping) {
        for (name, entry) in entries {
            let shape = match (mapping.properties.get(name), &mapping.named) {
                (Some(shape), _) => shape,
                (None, Some((pattern, shape))) => {
                    if pattern.is_some_and(|pattern| !pattern.accepts(name)) {
                        self.report(wording::bad_name(&self.path, name, entry.key));
                    }
                    shape
                }
                (None, None) if mapping.extensions && Pattern::Extension.accepts(name) => continue,
                (None, None) => {
                    // A guess compares with every attribute, and is worth it only where somebody reads it.
                    let candidates = mapping.properties.keys().map(String::as_str);
                    let meant = if self.findings.len() < MAX_SHOWN { did_you_mean(name, candidates) } else { None };
                    self.report(wording::unknown(&self.path, name, entry.key, meant));
                    continue;
                }
            };
            self.below(Step::Key(name), &entry.value, shape);
        }
        for name in mapping.required.iter().filter(|name| !entries.contains_key(*name)) {
            self.report(wording::missing(&self.path, node, name));
        }
    }

    fn list(&mut self, items: &'t [Rc<Node>], list: &List) {
        for (index, item) in items.iter().enumerate() {
            self.below(Step::Index(index), item, &list.item);
        }
        if list.unique {
            self.unique(items);
        }
    }

    fn unique(&mut self, items: &'t [Rc<Node>]) {
        let mut seen: HashMap<String, usize> = HashMap::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let mut value = String::new();
            write_value(item, &mut value);
            match seen.get(&value) {
                Some(first) => self.report(wording::repeated(&self.path, index, item, *first, &items[*first])),
                None => drop(seen.insert(value, index)),
            }
        }
    }

    fn below(&mut self, step: Step<'t>, node: &'t Rc<Node>, shape: &Shape) {
        self.path.0.push(step);
        self.node(node, shape);
        self.path.0.pop();
    }

    fn report(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }
}

/// A text that two values share only if they are the same: `80` and `"80"` are not, `a: 1, b: 2` and `b: 2, a: 1` are.
fn write_value(node: &Node, out: &mut String) {
    match &node.kind {
        Kind::Scalar { text, plain } => match if *plain { Plain::resolve(text) } else { Plain::Text(text) } {
            Plain::Text(text) => write_text(text, out),
            Plain::Null => out.push_str("null"),
            value => out.push_str(&value.to_text()),
        },
        Kind::Sequence(items) => {
            out.push('[');
            for item in items {
                write_value(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Kind::Mapping(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, entry) in sorted {
                write_text(name, out);
                out.push(':');
                write_value(&entry.value, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

/// With its length in front, no text can look like the end of another value.
fn write_text(text: &str, out: &mut String) {
    out.push_str(&text.len().to_string());
    out.push('"');
    out.push_str(text);
}
