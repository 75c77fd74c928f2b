//! Which path merges how, and which lists hold each thing once. What is not in the tables merges as its kind says:
//! mappings by key, lists one after the other, anything else replaced.
//!
//! `*` stands for any one key. A list that is only appended to can end up with an item twice: where the format does
//! not allow that, the schema says so.

use crate::compose::{
    diagnostics::Span,
    tree::{Entry, Mapping, Node},
};
use std::{collections::HashMap, rc::Rc, sync::LazyLock};

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
    /// A path alone is the context.
    Build,
    /// The deprecated `external: {name: x}` is `external: true` with `name: x`.
    Resource,
}

const RULES: &[(&str, Rule)] = &[
    ("services.*.annotations", Rule::KeyValues),
    ("services.*.build", Rule::Build),
    ("services.*.build.additional_contexts", Rule::KeyValues),
    ("services.*.build.args", Rule::KeyValues),
    ("services.*.build.extra_hosts", Rule::HostList),
    ("services.*.build.labels", Rule::KeyValues),
    ("services.*.build.no_cache_filter", Rule::List),
    ("services.*.build.ssh", Rule::KeyValues),
    ("services.*.command", Rule::Replace),
    ("services.*.depends_on", Rule::Names(started)),
    ("services.*.deploy.labels", Rule::KeyValues),
    ("services.*.dns", Rule::List),
    ("services.*.dns_opt", Rule::List),
    ("services.*.dns_search", Rule::List),
    ("services.*.entrypoint", Rule::Replace),
    ("services.*.env_file", Rule::List),
    ("services.*.environment", Rule::KeyValues),
    ("services.*.extra_hosts", Rule::HostList),
    ("services.*.healthcheck.test", Rule::Replace),
    ("services.*.label_file", Rule::List),
    ("services.*.labels", Rule::KeyValues),
    ("services.*.logging", Rule::Logging),
    ("services.*.models", Rule::Names(Node::null)),
    ("services.*.networks", Rule::Names(Node::null)),
    ("services.*.sysctls", Rule::KeyValues),
    ("services.*.tmpfs", Rule::List),
    ("services.*.ulimits.*", Rule::Replace),
    ("networks.*", Rule::Resource),
    ("networks.*.ipam.config", Rule::KeyedList("subnet")),
    ("networks.*.labels", Rule::KeyValues),
    ("volumes.*", Rule::Resource),
    ("volumes.*.labels", Rule::KeyValues),
    ("secrets.*", Rule::Resource),
    ("secrets.*.labels", Rule::KeyValues),
    ("configs.*", Rule::Resource),
    ("configs.*.labels", Rule::KeyValues),
];

/// What tells the items of a list apart. Of those that are the same, the last one stands where the first one stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// All of a text, or what is before its first `=`.
    Name,
    /// The number or the text.
    Text,
    /// The path of an env file.
    Path,
    /// Where a volume is mounted.
    MountTarget,
    DeviceTarget,
    /// Where a secret or config is mounted; a name alone is mounted in this directory.
    FileTarget(&'static str),
    Port,
}

const UNIQUE: &[(&str, Identity)] = &[
    ("services.*.annotations", Identity::Name),
    ("services.*.build.additional_contexts", Identity::Name),
    ("services.*.build.args", Identity::Name),
    ("services.*.build.labels", Identity::Name),
    ("services.*.build.tags", Identity::Name),
    ("services.*.cap_add", Identity::Name),
    ("services.*.cap_drop", Identity::Name),
    ("services.*.configs", Identity::FileTarget("")),
    ("services.*.deploy.labels", Identity::Name),
    ("services.*.devices", Identity::DeviceTarget),
    ("services.*.dns", Identity::Name),
    ("services.*.dns_opt", Identity::Name),
    ("services.*.dns_search", Identity::Name),
    ("services.*.env_file", Identity::Path),
    ("services.*.environment", Identity::Name),
    ("services.*.expose", Identity::Text),
    ("services.*.labels", Identity::Name),
    ("services.*.links", Identity::Name),
    ("services.*.networks.*.aliases", Identity::Name),
    ("services.*.networks.*.link_local_ips", Identity::Name),
    ("services.*.ports", Identity::Port),
    ("services.*.profiles", Identity::Name),
    ("services.*.secrets", Identity::FileTarget("/run/secrets")),
    ("services.*.sysctls", Identity::Name),
    ("services.*.tmpfs", Identity::Name),
    ("services.*.volumes", Identity::MountTarget),
    ("networks.*.labels", Identity::Name),
];

/// A table that finds the row of a path by the last key of the path.
struct Index<T: 'static>(HashMap<&'static str, Vec<(Vec<&'static str>, T)>>);

impl<T: Copy> Index<T> {
    fn new(table: &'static [(&'static str, T)]) -> Self {
        let mut rows: HashMap<_, Vec<_>> = HashMap::new();
        for (pattern, value) in table {
            let steps: Vec<&str> = pattern.split('.').collect();
            rows.entry(steps.last().copied().unwrap_or_default()).or_default().push((steps, *value));
        }
        Self(rows)
    }

    fn find(&self, path: &[String]) -> Option<T> {
        let last = path.last()?;
        let fits = |steps: &[&str]| {
            steps.len() == path.len() && steps.iter().zip(path).all(|(step, key)| *step == "*" || step == key)
        };
        let rows = |key: &str| self.0.get(key).into_iter().flatten();
        rows(last).chain(rows("*")).find(|(steps, _)| fits(steps)).map(|(_, value)| *value)
    }
}

static MERGE: LazyLock<Index<Rule>> = LazyLock::new(|| Index::new(RULES));
static ONCE: LazyLock<Index<Identity>> = LazyLock::new(|| Index::new(UNIQUE));

pub fn rule(path: &[String]) -> Rule {
    // An extension belongs to somebody else: nobody here knows how its parts go together.
    if path.last().is_some_and(|key| key.starts_with("x-")) && !names_of_the_users_own(path) {
        return Rule::Replace;
    }
    if let Some(rule) = MERGE.find(path) {
        return rule;
    }
    // A key without value takes the place of one with a value, which nothing else does.
    match path.split_last().and_then(|(_, parent)| MERGE.find(parent)) {
        Some(Rule::KeyValues) => Rule::Replace,
        _ => Rule::Deep,
    }
}

/// Directly below a section, `x-web` is a service, a network, ... like any other.
fn names_of_the_users_own(path: &[String]) -> bool {
    matches!(path, [section, _] if matches!(section.as_str(), "services" | "networks" | "volumes" | "secrets" | "configs" | "models"))
}

/// How the items of the list at `path` are told apart, where it holds each of them once.
pub fn identity(path: &[String]) -> Option<Identity> {
    ONCE.find(path)
}

/// What a name in the list form of `depends_on` means.
fn started(span: Span) -> Node {
    const RULE: &str = "the list form of depends_on";
    let entry = |node: Node| Entry { key: span, value: Rc::new(node) };
    let mut entries = Mapping::new();
    entries.insert("condition".into(), entry(Node::implied_text(span, "service_started", RULE)));
    entries.insert("required".into(), entry(Node::implied_plain(span, "true", RULE)));
    Node::mapping(span, entries)
}
