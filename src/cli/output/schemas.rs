//! JSON Schemas of what muster writes for programs, made from the types that are written.

use super::{disk_use, image_list, images, locks, ls, progress, ps};
use crate::{
    api::Event,
    bundle::Index,
    cli::verbs::{image::HistoryRow, version::Version},
    compose,
    plan::Plan,
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// File name and content of each, that of the Compose file among them.
pub fn documents() -> Vec<(&'static str, Value)> {
    vec![
        ("bundle.schema.json", of::<Index>("muster bundle inspect --format json")),
        ("compose.schema.json", compose::schema::document()),
        ("events.schema.json", of::<Event>("A line of events.jsonl")),
        ("image-history.schema.json", of::<HistoryRow>("A line of muster image history --format json")),
        ("image-ls.schema.json", of::<image_list::Row>("A line of muster image ls --format json")),
        ("images.schema.json", of::<Vec<images::Row>>("muster images --format json")),
        ("lock.schema.json", of::<Vec<locks::Row>>("muster lock --format json")),
        ("ls.schema.json", of::<Vec<ls::Project>>("muster ls --format json")),
        ("plan.schema.json", of::<Plan>("muster plan --format json")),
        ("progress.schema.json", of::<progress::Message<'_>>("A line of muster --progress json")),
        ("ps.schema.json", of::<ps::Row>("A line of muster ps --format json")),
        ("system-df.schema.json", of::<disk_use::Row>("A line of muster system df --format json")),
        ("version.schema.json", of::<Version>("muster version --format json")),
    ]
}

fn of<T: JsonSchema>(title: &str) -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".into(), title.into());
    compose::schema::tidied(schema.to_value())
}
