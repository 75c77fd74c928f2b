//! Which path merges how. What is not in the table merges as its kind says: mappings by key, lists one after the
//! other, anything else replaced.
//!
//! Duplicates in lists are no matter of merging: one file can have them as well, so the decoder removes them.

use crate::compose::{diagnostics::Span, tree::Node};

#[derive(Clone, Copy)]
pub enum Rule {
    /// As the kind of the values says.
    Deep,
    Replace,
    /// Mapping or list of `K=V`.
    KeyValues,
    /// Mapping or list of names; the function makes what a name alone stands for.
    Names(fn(Span) -> Node),
    /// Single value or list.
    List,
    /// `extra_hosts`: mapping or list of `host=address`.
    HostList,
    /// List of mappings that are told apart by this key.
    KeyedList(&'static str),
    Logging,
}

/// `*` stands for any one key.
const RULES: &[(&str, Rule)] = &[
    ("services.*.command", Rule::Replace),
    ("services.*.entrypoint", Rule::Replace),
    ("services.*.healthcheck.test", Rule::Replace),
    ("services.*.ulimits.*", Rule::Replace),
    ("services.*.annotations", Rule::KeyValues),
    ("services.*.environment", Rule::KeyValues),
    ("services.*.labels", Rule::KeyValues),
    ("services.*.sysctls", Rule::KeyValues),
    ("services.*.deploy.labels", Rule::KeyValues),
    ("networks.*.labels", Rule::KeyValues),
    ("volumes.*.labels", Rule::KeyValues),
    ("services.*.dns", Rule::List),
    ("services.*.dns_search", Rule::List),
    ("services.*.env_file", Rule::List),
    ("services.*.label_file", Rule::List),
    ("services.*.tmpfs", Rule::List),
    ("services.*.extra_hosts", Rule::HostList),
    ("services.*.depends_on", Rule::Names(started)),
    ("services.*.networks", Rule::Names(Node::null)),
    ("services.*.logging", Rule::Logging),
    ("networks.*.ipam.config", Rule::KeyedList("subnet")),
];

pub fn rule(path: &[String]) -> Rule {
    if let Some(rule) = find(path) {
        return rule;
    }
    // A key without value takes the place of one with a value, which nothing else does.
    match path.split_last().and_then(|(_, parent)| find(parent)) {
        Some(Rule::KeyValues) => Rule::Replace,
        _ => Rule::Deep,
    }
}

fn find(path: &[String]) -> Option<Rule> {
    let fits = |pattern: &str| {
        let mut steps = path.iter();
        pattern.split('.').all(|part| steps.next().is_some_and(|step| part == "*" || part == step))
            && steps.next().is_none()
    };
    RULES.iter().find(|(pattern, _)| fits(pattern)).map(|(_, rule)| *rule)
}

/// What a name in the list form of `depends_on` means.
fn started(span: Span) -> Node {
    use crate::compose::tree::{Entry, Mapping};
    use std::rc::Rc;
    let entry = |value: Node| Entry { key: span, value: Rc::new(value) };
    let mut entries = Mapping::new();
    entries.insert("condition".into(), entry(Node::text(span, "service_started")));
    entries.insert("required".into(), entry(Node::text(span, "true")));
    Node::mapping(span, entries)
}
