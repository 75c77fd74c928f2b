//! The schema, compiled for a check: for each kind of value one slot, since the forms of an attribute differ in kind.

use super::{document::generated, patterns::Pattern};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// Kept as it is compiled, because making the schema from the types takes a third of the time of a short command. A test
/// sees to it that it is that of this version.
const KEPT: &str = include_str!("shape.json");

/// What may stand in one place of a Compose file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// What the value is called, where it is more than its kind: "size".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) examples: Vec<String>,
    /// Everything may stand here; the slots are empty.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) anything: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) null: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) boolean: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) list: Option<List>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mapping: Option<Mapping>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Number {
    #[serde(skip_serializing_if = "is_false")]
    pub whole: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Text {
    /// The only texts that may stand here; none for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct List {
    pub item: Arc<Shape>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Mapping {
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub properties: IndexMap<String, Arc<Shape>>,
    /// Keys of the user's own, and what stands under them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named: Option<(Option<Pattern>, Arc<Shape>)>,
    /// `x-` attributes are let through.
    #[serde(skip_serializing_if = "is_false")]
    pub extensions: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
}

/// The shape of a whole file.
pub fn shape() -> &'static Shape {
    static SHAPE: OnceLock<Arc<Shape>> = OnceLock::new();
    SHAPE.get_or_init(|| serde_json::from_str(KEPT).unwrap_or_else(|_| compile(&generated())))
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Shape {
    /// What stands under an attribute of a section.
    pub fn property(&self, name: &str) -> Option<&Self> {
        self.mapping.as_ref()?.properties.get(name).map(Arc::as_ref)
    }

    /// What stands under a name of the user's own.
    pub fn any_property(&self) -> Option<&Self> {
        self.mapping.as_ref()?.named.as_ref().map(|(_, shape)| shape.as_ref())
    }

    /// An item of a list.
    pub fn item(&self) -> Option<&Self> {
        self.list.as_ref().map(|list| list.item.as_ref())
    }

    /// The attributes of a section, in the order in which they are printed.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.mapping.iter().flat_map(|mapping| mapping.properties.keys().map(String::as_str))
    }
}

fn compile(document: &Value) -> Arc<Shape> {
    let definitions = document.get("$defs").and_then(Value::as_object);
    Compiler { definitions, done: HashMap::new() }.shape(document)
}

struct Compiler<'d> {
    definitions: Option<&'d Map<String, Value>>,
    /// Definitions by name. None refers to itself.
    done: HashMap<&'d str, Arc<Shape>>,
}

impl<'d> Compiler<'d> {
    fn shape(&mut self, schema: &'d Value) -> Arc<Shape> {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let Some(name) = reference.and_then(|reference| reference.strip_prefix("#/$defs/")) else {
            return Arc::new(self.written_out(schema));
        };
        if let Some(shape) = self.done.get(name) {
            return shape.clone();
        }
        let shape = match self.definitions.and_then(|definitions| definitions.get(name)) {
            Some(definition) => self.shape(definition),
            None => Arc::new(Shape { anything: true, ..Shape::default() }),
        };
        self.done.insert(name, shape.clone());
        shape
    }

    fn written_out(&mut self, schema: &'d Value) -> Shape {
        let mut shape = Shape {
            title: schema.get("title").and_then(Value::as_str).map(str::to_owned),
            examples: texts(schema.get("examples")),
            ..Shape::default()
        };
        for form in ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten() {
            let form = self.shape(form);
            shape.take_in(&form);
        }
        match schema.get("type") {
            Some(Value::String(kind)) => self.kind(kind, schema, &mut shape),
            Some(Value::Array(kinds)) => {
                for kind in kinds.iter().filter_map(Value::as_str) {
                    self.kind(kind, schema, &mut shape);
                }
            }
            _ if schema.get("anyOf").is_none() && schema.get("oneOf").is_none() => shape.anything = true,
            _ => {}
        }
        shape
    }

    fn kind(&mut self, kind: &str, schema: &'d Value, shape: &mut Shape) {
        match kind {
            "null" => shape.null = true,
            "boolean" => shape.boolean = true,
            "integer" | "number" => {
                shape.number = Some(Number {
                    whole: kind == "integer",
                    minimum: schema.get("minimum").and_then(Value::as_i64),
                    maximum: schema.get("maximum").and_then(Value::as_i64),
                });
            }
            "string" => {
                let mut words = texts(schema.get("enum"));
                words.extend(schema.get("const").and_then(Value::as_str).map(str::to_owned));
                let pattern = schema.get("pattern").and_then(Value::as_str).and_then(Pattern::of);
                shape.text = Some(Text { words, pattern });
            }
            "array" => {
                let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
                shape.list = schema.get("items").map(|item| List { item: self.shape(item), unique });
            }
            _ => shape.mapping = Some(self.mapping(schema)),
        }
    }

    fn mapping(&mut self, schema: &'d Value) -> Mapping {
        let entries = |key: &str| schema.get(key).and_then(Value::as_object).into_iter().flatten();
        let properties = entries("properties").map(|(name, value)| (name.clone(), self.shape(value))).collect();
        let mut mapping = Mapping { properties, required: texts(schema.get("required")), ..Mapping::default() };
        for (regex, value) in entries("patternProperties") {
            match Pattern::of(regex) {
                Some(Pattern::Extension) => mapping.extensions = true,
                pattern => mapping.named = Some((pattern, self.shape(value))),
            }
        }
        if let Some(value @ Value::Object(_)) = schema.get("additionalProperties") {
            mapping.named = Some((None, self.shape(value)));
        }
        mapping
    }
}

impl Shape {
    /// One more form of the same attribute.
    fn take_in(&mut self, form: &Self) {
        self.anything |= form.anything;
        self.null |= form.null;
        self.boolean |= form.boolean;
        self.number = self.number.take().or_else(|| form.number.clone());
        self.list = self.list.take().or_else(|| form.list.clone());
        self.mapping = self.mapping.take().or_else(|| form.mapping.clone());
        match (&mut self.text, &form.text) {
            // Words are described one by one, which makes each of them a form.
            (Some(known), Some(more)) => known.words.extend(more.words.iter().cloned()),
            (none @ None, Some(more)) => *none = Some(more.clone()),
            (_, None) => {}
        }
        if self.examples.is_empty() {
            self.examples.clone_from(&form.examples);
        }
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `MUSTER_BLESS=1 cargo test --lib schema` writes it anew.
    #[test]
    fn the_shape_that_is_kept_is_that_of_this_version() {
        let text = format!("{}\n", serde_json::to_string(&compile(&generated())).unwrap());
        if std::env::var_os("MUSTER_BLESS").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/compose/schema/shape.json"), text).unwrap();
            return;
        }
        assert!(KEPT == text, "run this test with MUSTER_BLESS=1");
        assert_eq!(serde_json::from_str::<Shape>(KEPT).unwrap(), *compile(&generated()));
    }
}
