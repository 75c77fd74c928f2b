//! Text in, text out: what the tests of this phase share.

use super::{Context, canonicalise};
use crate::compose::{
    diagnostics::{Diagnostic, Diagnostics, Severity},
    source::Sources,
    tree::{self, Kind, Node, Plain},
};
use serde_json::{Value, json};
use std::{path::Path, rc::Rc};

/// A tree as JSON.
pub fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Sequence(items) => Value::Array(items.iter().map(|item| json(item)).collect()),
        Kind::Mapping(entries) => {
            Value::Object(entries.iter().map(|(name, entry)| (name.clone(), json(&entry.value))).collect())
        }
        Kind::Scalar { text, plain: false } => json!(text),
        Kind::Scalar { text, plain: true } => match Plain::resolve(text) {
            Plain::Null => Value::Null,
            Plain::Bool(value) => json!(value),
            Plain::Int(value) => json!(value),
            Plain::Float(value) => json!(value),
            Plain::Text(text) => panic!("{text} is no number"),
        },
    }
}

/// The canonical form of a file in `/w`, where `~` is `/home/u`, and what was found.
pub fn canonical(text: &str) -> (Rc<Node>, Diagnostics) {
    with_context(text, |context| context)
}

pub fn with_context(text: &str, change: fn(Context<'_>) -> Context<'_>) -> (Rc<Node>, Diagnostics) {
    let (mut sources, mut findings) = (Sources::new(Path::new("/w")), Vec::new());
    let (source, text) = sources.add("compose.yaml", text);
    let root = tree::parse(source, &text, &mut findings).remove(0);
    let root = {
        let home = Some(Path::new("/home/u"));
        let working_dir = Path::new("/w");
        let context = Context { working_dir, home, sources: &sources, resolve_paths: true, interpolated: true };
        canonicalise(&root, &change(context), &mut findings)
    };
    (root, Diagnostics::new(findings, sources.into_texts()))
}

fn messages(findings: &Diagnostics, severity: Severity) -> Vec<String> {
    let shown = |finding: &Diagnostic| {
        let place = findings.location(finding).map(|at| format!("{}:{}", at.line, at.column)).unwrap_or_default();
        format!("{place}: {}", finding.message.replace("services.w.", ""))
    };
    findings.items().iter().filter(|finding| finding.severity == severity).map(shown).collect()
}

/// The canonical form, as JSON, of one attribute of a service that is written in flow style; errors instead, each as
/// `column: message`.
pub fn attribute(written: &str) -> String {
    let (root, findings) = canonical(&format!("services: {{w: {{\n{written}\n}}}}"));
    let errors = messages(&findings, Severity::Error);
    if !errors.is_empty() {
        let errors: Vec<&str> = errors.iter().map(|error| error.strip_prefix("2:").unwrap_or(error)).collect();
        return errors.join("; ");
    }
    let name = written.split(':').next().unwrap_or_default();
    root.get("services")
        .and_then(|all| all.value.get("w")?.value.get(name))
        .map_or_else(String::new, |entry| json(&entry.value).to_string())
}

/// The canonical form of a whole file, or its errors as `line:column: message`.
pub fn file(text: &str) -> String {
    let (root, findings) = canonical(text);
    let errors = messages(&findings, Severity::Error);
    if errors.is_empty() { json(&root).to_string() } else { errors.join("; ") }
}

/// The warnings about one attribute of a service.
pub fn warnings(written: &str) -> Vec<String> {
    let (_, findings) = canonical(&format!("services: {{w: {{\n{written}\n}}}}"));
    messages(&findings, Severity::Warning)
}

/// Rows of attributes of a service: what is written, and its canonical form.
pub fn check(rows: &[(&str, &str)]) {
    let found: Vec<(&str, String)> = rows.iter().map(|(written, _)| (*written, attribute(written))).collect();
    let expected: Vec<(&str, String)> = rows.iter().map(|(written, form)| (*written, (*form).to_owned())).collect();
    assert_eq!(found, expected);
}
