//! `command` and `entrypoint`.

use super::{At, Decoder};

impl Decoder<'_> {
    /// Nothing leaves what the image says; an empty list clears it.
    pub fn command(&mut self, at: &At<'_>) -> Option<Vec<String>> {
        if at.node.is_null() {
            return None;
        }
        let items = self.items(at);
        Some(items.iter().filter_map(|item| self.text(item)).collect())
    }
}
