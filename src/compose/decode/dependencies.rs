//! `depends_on`.

use super::{
    At, Decoder,
    Field::{self, Read},
    service::{Reference, Referent},
};
use crate::{
    compose::tree::Kind,
    model::{Condition, Dependency},
};
use indexmap::IndexMap;

const STARTED: Dependency = Dependency { condition: Condition::Started, restart: false, required: true };

impl Decoder<'_> {
    pub fn depends_on(&mut self, at: &At<'_>, references: &mut Vec<Reference>) -> IndexMap<String, Dependency> {
        let mut dependencies = IndexMap::new();
        if let Kind::Sequence(_) = at.node.kind {
            for item in self.items(at) {
                if let Some(name) = self.filled(&item) {
                    references.push(Reference { to: Referent::Service, name: name.clone(), span: item.node.span });
                    dependencies.insert(name, STARTED);
                }
            }
            return dependencies;
        }
        for entry in self.entries_if_no_list(at) {
            let mut dependency = STARTED;
            self.section(&entry.at, FIELDS, &mut dependency);
            if entry.at.node.get("condition").is_none() && matches!(entry.at.node.kind, Kind::Mapping(_)) {
                self.error(&entry.at, "lacks `condition`");
            }
            references.push(Reference { to: Referent::Service, name: entry.name.to_owned(), span: entry.key });
            dependencies.insert(entry.name.to_owned(), dependency);
        }
        dependencies
    }
}

const FIELDS: &[Field<Dependency>] = &[
    Read("condition", |d, at, dependency| {
        let Some(word) = d.text(at) else { return };
        match [Condition::Started, Condition::Healthy, Condition::Completed].into_iter().find(|c| c.as_str() == word) {
            Some(condition) => dependency.condition = condition,
            None => d.error_with_help(
                at,
                format!("is no condition: \"{word}\""),
                "conditions are `service_started`, `service_healthy` and `service_completed_successfully`",
            ),
        }
    }),
    Read("restart", |d, at, dependency| dependency.restart = d.boolean(at).unwrap_or(false)),
    Read("required", |d, at, dependency| dependency.required = d.boolean(at).unwrap_or(true)),
];
