//! `variants/<hash>.json`: under which name the image of a name for another platform is here. A note: without it the
//! registry is asked again.

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
    /// With the digest of its own manifest.
    own: String,
}

impl Store {
    fn variant_path(&self, reference: &Reference, platform: &str) -> PathBuf {
        let key = Digest::of(format!("{reference} {platform}").as_bytes()).hex();
        self.root.join("variants").join(format!("{}.json", &key[..32]))
    }

    pub(in crate::image) fn variant(&self, reference: &Reference, platform: &str) -> Result<Option<Reference>> {
        let known: Option<Variant> = record::read(&self.variant_path(reference, platform)).unwrap_or(None);
        let known = known.filter(|known| known.name == reference.to_string() && known.platform == platform);
        Ok(known.and_then(|known| Reference::parse(&known.own).ok()))
    }

    pub(in crate::image) fn note_variant(&self, reference: &Reference, platform: &str, own: &Reference) -> Result<()> {
        let path = self.variant_path(reference, platform);
        let variant = Variant { name: reference.to_string(), platform: platform.to_owned(), own: own.to_string() };
        Ok(record::write(&path, &variant, Durability::Volatile)?)
    }
}
