//! `${VARIABLES}` in every value of a tree, and in `.env` files.
//!
//! Keys stay as they are. A value that held a variable is text from then on, whatever it looks like, and remembers
//! which variables went into it and where they came from.

mod template;

use super::{
    Variable,
    diagnostics::{Diagnostic, Span},
    source::Sources,
    tree::{Entry, Kind, MergeTag, Node, Origin, Trail, Used},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    rc::Rc,
};
use template::{Operator, Part, Reference};

/// All the text that interpolation may make in one run: values that double each other grow without end.
pub const MAX_BYTES: usize = 32 << 20;

/// What variables stand for, and what was seen of them.
#[derive(Debug)]
pub struct Interpolator {
    environment: BTreeMap<String, String>,
    /// From env files: the environment wins. The first is that of the project; each further one belongs to an included
    /// file and is seen only where those before it say nothing.
    learned: Vec<BTreeMap<String, Learned>>,
    seen: BTreeMap<String, Variable>,
    left: usize,
    enabled: bool,
}

/// A variable of an env file.
#[derive(Debug)]
struct Learned {
    value: String,
    origin: Origin,
}

/// What one text came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub text: String,
    /// Every variable that was looked at, in order.
    pub used: Vec<Used>,
    /// Variables without a value, with the bytes of the text that name them.
    pub unset: Vec<(String, Range<usize>)>,
}

#[derive(Debug, PartialEq)]
pub struct Failure {
    pub range: Range<usize>,
    pub reason: Reason,
}

#[derive(Debug, PartialEq)]
pub enum Reason {
    Malformed,
    /// `?`, with the words that the file gives.
    Required {
        name: String,
        words: String,
        /// Where it is set to nothing, if that is what is wrong.
        empty: Option<Origin>,
    },
    TooMuch,
}

impl Interpolator {
    pub fn new(environment: BTreeMap<String, String>) -> Self {
        Self::with_budget(environment, MAX_BYTES)
    }

    /// May make `budget` bytes of text.
    pub fn with_budget(environment: BTreeMap<String, String>, budget: usize) -> Self {
        Self { environment, learned: vec![BTreeMap::new()], seen: BTreeMap::new(), left: budget, enabled: true }
    }

    pub fn budget(&self) -> usize {
        self.left
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.lookup(name).map(|(value, _)| value)
    }

    /// The value of a variable, and where it comes from.
    pub fn lookup(&self, name: &str) -> Option<(&str, Origin)> {
        if let Some(value) = self.environment.get(name) {
            return Some((value, Origin::Process));
        }
        self.learned.iter().find_map(|file| file.get(name)).map(|found| (found.value.as_str(), found.origin))
    }

    /// The line of an env file that gives a variable a value, whether the environment wins over it or not.
    pub fn line(&self, name: &str) -> Option<Span> {
        let found = self.learned.iter().find_map(|file| file.get(name))?;
        match found.origin {
            Origin::File(line) => Some(line),
            _ => None,
        }
    }

    /// From an env file: the last one that names a variable wins, the environment over all of them.
    pub fn learn(&mut self, name: &str, value: String, origin: Origin) {
        if let Some(innermost) = self.learned.last_mut() {
            innermost.insert(name.to_owned(), Learned { value, origin });
        }
    }

    /// From here to `leave`, `learn` is about the env files of an included project: all that is known wins over them.
    pub fn enter(&mut self) {
        self.learned.push(BTreeMap::new());
    }

    pub fn leave(&mut self) {
        self.learned.pop();
    }

    /// Like `leave`, but what was learned stays, below what was known.
    pub fn leave_below(&mut self) {
        let Some(inner) = self.learned.pop() else { return };
        for (name, found) in inner {
            if let Some(outer) = self.learned.last_mut() {
                outer.entry(name).or_insert(found);
            }
        }
    }

    /// Like `leave`, but what was learned stays, over what was known.
    pub fn leave_above(&mut self) {
        let Some(inner) = self.learned.pop() else { return };
        if let Some(outer) = self.learned.last_mut() {
            outer.extend(inner);
        }
    }

    /// As if the environment had it.
    pub fn force(&mut self, name: &str, value: String) {
        self.environment.insert(name.to_owned(), value);
    }

