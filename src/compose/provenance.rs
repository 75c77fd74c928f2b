//! Errors in values that variables went into: which variables, and who set them.
//!
//! The phases after interpolation know nothing of variables. What they find is told apart here by its place.

use super::{
    diagnostics::{Diagnostic, Severity, Span},
    source::Sources,
    tree::{Kind, Node, Origin, Trail, Used},
};
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// Adds to each error in a value with variables where the variables come from. `root` is the merged tree.
pub fn annotate(root: &Rc<Node>, sources: &Sources, findings: &mut [Diagnostic]) {
    let mut wrong = findings.iter_mut().filter(|finding| finding.severity == Severity::Error).peekable();
    if wrong.peek().is_none() {
        return;
    }
    let values = Values::of(root);
    for finding in wrong {
        let Some((place, _)) = finding.places.first() else { continue };
        if let Some((span, trail)) = values.around(*place) {
            explain(finding, span, &trail.variables, sources);
        }
    }
}

fn explain(finding: &mut Diagnostic, value: Span, variables: &[Used], sources: &Sources) {
    let mut told = HashSet::new();
    let distinct: Vec<&Used> = variables.iter().filter(|used| told.insert(&used.name)).collect();
    if let ([used], Some((place, _))) = (distinct.as_slice(), finding.places.first_mut())
        && *place == value
        && let Some(reference) = reference(value, &used.name, sources)
    {
        *place = reference;
    }
    for used in distinct {
        let Used { name, value, origin } = used;
        match origin {
            Origin::File(line) if finding.places.iter().all(|(place, _)| place != line) => {
                finding.places.push((*line, format!("{name} is {} here", quoted(value))));
            }
            Origin::Process => finding.help.push(format!("{name} is {} in the environment", quoted(value))),
            Origin::Unset if value.is_empty() => finding.help.push(format!("{name} is not set")),
            Origin::File(_) | Origin::Reference | Origin::Unset => {}
        }
    }
}

/// Where a value mentions a variable, if it does so in these very letters.
fn reference(value: Span, name: &str, sources: &Sources) -> Option<Span> {
    if let Some(start) = sources.find(value, &format!("${{{name}")) {
        let rest = sources.text(Span { start: start.start, ..value })?;
        let mut open = 0usize;
        let end = rest.char_indices().find(|(_, c)| {
            match c {
                '{' => open += 1,
                '}' => open = open.saturating_sub(1),
                _ => {}
            }
            *c == '}' && open == 0
        });
        return end.map(|(at, _)| Span { end: start.start + at as u32 + 1, ..start });
    }
    sources.find(value, &format!("${name}"))
}

fn quoted(value: &str) -> String {
    const LONGEST: usize = 40;
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// The values of a tree that variables went into, by place.
struct Values(Vec<(Span, Rc<Trail>)>);

impl Values {
    fn of(root: &Rc<Node>) -> Self {
        let mut found = HashMap::new();
        let (mut open, mut seen) = (vec![root], HashSet::new());
        while let Some(node) = open.pop() {
            // Anchors are the same node wherever they are used.
            if Rc::strong_count(node) > 1 && !seen.insert(Rc::as_ptr(node)) {
                continue;
            }
            match (&node.kind, &node.trail) {
                (Kind::Scalar { .. }, Some(trail)) if !trail.variables.is_empty() => {
                    found.insert(node.span, trail.clone());
                }
                (Kind::Scalar { .. }, _) => {}
                (Kind::Sequence(items), _) => open.extend(items),
                (Kind::Mapping(entries), _) => open.extend(entries.values().map(|entry| &entry.value)),
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable_by_key(|(span, _)| (span.source, span.start));
        Self(found)
    }

    /// The value that `place` is a part of.
    fn around(&self, place: Span) -> Option<(Span, &Trail)> {
        let after = self.0.partition_point(|(span, _)| (span.source, span.start) <= (place.source, place.start));
        let (span, trail) = self.0.get(after.checked_sub(1)?)?;
        (span.source == place.source && place.end <= span.end).then_some((*span, trail))
    }
}
