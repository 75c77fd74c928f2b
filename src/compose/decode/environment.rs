//! Mappings of names to texts: `environment`, `labels` and their like.

use super::{At, Decoder};
use indexmap::IndexMap;

impl Decoder<'_> {
    /// A name without value is `None`.
    pub fn key_values(&mut self, at: &At<'_>) -> IndexMap<String, Option<String>> {
        let entries = self.entries(at);
        entries.iter().filter_map(|entry| Some((entry.name.to_owned(), self.loose_text(&entry.at)?))).collect()
    }

    /// Names that have a value.
    pub fn environment(&mut self, at: &At<'_>) -> IndexMap<String, String> {
        self.key_values(at).into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// Labels; one without value is empty.
    pub fn labels(&mut self, at: &At<'_>) -> IndexMap<String, String> {
        self.key_values(at).into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
    }
}