    /// Leaves values of trees as they are from now on; env files are resolved nevertheless.
    pub fn disable(&mut self) {
        self.enabled = false;
    }

    /// All variables, and all mentions of them.
    pub fn into_parts(self) -> (BTreeMap<String, String>, Vec<Variable>) {
        let learned = self.learned.into_iter().rev().flatten();
        let mut variables: BTreeMap<String, String> = learned.map(|(name, found)| (name, found.value)).collect();
        variables.extend(self.environment);
        (variables, self.seen.into_values().collect())
    }

    pub fn text(&mut self, text: &str) -> Result<Outcome, Failure> {
        let parts =
            template::parse(text).map_err(|malformed| Failure { range: malformed.range, reason: Reason::Malformed })?;
        let mut outcome = Outcome::default();
        self.evaluate(&parts, 0..text.len(), &mut outcome)?;
        Ok(outcome)
    }

    fn evaluate(&mut self, parts: &[Part], whole: Range<usize>, out: &mut Outcome) -> Result<(), Failure> {
        for part in parts {
            match part {
                Part::Literal(text) => self.append(&mut out.text, text, &whole)?,
                Part::Variable(reference) => self.reference(reference, out)?,
            }
        }
        Ok(())
    }

    fn reference(&mut self, reference: &Reference, out: &mut Outcome) -> Result<(), Failure> {
        self.note(reference);
        let Reference { name, range, operation } = reference;
        let found = self.lookup(name).map(|(value, origin)| (value.to_owned(), origin));
        let Some(operation) = operation else {
            let (value, origin) = found.unwrap_or_else(|| {
                out.unset.push((name.clone(), range.clone()));
                (String::new(), Origin::Unset)
            });
            self.append(&mut out.text, &value, range)?;
            out.used.push(Used { name: name.clone(), value, origin });
            return Ok(());
        };
        let empty = found.as_ref().filter(|(value, _)| value.is_empty()).map(|(_, origin)| *origin);
        let present = found.filter(|(value, _)| !(operation.or_empty && value.is_empty()));
        match (operation.operator, present) {
            (Operator::Default | Operator::Required, Some((value, origin))) => {
                self.append(&mut out.text, &value, range)?;
                out.used.push(Used { name: name.clone(), value, origin });
                Ok(())
            }
            (Operator::Alternate, None) => {
                out.used.push(Used { name: name.clone(), value: String::new(), origin: Origin::Unset });
                Ok(())
            }
            (Operator::Default, None) | (Operator::Alternate, Some(_)) => self.operand(name, range, operation, out),
            (Operator::Required, None) => {
                let mut words = Outcome::default();
                self.evaluate(&operation.operand, range.clone(), &mut words)?;
                out.unset.append(&mut words.unset);
                let reason = Reason::Required { name: name.clone(), words: words.text, empty };
                Err(Failure { range: range.clone(), reason })
            }
        }
    }

    /// The default or the alternative that a reference itself gives.
    fn operand(
        &mut self,
        name: &str,
        range: &Range<usize>,
        operation: &template::Operation,
        out: &mut Outcome,
    ) -> Result<(), Failure> {
        let (start, place) = (out.text.len(), out.used.len());
        self.evaluate(&operation.operand, range.clone(), out)?;
        let value = out.text[start..].to_owned();
        self.spend(value.len(), range)?;
        out.used.insert(place, Used { name: name.to_owned(), value, origin: Origin::Reference });
        Ok(())
    }

    fn append(&mut self, out: &mut String, text: &str, range: &Range<usize>) -> Result<(), Failure> {
        self.spend(text.len(), range)?;
        out.push_str(text);
        Ok(())
    }

    fn spend(&mut self, bytes: usize, range: &Range<usize>) -> Result<(), Failure> {
        let too_much = || Failure { range: range.clone(), reason: Reason::TooMuch };
        self.left = self.left.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }

    /// The first mention of a variable with an operator is the one that is told of.
    fn note(&mut self, reference: &Reference) {
        let new = || Variable { name: reference.name.clone(), required: false, default: None, alternate: None };
        let seen = self.seen.entry(reference.name.clone()).or_insert_with(new);
        let Some(operation) = &reference.operation else { return };
        match operation.operator {
            Operator::Required => seen.required = true,
            Operator::Default => seen.default = seen.default.take().or_else(|| Some(operation.raw.clone())),
            Operator::Alternate => seen.alternate = seen.alternate.take().or_else(|| Some(operation.raw.clone())),
        }
    }

