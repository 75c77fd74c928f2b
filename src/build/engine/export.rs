//! From the last step to an image: its layers as blobs, its configuration, its names.

use super::{
    cache::PackedRecord,
    error::{Result, StepError},
    pack::{self, Packed},
    share::records::{INLINE, Records},
    step::{Engine, From, Layer, Snapshot},
};
use crate::{
    build::op::{History, Outcome},
    image::{
        Digest, Image, Reference,
        store::{BuiltImage, BuiltLayer, ImageLayer},
    },
};
use serde_json::{Map, Value, json};
use std::{fs::File, path::PathBuf};

pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A layer whose blob is in the workshop or in the store.
#[derive(Clone, Debug)]
pub struct Packaged {
    built: BuiltLayer,
    /// When its step was carried out; `None` for one of an image.
    created: Option<String>,
}

/// Makes the blob of one layer, where there is none. `below` are the directories under it, uppermost first.
fn package(engine: &Engine, layer: &Layer, below: &[PathBuf]) -> Result<Packaged> {
    let From::Step { keys, record, later } = &layer.from else {
        return Err(StepError::Abandoned("a step without a layer of its own".into()));
    };
    let here = later.as_ref().and_then(|later| later.here());
    let (keys, record) = here.map_or((keys, record), |here| (&here.keys, &here.record));
    let of = |packed: &PackedRecord| ImageLayer {
        diff_id: packed.diff_id,
        blob: packed.blob,
        blob_size: packed.size,
        media_type: LAYER.to_owned(),
        dir: layer.dir().to_owned(),
    };
    let created = Some(record.created.clone());
    let bytes = Some(record.bytes);
    if let Some(packed) = record.packed.as_ref().filter(|packed| engine.store.holds_blob(&packed.blob)) {
        return Ok(Packaged { built: BuiltLayer { layer: of(packed), fresh_blob: None, bytes }, created });
    }
    if let (Some(packed), Some(blob)) = (&record.packed, here.and_then(|here| here.blob.clone())) {
        return Ok(Packaged { built: BuiltLayer { layer: of(packed), fresh_blob: Some(blob), bytes }, created });
    }
    let path = engine.workshop.fresh("blob");
    let file = File::create_new(&path).map_err(StepError::file("write", &path))?;
    let packed: Packed = pack::pack(layer.dir(), below, file, &engine.cancelled)
        .map_err(StepError::file("make the archive of", layer.dir()))?;
    let packed = PackedRecord::from(&packed);
    let mut record = record.clone();
    record.packed = Some(packed.clone());
    for key in keys {
        engine.cache.write(key, &record)?;
    }
    Ok(Packaged { built: BuiltLayer { layer: of(&packed), fresh_blob: Some(path), bytes }, created })
}

/// The uppermost layer of what a step gave.
pub fn package_top(engine: &Engine, snapshot: &Snapshot) -> Result<Packaged> {
    let below: Vec<PathBuf> = engine.lowers(Some(snapshot)).into_iter().skip(1).collect();
    let layer = snapshot.layers.last().ok_or_else(|| StepError::Abandoned("a step without a layer".into()))?;
    package(engine, layer, &below)
}

impl Packaged {
    pub fn layer(&self) -> &ImageLayer {
        &self.built.layer
    }

    /// Its blob, where it is not in the store.
    pub fn fresh_blob(&self) -> Option<PathBuf> {
        self.built.fresh_blob.clone()
    }
}

/// The layers of a base.
pub fn of_base(base: &Snapshot) -> Result<Vec<Packaged>> {
    let packaged = |layer: &Layer| match &layer.from {
        From::Image(layer) => {
            let built = BuiltLayer { layer: layer.clone(), fresh_blob: None, bytes: None };
            Ok(Packaged { built, created: None })
        }
        From::Directory => Err(StepError::Abandoned("a directory of this host has no blob".into())),
        From::Step { .. } => Err(StepError::Abandoned("a base that a step has made".into())),
    };
    base.layers.iter().map(packaged).collect()
}

/// Writes the image into the store and lists it.
pub fn publish(
    engine: &Engine,
    outcome: &Outcome,
    base_created: Option<String>,
    layers: Vec<Packaged>,
    inline: Option<&Records>,
) -> Result<Image> {
    let created: Vec<Option<String>> = layers.iter().map(|layer| layer.created.clone()).collect();
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.built.layer.diff_id).collect();
    let mut config =
        document(outcome, engine.options.epoch.map(|_| engine.created()), base_created, &created, &diff_ids);
    let unwritten = |error: serde_json::Error| StepError::Abandoned(error.to_string());
    if let Some(records) = inline {
        config.insert(INLINE.to_owned(), serde_json::to_value(records).map_err(unwritten)?);
    }
    let config = serde_json::to_vec(&config).map_err(unwritten)?;
    // Whoever reads the index then may count on every file behind it.
    engine.cache.sync()?;
    let id = Digest::of(&config);
    if let Some(image) = listed(engine, &id)? {
        return Ok(image);
    }
    let layers = layers.into_iter().map(|layer| layer.built).collect();
    let image = BuiltImage { config, layers, names: engine.options.names.clone() };
    Ok(engine.workshop.publish(&image)?)
}

