//! Mappings that can be written as lists of `KEY=VALUE`, and mappings of options: their values are texts.

use super::{
    pass::{Pass, entry},
    scalars,
};
use crate::compose::tree::{Entry, Kind, Mapping, Node};
use std::rc::Rc;

/// Environment variables: one without value takes it from elsewhere, and stays nothing here.
pub fn variables(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let node = from_list(pass, node, |_, item| Some(Rc::new(item.with(Kind::typed("")))));
    let Kind::Mapping(entries) = &node.kind else { return node };
    for (name, entry) in entries {
        check_variable(pass, name, entry);
    }
    map_values(pass, &node, scalars::text)
}

fn check_variable(pass: &mut Pass<'_>, name: &str, entry: &Entry) {
    if name.is_empty() {
        pass.error(entry.key, "has a variable without a name");
    } else if name.ends_with(char::is_whitespace) {
        pass.error(entry.key, format!("has an environment variable \"{name}\" that is declared with a trailing space"));
    } else if name.contains('=') {
        pass.error(entry.key, format!("names the variable \"{name}\", but a name cannot hold `=`"));
    }
}

/// Labels and their like: one without value is empty.
pub fn labels(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let node = from_list(pass, node, |_, item| Some(Rc::new(item.with(Kind::string("")))));
    options(pass, &node)
}

/// A mapping whose values are texts: what YAML reads as a number becomes one.
pub fn options(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    map_values(pass, node, scalars::text_or_empty)
}

/// `[NAME=VALUE]`, where every item must have a value.
pub fn key_values(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    from_list(pass, node, |pass, item| {
        let text = item.string().unwrap_or_default();
        pass.error_with_help(
            item.span,
            format!("has the invalid value \"{text}\", expected key=value"),
            "write `NAME=VALUE`",
        );
        None
    })
}

/// `[default, ID=PATH]`
pub fn ssh(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    from_list(pass, node, |pass, item| match item.string() {
        Some("default") => Some(Rc::new(item.with(Kind::typed("")))),
        other => {
            let what = format!("has an invalid ssh key \"{}\"", other.unwrap_or_default());
            pass.error_with_help(item.span, what, "write `default` or `ID=PATH`");
            None
        }
    })
}

/// Options that can be given several times: every one is a list.
pub fn repeatable_options(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    map_values(pass, node, |pass, value| match &value.kind {
        Kind::Scalar { .. } => {
            let text = scalars::text_or_empty(pass, value);
            Rc::new(value.with(Kind::Sequence(vec![text])))
        }
        Kind::Sequence(items) => {
            let items = items.iter().map(|item| scalars::text_or_empty(pass, item)).collect();
            Rc::new(value.with(Kind::Sequence(items)))
        }
        Kind::Mapping(_) => value.clone(),
    })
}

/// A list of `KEY=VALUE` as a mapping; of two items with one key, the last one wins. An empty item, which a variable may
/// have left, is none. `alone` makes the value of an item
/// without `=`. A list that holds something else than scalars stays a list.
fn from_list(
    pass: &mut Pass<'_>,
    node: &Rc<Node>,
    alone: fn(&mut Pass<'_>, &Rc<Node>) -> Option<Rc<Node>>,
) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    if items.iter().any(|item| !matches!(item.kind, Kind::Scalar { .. })) {
        return node.clone();
    }
    let mut entries = Mapping::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let item = scalars::text(pass, item);
        let text = item.string().unwrap_or_default();
        let split = text.find('=');
        // As the schema has it for names of mappings: line ends alone are no name.
        if text[..split.unwrap_or(text.len())].trim_matches('\n').is_empty() {
            if split.is_some() {
                pass.at_item(index, |pass| pass.error(item.span, "has a value and no name"));
            }
            continue;
        }
        let Some(split) = split else {
            if let Some(value) = pass.at_item(index, |pass| alone(pass, &item)) {
                entries.insert(text.to_owned(), entry(value));
            }
            continue;
        };
        let (key, value) = (pass.origin(&item).place(0..split), pass.piece(&item, split + 1..text.len()));
        entries.insert(text[..split].to_owned(), Entry { key, value });
    }
    Rc::new(node.with(Kind::Mapping(entries)))
}

fn map_values(pass: &mut Pass<'_>, node: &Rc<Node>, change: fn(&mut Pass<'_>, &Rc<Node>) -> Rc<Node>) -> Rc<Node> {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    let changed = entries.iter().map(|(name, entry)| {
        let value = pass.at_key(name, |pass| change(pass, &entry.value));
        (name.clone(), Entry { key: entry.key, value })
    });
    let changed = changed.collect();
    Rc::new(node.with(Kind::Mapping(changed)))
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn variables_are_texts_or_nothing() {
        check(&[
            (
                r#"environment: {A: 1.0, B: 1e3, C: 0x10, D: 010, E: true, F: yes, G: null, H: "", I: 1000000.0}"#,
                r#"{"A":"1","B":"1000","C":"16","D":"8","E":"true","F":"yes","G":null,"H":"","I":"1e+06"}"#,
            ),
            (
                "environment: {A: 12345678901234567890, B: 08, C: .5, D: 1_000, E: 123456789.5, F: -0, G: 0o17, H: 1e21, I: 99999999999999999999}",
                r#"{"A":"12345678901234567890","B":"8","C":"0.5","D":"1000","E":"1.234567895e+08","F":"0","G":"15","H":"1e+21","I":"1e+20"}"#,
            ),
            (r#"environment: ["A=1", B, "C=", "D= x=y ", "A=2"]"#, r#"{"A":"2","B":null,"C":"","D":" x=y "}"#),
            (
                r#"environment: ["A =1", "=x"]"#,
                r#"23: `environment[1]` has a value and no name; 16: `environment` has an environment variable "A " that is declared with a trailing space"#,
            ),
            (
                r#"environment: {"A ": 1, "A=B": 1}"#,
                r#"15: `environment` has an environment variable "A " that is declared with a trailing space; 24: `environment` names the variable "A=B", but a name cannot hold `=`"#,
            ),
            (r#"environment: ["", A]"#, r#"{"A":null}"#),
            ("environment: [A, {B: c}]", r#"["A",{"B":"c"}]"#),
            (
                "post_start: [{command: a, environment: [A=1, B]}]",
                r#"[{"command":["a"],"environment":{"A":"1","B":null}}]"#,
            ),
        ]);
    }

    #[test]
    fn labels_and_options_are_texts() {
        check(&[
            ("labels: {A: 1.0, B: null, C: true}", r#"{"A":"1","B":"","C":"true"}"#),
            ("labels: [A, B=, C=1]", r#"{"A":"","B":"","C":"1"}"#),
            ("annotations: [A=1]", r#"{"A":"1"}"#),
            ("sysctls: {net.a: 1}", r#"{"net.a":"1"}"#),
            ("storage_opt: {size: 120}", r#"{"size":"120"}"#),
            (
                "logging: {driver: x, options: {a: 1, b: null, c: 1.5, d: 10m}}",
                r#"{"driver":"x","options":{"a":"1","b":"","c":"1.5","d":"10m"}}"#,
            ),
            (
                "provider: {type: x, options: {a: 1, b: [x, true]}}",
                r#"{"type":"x","options":{"a":["1"],"b":["x","true"]}}"#,
            ),
        ]);
    }
}
