//! `depends_on`.

use super::{
    At, Decoder,
    Field::{self, Read},
};
use crate::model::{Condition, Dependency};
use indexmap::IndexMap;

const STARTED: Dependency = Dependency { condition: Condition::Started, restart: false, required: true };

impl Decoder<'_> {
    pub fn depends_on(&mut self, at: &At<'_>) -> IndexMap<String, Dependency> {
        let mut dependencies = IndexMap::new();
        for entry in self.entries(at) {
            let mut dependency = STARTED;
            self.section(&entry.at, FIELDS, &mut dependency);
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