    /// Takes note of the variables in a tree that stays as it is. What is malformed stays as well.
    fn mentions(&mut self, node: &Rc<Node>, seen: &mut HashSet<*const Node>) {
        if Rc::strong_count(node) > 1 && !seen.insert(Rc::as_ptr(node)) {
            return;
        }
        match &node.kind {
            Kind::Scalar { text, .. } if text.contains('$') => {
                self.note_all(&template::parse(text).unwrap_or_default())
            }
            Kind::Scalar { .. } => {}
            Kind::Sequence(items) => items.iter().for_each(|item| self.mentions(item, seen)),
            Kind::Mapping(entries) => entries.values().for_each(|entry| self.mentions(&entry.value, seen)),
        }
    }

    fn note_all(&mut self, parts: &[Part]) {
        for part in parts {
            if let Part::Variable(reference) = part {
                self.note(reference);
                if let Some(operation) = &reference.operation {
                    self.note_all(&operation.operand);
                }
            }
        }
    }

    /// The tree with every value resolved, but for those that `!reset` takes away.
    ///
    /// Costs what the tree costs without its aliases, and nothing where there is no dollar.
    pub fn tree(&mut self, node: &Rc<Node>, sources: &Sources, findings: &mut Vec<Diagnostic>) -> Rc<Node> {
        if !self.enabled {
            self.mentions(node, &mut HashSet::new());
            return node.clone();
        }
        Walk { interpolator: self, sources, findings, shared: HashMap::new() }.node(node)
    }
}

struct Walk<'a> {
    interpolator: &'a mut Interpolator,
    sources: &'a Sources,
    findings: &'a mut Vec<Diagnostic>,
    /// What anchored nodes came to: aliases are the same node.
    shared: HashMap<*const Node, Rc<Node>>,
}

impl Walk<'_> {
    fn node(&mut self, node: &Rc<Node>) -> Rc<Node> {
        if node.tag == Some(MergeTag::Reset) {
            return node.clone();
        }
        let shared = Rc::strong_count(node) > 1 && !matches!(node.kind, Kind::Scalar { .. });
        if shared && let Some(known) = self.shared.get(&Rc::as_ptr(node)) {
            return known.clone();
        }
        let resolved = match &node.kind {
            Kind::Scalar { text, .. } if text.contains('$') => self.scalar(node, text),
            Kind::Scalar { .. } => None,
            Kind::Sequence(items) => self.sequence(items).map(|kind| node.with(kind)),
            Kind::Mapping(entries) => self.mapping(entries).map(|kind| node.with(kind)),
        };
        let resolved = resolved.map_or_else(|| node.clone(), Rc::new);
        if shared {
            self.shared.insert(Rc::as_ptr(node), resolved.clone());
        }
        resolved
    }

    fn sequence(&mut self, items: &[Rc<Node>]) -> Option<Kind> {
        let resolved: Vec<Rc<Node>> = items.iter().map(|item| self.node(item)).collect();
        let same = resolved.iter().zip(items).all(|(new, old)| Rc::ptr_eq(new, old));
        (!same).then_some(Kind::Sequence(resolved))
    }

    fn mapping(&mut self, entries: &indexmap::IndexMap<String, Entry>) -> Option<Kind> {
        let mut changed = None;
        for (name, entry) in entries {
            let value = self.node(&entry.value);
            if !Rc::ptr_eq(&value, &entry.value) {
                let kept = Entry { key: entry.key, value };
                changed.get_or_insert_with(|| entries.clone()).insert(name.clone(), kept);
            }
        }
        changed.map(Kind::Mapping)
    }

    fn scalar(&mut self, node: &Node, text: &str) -> Option<Node> {
        let outcome = match self.interpolator.text(text) {
            Ok(outcome) => outcome,
            Err(failure) => {
                let span = self.sources.within(node.span, &text[failure.range.clone()]);
                self.findings.push(failure_finding(&failure.reason, span));
                Outcome::default()
            }
        };
        for (name, range) in &outcome.unset {
            let span = self.sources.within(node.span, &text[range.clone()]);
            self.findings.push(unset_warning(name).at(span));
        }
        let trail = match outcome.used {
            none if none.is_empty() => node.trail.clone(),
            variables => Some(Rc::new(Trail { variables, ..Trail::default() })),
        };
        Some(Node { trail, ..node.with(Kind::Scalar { text: outcome.text, plain: false }) })
    }
}

