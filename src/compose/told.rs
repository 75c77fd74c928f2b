//! What has been told of already, so that one mistake is one error: the phases after the one that found it go on, and
//! would stumble over the same place again.

use super::{
    diagnostics::{Diagnostic, Severity, Span},
    tree::{Entry, Kind, Node},
};

/// The places of errors, to ask whether something touches one of them.
#[derive(Debug, Default)]
pub struct Told {
    /// By source and start. The last number is the furthest end of this range and those before it in its source.
    ranges: Vec<(u32, u32, u32)>,
}

impl Told {
    pub fn of(findings: &[Diagnostic]) -> Self {
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        let first = errors.filter_map(|finding| finding.places.first().map(|(span, _)| *span));
        let mut ranges: Vec<_> = first.map(|span| (span.source, span.start, end(span))).collect();
        ranges.sort_unstable();
        for index in 1..ranges.len() {
            let (before, here) = (ranges[index - 1], &mut ranges[index]);
            if before.0 == here.0 {
                here.2 = here.2.max(before.2);
            }
        }
        Self { ranges }
    }

    /// True where `span` and the place of an error have something in common.
    pub fn touches(&self, span: Span) -> bool {
        let after = self.ranges.partition_point(|(source, start, _)| (*source, *start) < (span.source, end(span)));
        let before = after.checked_sub(1).and_then(|index| self.ranges.get(index));
        before.is_some_and(|(source, _, furthest)| *source == span.source && *furthest > span.start)
    }

    /// True where an error is about a value or something in it. Walks the value.
    pub fn is_within(&self, entry: &Entry) -> bool {
        !self.ranges.is_empty() && (self.touches(entry.key) || self.is_in(&entry.value))
    }

    fn is_in(&self, node: &Node) -> bool {
        match &node.kind {
            Kind::Scalar { .. } => self.touches(node.span),
            Kind::Sequence(items) => items.iter().any(|item| self.is_in(item)),
            Kind::Mapping(entries) => entries.values().any(|entry| self.is_within(entry)),
        }
    }

    /// Only those findings of a later phase that are about something else.
    pub fn sift(&self, findings: &mut Vec<Diagnostic>) {
        findings.retain(|finding| finding.places.first().is_none_or(|(span, _)| !self.touches(*span)));
    }
}

/// A place of no width is as wide as one character.
fn end(span: Span) -> u32 {
    span.end.max(span.start.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_touches_what_it_has_something_in_common_with() {
        let span = |source, start, end| Span { source, start, end };
        let error = |place| Diagnostic::error("wrong").at(place);
        let told = Told::of(&[
            error(span(1, 50, 60)),
            error(span(0, 10, 100)),
            error(span(0, 20, 22)),
            error(span(0, 200, 200)),
            Diagnostic::warning("odd").at(span(0, 300, 310)),
        ]);
        for (place, expected) in [
            (span(0, 0, 10), false),
            (span(0, 0, 11), true),
            (span(0, 60, 61), true),
            (span(0, 100, 110), false),
            (span(0, 200, 201), true),
            (span(0, 300, 301), false),
            (span(1, 10, 20), false),
            (span(1, 55, 56), true),
            (span(2, 0, 1000), false),
        ] {
            assert_eq!(told.touches(place), expected, "{place:?}");
        }
        assert!(!Told::default().touches(span(0, 0, 1)));
    }
}
