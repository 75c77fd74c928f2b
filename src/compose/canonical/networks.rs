//! Names of other things: networks and models that a service uses, services it depends on, and what exists elsewhere.

use super::pass::{Pass, entry};
use crate::compose::tree::{Entry, Kind, Mapping, Node};
use std::rc::Rc;

/// A list of names as a mapping of nothing.
pub fn names(_: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    named(node, |item| Rc::new(item.with(Kind::typed(""))))
}

/// A list of services as a mapping. What is not said of a dependency: it has to be started, and must not fail.
pub fn dependencies(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let node = named(node, |item| Rc::new(item.with(Kind::Mapping(Mapping::new()))));
    let Kind::Mapping(entries) = &node.kind else { return node };
    let complete = |(name, dependency): (&String, &Entry)| {
        let value = pass.with_default(&dependency.value, "condition", Kind::string("service_started"));
        let value = pass.with_default(&value, "required", Kind::typed("true"));
        (name.clone(), Entry { key: dependency.key, value })
    };
    let complete = entries.iter().map(complete).collect();
    Rc::new(node.with(Kind::Mapping(complete)))
}

fn named(node: &Rc<Node>, value: impl Fn(&Rc<Node>) -> Rc<Node>) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    let mut entries = Mapping::with_capacity(items.len());
    for item in items {
        let Some(name) = item.scalar() else { return node.clone() };
        entries.insert(name.to_owned(), entry(value(item)));
    }
    Rc::new(node.with(Kind::Mapping(entries)))
}

/// `external: {name: x}` as `external: true` and `name: x`.
pub fn external(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Kind::Mapping(entries) = &node.kind else { return node.clone() };
    let Some(external) = entries.get("external") else { return node.clone() };
    let Kind::Mapping(inner) = &external.value.kind else { return node.clone() };
    let mut entries = entries.clone();
    if let Some(name) = inner.get("name") {
        let help = "write `external: true`, and `name` beside it";
        pass.warning_with_help(name.key, "has external.name, which is deprecated", help);
        match entries.get("name") {
            Some(other) if other.value.scalar() != name.value.scalar() => {
                let what = "has a name and external.name that conflict; only use name";
                pass.error_because(name.value.span, what, other.value.span, "named otherwise here");
            }
            Some(_) => {}
            None => {
                entries.insert("name".into(), name.clone());
            }
        }
    }
    let value = Rc::new(external.value.with(Kind::typed("true")));
    entries.insert("external".into(), Entry { key: external.key, value });
    Rc::new(node.with(Kind::Mapping(entries)))
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn lists_of_names_become_mappings() {
        check(&[
            ("networks: [n, m]", r#"{"n":null,"m":null}"#),
            ("networks: {n: null, m: {}}", r#"{"n":null,"m":{}}"#),
            (
                r#"networks: {n: {aliases: [a, a], driver_opts: {a: 1, b: null}, priority: "5", gw_priority: 1.0}}"#,
                r#"{"n":{"aliases":["a"],"driver_opts":{"a":"1","b":""},"priority":5,"gw_priority":1}}"#,
            ),
            ("models: [m]", r#"{"m":null}"#),
            ("models: {m: {endpoint_var: X}}", r#"{"m":{"endpoint_var":"X"}}"#),
            (
                "depends_on: [a, b]",
                r#"{"a":{"condition":"service_started","required":true},"b":{"condition":"service_started","required":true}}"#,
            ),
            (
                r#"depends_on: {a: {condition: service_healthy}, b: {condition: service_started, required: "false", restart: true}}"#,
                r#"{"a":{"condition":"service_healthy","required":true},"b":{"condition":"service_started","required":false,"restart":true}}"#,
            ),
        ]);
    }
}
