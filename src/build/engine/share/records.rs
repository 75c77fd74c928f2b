//! What is known of steps, as one document.

use crate::image::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// In the configuration of an image whose own layers the records are about.
pub const INLINE: &str = "muster.build.cache.v1";
/// BuildKit's place for the same.
pub const INLINE_OF_BUILDKIT: &str = "moby.buildkit.cache.v0";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Records {
    pub records: Vec<Entry>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What the step is looked up by.
    pub key: Digest,
    /// What steps that read its files are keyed by.
    pub id: Digest,
    /// RFC 3339.
    pub created: String,
    /// Without one only the names are known: steps behind it can be found, its files cannot be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Layer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    pub diff_id: Digest,
    /// Inline it is what the manifest of the image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Digest>,
}

impl Records {
    /// Leaves out what nobody could have written: a time that is none would end in the image.
    pub fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut records: Self = serde_json::from_slice(bytes)?;
        records.records.retain(|entry| entry.created.parse::<Timestamp>().is_ok());
        Ok(records)
    }

    pub fn write(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_back_and_times_are_times() {
        let entry = |created: &str, layer| Entry {
            key: Digest::of(b"key"),
            id: Digest::of(b"id"),
            created: created.into(),
            layer,
        };
        let layer = Layer { diff_id: Digest::of(b"diff"), blob: Some(Digest::of(b"blob")) };
        let good = vec![entry("2026-01-02T03:04:05.6Z", Some(layer)), entry("2026-01-02T03:04:05Z", None)];
        let mut all = good.clone();
        all.push(entry("now\u{1b}[2J", None));
        let written = Records { records: all }.write().unwrap();
        assert_eq!(Records::parse(&written).unwrap().records, good);
        for bad in ["{}", "[]", r#"{"records":[{"key":"sha256:../../x","id":"","created":""}]}"#] {
            assert!(Records::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