/// The image, where the store has it under every name that was asked for: then there is nothing to write.
fn listed(engine: &Engine, id: &Digest) -> Result<Option<Image>> {
    let names = match engine.options.names.as_slice() {
        [] => vec![Reference::Id(*id)],
        names => names.to_vec(),
    };
    let mut first = None;
    for name in &names {
        match engine.store.find(name)? {
            Some(image) if image.id.as_str() == id.to_string() => first = first.or(Some(image)),
            _ => return Ok(None),
        }
    }
    Ok(first)
}

/// The configuration document. An entry of the history that has no layer has the time of what is before it, and the
/// image that of the last: so a build that is cached as a whole gives the same image.
fn document(
    outcome: &Outcome,
    epoch: Option<String>,
    base_created: Option<String>,
    created: &[Option<String>],
    diff_ids: &[Digest],
) -> Map<String, Value> {
    let base_layers = created.iter().take_while(|created| created.is_none()).count();
    let inherited = |entry: &&History| matches!(entry, History::Inherited(_));
    let has_layer = |entry: &&Value| entry.get("empty_layer").and_then(Value::as_bool) != Some(true);
    let known = outcome.history.iter().filter(inherited).filter_map(|entry| match entry {
        History::Inherited(entry) => Some(entry),
        History::Made { .. } => None,
    });
    // A history that tells of other layers than there are would make a document that others refuse.
    let honest = known.filter(has_layer).count() == base_layers;
    let mut own = created.iter().skip(base_layers).flatten();
    // What is first without a layer of its own has the time of the first layer that is made, or else the base's.
    let mut time = created.iter().flatten().next().cloned().or(base_created).or(epoch.clone());
    let mut history = Vec::new();
    for entry in &outcome.history {
        match entry {
            History::Inherited(entry) if honest => history.push(entry.clone()),
            History::Inherited(_) => {}
            History::Made { created_by, comment, author, step } => {
                if step.is_some() {
                    time = own.next().cloned().or(time);
                }
                let mut made = Map::new();
                if let Some(time) = epoch.as_ref().or(time.as_ref()) {
                    made.insert("created".into(), json!(time));
                }
                for (key, text) in [("created_by", created_by), ("author", author), ("comment", comment)] {
                    if !text.is_empty() {
                        made.insert(key.into(), json!(text));
                    }
                }
                if step.is_none() {
                    made.insert("empty_layer".into(), json!(true));
                }
                history.push(Value::Object(made));
            }
        }
    }
    let mut config = outcome.config.clone();
    if let Some(created) = epoch.or(time) {
        config.insert("created".into(), json!(created));
    }
    let diff_ids: Vec<String> = diff_ids.iter().map(Digest::to_string).collect();
    config.insert("rootfs".into(), json!({"type": "layers", "diff_ids": diff_ids}));
    config.insert("history".into(), Value::Array(history));
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::op::StepId;

    #[test]
    fn what_has_no_layer_has_the_time_of_what_was_before_it() {
        let made = |text: &str, step: Option<usize>| History::Made {
            created_by: text.into(),
            comment: String::new(),
            author: String::new(),
            step: step.map(StepId),
        };
        let inherited = json!({"created": "2020-01-01T00:00:00Z", "created_by": "base"});
        let outcome = Outcome {
            root: None,
            config: Map::from_iter([("architecture".to_owned(), json!("amd64"))]),
            history: vec![
                History::Inherited(inherited.clone()),
                made("ENV A=1", None),
                made("RUN a", Some(1)),
                made("CMD b", None),
            ],
        };
        let created = [None, Some("2026-01-02T00:00:00Z".to_owned())];
        let diff_ids = [Digest::of(b"a"), Digest::of(b"b")];
        let document_of = |created: &[Option<String>], epoch: Option<&str>| {
            document(&outcome, epoch.map(str::to_owned), Some("2020-01-01T00:00:00Z".into()), created, &diff_ids)
        };
        let document = document_of(&created, None);
        let times: Vec<&str> =
            document["history"].as_array().unwrap().iter().map(|e| e["created"].as_str().unwrap()).collect();
        assert_eq!(times[1..], ["2026-01-02T00:00:00Z"; 3]);
        assert_eq!(document["history"][0], inherited);
        assert_eq!(document["history"][3]["empty_layer"], true);
        assert_eq!(document["created"], "2026-01-02T00:00:00Z");
        assert_eq!(document["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
        let document = document_of(&created, Some("2000-01-01T00:00:00Z"));
        assert_eq!(document["created"], "2000-01-01T00:00:00Z");
        // A base whose history does not fit its layers has none.
        let document = document_of(&[None, None], None);
        assert_eq!(document["history"].as_array().unwrap().len(), 3);
    }
}
