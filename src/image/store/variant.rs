//! `variants/<hash>.json`: under which name the image of a name for another platform is here, and which image was built
//! for a platform that it does not say itself. Notes: without them the registry is asked again, the image built again.

use super::Store;
use crate::{
    image::{digest::Digest, error::Result, reference::Reference},
    state::{Durability, record},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Serialize, Deserialize)]
struct Variant {
    name: String,
    platform: String,
    /// With the digest of its own manifest; what was built has its id.
    own: String,
}

/// What a note is about.
#[derive(Clone, Copy, Debug)]
pub(in crate::image) enum Note {
    Pulled,
    Built,
}

impl Store {
    fn variant_path(&self, note: Note, reference: &Reference, platform: &str) -> PathBuf {
        let what = match note {
            Note::Pulled => "",
            Note::Built => "built for ",
        };
        let key = Digest::of(format!("{reference} {what}{platform}").as_bytes()).hex();
        self.root.join("variants").join(format!("{}.json", &key[..32]))
    }

    pub(in crate::image) fn variant(&self, note: Note, reference: &Reference, platform: &str) -> Option<Reference> {
        let known: Option<Variant> = record::read(&self.variant_path(note, reference, platform)).unwrap_or(None);
        let known = known.filter(|known| known.name == reference.to_string() && known.platform == platform);
        known.and_then(|known| Reference::parse(&known.own).ok())
    }

    pub(in crate::image) fn note_variant(
        &self,
        note: Note,
        reference: &Reference,
        platform: &str,
        own: &Reference,
    ) -> Result<()> {
        let path = self.variant_path(note, reference, platform);
        let variant = Variant { name: reference.to_string(), platform: platform.to_owned(), own: own.to_string() };
        Ok(record::write(&path, &variant, Durability::Volatile)?)
    }
}