pub fn unset_warning(name: &str) -> Diagnostic {
    Diagnostic::warning(format!("The \"{name}\" variable is not set. Defaulting to a blank string."))
}

pub fn failure_finding(reason: &Reason, span: Span) -> Diagnostic {
    match reason {
        Reason::Malformed => Diagnostic::error("invalid interpolation format")
            .at(span)
            .help("write `$$` for a dollar that starts no variable"),
        Reason::Required { name, words, empty } => {
            let colon = if words.is_empty() { "" } else { ": " };
            let finding =
                Diagnostic::error(format!("required variable {name} is missing a value{colon}{words}")).at(span);
            match empty {
                Some(Origin::File(line)) => finding.because(*line, "set to nothing here"),
                Some(_) => finding.help(format!("{name} is set, to nothing, in the environment")),
                None => finding,
            }
        }
        Reason::TooMuch => Diagnostic::error(format!("variables expand to more than {} MiB", MAX_BYTES >> 20)).at(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpolator() -> Interpolator {
        let variables = [("SET", "value"), ("EMPTY", ""), ("PORT", "8080")];
        Interpolator::new(variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into())
    }

    #[test]
    fn every_operator_does_what_compose_does() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$SET ${SET}.", "value value."),
            ("$SETX|$UNSET|", "||"),
            ("${UNSET:-d} ${UNSET-d} ${EMPTY:-d} ${EMPTY-d}", "d d d "),
            ("${SET:-d} ${SET-d}", "value value"),
            ("${SET:+a} ${SET+a} ${EMPTY:+a} ${EMPTY+a} ${UNSET:+a} ${UNSET+a}", "a a  a  "),
            ("${SET:?e} ${SET?e} ${EMPTY?e}", "value value "),
            ("${UNSET:-${EMPTY:-${PORT}}}", "8080"),
            ("${UNSET:-a:-b}", "a:-b"),
            ("${UNSET:-{\"a\": 1}}", "{\"a\": 1}"),
            ("${UNSET:-}", ""),
            ("${UNSET:-a{b}c} ${UNSET:-{{.X}}}", "a{b}c {{.X}}"),
            ("${UNSET:-{a}", "{a"),
            ("{${SET}} {$SET}", "{value} {value}"),
            ("$$ $$SET $${SET} $5 $ 100$", "$ $SET ${SET} $5 $ 100$"),
            ("${UNSET:-$${SET}}", "${SET}"),
            ("${SET:-$${X}} tail", "value tail"),
            ("é${SET}é", "évalueé"),
        ] {
            assert_eq!(interpolator().text(text).unwrap().text, expected, "{text}");
        }
    }

    #[test]
    fn a_branch_that_is_not_used_is_not_looked_at() {
        let outcome = interpolator().text("${SET:-$NOPE} ${SET:-${ALSO:?not}} ${UNSET:+$NOPE} $GONE").unwrap();
        assert_eq!(outcome.unset, [("GONE".to_owned(), 51..56)]);
    }

    #[test]
    fn a_required_variable_fails_with_the_words_of_the_file() {
        let failure = interpolator().text("x ${UNSET:?set ${SET} first}").unwrap_err();
        assert_eq!(failure.range, 2..28);
        assert_eq!(
            failure.reason,
            Reason::Required { name: "UNSET".into(), words: "set value first".into(), empty: None }
        );
        assert!(interpolator().text("${EMPTY:?}").is_err());
    }

    #[test]
    fn values_cannot_grow_without_end() {
        let mut interpolator = Interpolator::new([("A".to_owned(), "x".repeat(1 << 20))].into());
        assert_eq!(interpolator.text(&"$A".repeat(40)).unwrap_err().reason, Reason::TooMuch);
    }
}
