//! Findings for programs: the same as the rendered ones, with nothing to parse out of a text.

use super::diagnostics::{Diagnostics, Severity};
use schemars::JsonSchema;
use serde::Serialize;

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub message: String,
    pub places: Vec<Place>,
    pub help: Vec<String>,
}

/// A part of a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Place {
    /// As the command line sees it: relative to the working directory where it is below it.
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    /// Column of the first character that is no part of it.
    pub end_column: usize,
    /// What this place has to do with the finding; nothing for the place that the finding is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
}

impl Diagnostics {
    /// All findings, in order.
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |item: &super::Diagnostic| Finding {
            severity: item.severity,
            message: item.message.clone(),
            places: item.places.iter().filter_map(|(span, label)| self.place(*span, label)).collect(),
            help: item.help.clone(),
        };
        self.items().iter().map(finding).collect()
    }

    fn place(&self, span: super::diagnostics::Span, label: &str) -> Option<Place> {
        let start = self.locate(span)?;
        let end = self.locate(super::diagnostics::Span { start: span.end, ..span })?;
        Some(Place {
            file: start.file,
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            label: label.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::diagnostics::{Diagnostic, SourceText, Span};

    #[test]
    fn a_finding_has_its_places_as_numbers() {
        let source = |name: &str, text: &str| SourceText { name: name.into(), text: text.into() };
        let span = |source, start, end| Span { source, start, end };
        let finding = Diagnostic::error("`b` is wrong")
            .at(span(0, 9, 12))
            .because(span(1, 0, 4), "first set here")
            .help("write `c`");
        let findings =
            Diagnostics::new(vec![finding], vec![source("a.yaml", "a: é\nb: cde\n"), source("b.yaml", "b: [\n")]);
        insta::assert_snapshot!(serde_json::to_string(&findings.findings()).unwrap(), @r#"[{"severity":"error","message":"`b` is wrong","places":[{"file":"a.yaml","line":2,"column":4,"end_line":2,"end_column":7},{"file":"b.yaml","line":1,"column":1,"end_line":1,"end_column":5,"label":"first set here"}],"help":["write `c`"]}]"#);
    }
}
