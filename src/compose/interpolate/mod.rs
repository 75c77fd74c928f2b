//! `${VARIABLES}` in every value of a tree, and in `.env` files.
//!
//! Keys stay as they are. A value that held a variable is text from then on, whatever it looks like.

mod template;

use super::{
    Variable,
    diagnostics::{Diagnostic, Span},
    source::Sources,
    tree::{Entry, Kind, Node},
};
use std::{collections::BTreeMap, ops::Range, rc::Rc};
use template::{Operator, Part, Reference};

/// All the text that interpolation may make in one run: values that double each other grow without end.
pub const MAX_BYTES: usize = 32 << 20;

/// What variables stand for, and what was seen of them.
#[derive(Debug)]
pub struct Interpolator {
    environment: BTreeMap<String, String>,
    /// From env files: the environment wins.
    learned: BTreeMap<String, String>,
    seen: BTreeMap<String, Variable>,
    left: usize,
}

/// What one text came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub text: String,
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
    },
    TooMuch,
}

impl Interpolator {
    pub fn new(environment: BTreeMap<String, String>) -> Self {
        Self::with_budget(environment, MAX_BYTES)
    }

    /// May make `budget` bytes of text.
    pub fn with_budget(environment: BTreeMap<String, String>, budget: usize) -> Self {
        Self { environment, learned: BTreeMap::new(), seen: BTreeMap::new(), left: budget }
    }

    pub fn budget(&self) -> usize {
        self.left
    }

    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).or_else(|| self.learned.get(name)).map(String::as_str)
    }

    /// From an env file: the last one that names a variable wins, the environment over all of them.
    pub fn learn(&mut self, name: &str, value: String) {
        self.learned.insert(name.to_owned(), value);
    }

    /// From an env file that all others win over.
    pub fn learn_below(&mut self, name: &str, value: String) {
        self.learned.entry(name.to_owned()).or_insert(value);
    }

    /// As if the environment had it.
    pub fn force(&mut self, name: &str, value: String) {
        self.environment.insert(name.to_owned(), value);
    }

    /// All variables, and all mentions of them.
    pub fn into_parts(self) -> (BTreeMap<String, String>, Vec<Variable>) {
        let mut variables = self.learned;
        variables.extend(self.environment);
        (variables, self.seen.into_values().collect())
    }

    pub fn text(&mut self, text: &str) -> Result<Outcome, Failure> {
        let parts =
            template::parse(text).map_err(|malformed| Failure { range: malformed.range, reason: Reason::Malformed })?;
        let mut outcome = Outcome::default();
        self.evaluate(&parts, 0..text.len(), &mut outcome.text, &mut outcome.unset)?;
        Ok(outcome)
    }

    fn evaluate(
        &mut self,
        parts: &[Part],
        whole: Range<usize>,
        out: &mut String,
        unset: &mut Vec<(String, Range<usize>)>,
    ) -> Result<(), Failure> {
        for part in parts {
            match part {
                Part::Literal(text) => self.append(out, text, &whole)?,
                Part::Variable(reference) => self.reference(reference, out, unset)?,
            }
        }
        Ok(())
    }

    fn reference(
        &mut self,
        reference: &Reference,
        out: &mut String,
        unset: &mut Vec<(String, Range<usize>)>,
    ) -> Result<(), Failure> {
        self.note(reference);
        let Reference { name, range, operation } = reference;
        let value = self.get(name).map(str::to_owned);
        let Some(operation) = operation else {
            match value {
                Some(value) => self.append(out, &value, range)?,
                None => unset.push((name.clone(), range.clone())),
            }
            return Ok(());
        };
        let present = value.filter(|value| !(operation.or_empty && value.is_empty()));
        match (operation.operator, present) {
            (Operator::Default | Operator::Required, Some(value)) => self.append(out, &value, range),
            (Operator::Alternate, None) => Ok(()),
            (Operator::Default, None) | (Operator::Alternate, Some(_)) => {
                self.evaluate(&operation.operand, range.clone(), out, unset)
            }
            (Operator::Required, None) => {
                let mut words = String::new();
                self.evaluate(&operation.operand, range.clone(), &mut words, unset)?;
                Err(Failure { range: range.clone(), reason: Reason::Required { name: name.clone(), words } })
            }
        }
    }

    fn append(&mut self, out: &mut String, text: &str, range: &Range<usize>) -> Result<(), Failure> {
        self.left = self
            .left
            .checked_sub(text.len())
            .ok_or_else(|| Failure { range: range.clone(), reason: Reason::TooMuch })?;
        out.push_str(text);
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

    /// The tree with every value resolved.
    pub fn tree(&mut self, node: &Rc<Node>, sources: &Sources, findings: &mut Vec<Diagnostic>) -> Rc<Node> {
        match &node.kind {
            Kind::Scalar { text, .. } if text.contains('$') => {
                let resolved = match self.text(text) {
                    Ok(outcome) => {
                        for (name, range) in &outcome.unset {
                            findings.push(unset_warning(name).at(sources.within(node.span, &text[range.clone()])));
                        }
                        outcome.text
                    }
                    Err(failure) => {
                        let span = sources.within(node.span, &text[failure.range.clone()]);
                        findings.push(failure_finding(&failure.reason, span));
                        String::new()
                    }
                };
                Rc::new(node.with(Kind::Scalar { text: resolved, plain: false }))
            }
            Kind::Scalar { .. } => node.clone(),
            Kind::Sequence(items) => {
                let items = items.iter().map(|item| self.tree(item, sources, findings)).collect();
                Rc::new(node.with(Kind::Sequence(items)))
            }
            Kind::Mapping(entries) => {
                let resolve = |(name, entry): (&String, &Entry)| {
                    (name.clone(), Entry { key: entry.key, value: self.tree(&entry.value, sources, findings) })
                };
                let entries = entries.iter().map(resolve).collect();
                Rc::new(node.with(Kind::Mapping(entries)))
            }
        }
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
        Reason::Required { name, words } if words.is_empty() => {
            Diagnostic::error(format!("required variable {name} is missing a value")).at(span)
        }
        Reason::Required { name, words } => {
            Diagnostic::error(format!("required variable {name} is missing a value: {words}")).at(span)
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
        assert_eq!(failure.reason, Reason::Required { name: "UNSET".into(), words: "set value first".into() });
        assert!(interpolator().text("${EMPTY:?}").is_err());
    }

    #[test]
    fn values_cannot_grow_without_end() {
        let mut interpolator = Interpolator::new([("A".to_owned(), "x".repeat(1 << 20))].into());
        assert_eq!(interpolator.text(&"$A".repeat(40)).unwrap_err().reason, Reason::TooMuch);
    }
}
