//! The types of the sections -> the JSON Schema of a Compose file.

use super::project::Project;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// JSON Schema of a Compose file as it is written, draft 2020-12.
pub fn document() -> Value {
    tidied(generated())
}

/// For people: what the document is stands first, and descriptions have no line breaks of the source.
pub fn tidied(mut document: Value) -> Value {
    on_one_line(&mut document);
    heading_first(document)
}

/// The same as it comes from the types, for a reader that does not mind its looks.
pub(super) fn generated() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Project>().to_value()
}

fn heading_first(mut document: Value) -> Value {
    let Some(rest) = document.as_object_mut() else { return document };
    let mut ordered: Map<String, Value> =
        ["$schema", "title", "description"].iter().filter_map(|key| rest.shift_remove_entry(*key)).collect();
    ordered.append(rest);
    ordered.into()
}

/// Descriptions without the line breaks of the source.
fn on_one_line(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            if let Some(Value::String(text)) = entries.get_mut("description") {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            entries.values_mut().for_each(on_one_line);
        }
        Value::Array(items) => items.iter_mut().for_each(on_one_line),
        _ => {}
    }
}
