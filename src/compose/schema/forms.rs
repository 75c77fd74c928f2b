//! The forms that values are written in: scalars, short and long lists, mappings with names of the user's own.
//!
//! A value with a variable in it, `${PORT}`, is a string until the variable is resolved. Compose therefore takes a
//! string wherever it takes a number or a boolean, and reads it. `Integer`, `Number` and `Flag` are such pairs; their
//! pattern lets a text with a `$` pass, so that an editor accepts the file as it is written. `PlainFlag` and its like are
//! what Compose never reads from a string.

use super::patterns;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::{borrow::Cow, marker::PhantomData};

/// A type that stands for a form, with the schema of that form.
macro_rules! form {
    ($(#[$about:meta])* $name:ident, $schema:tt) => {
        $(#[$about])*
        pub struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

form!(
    /// A string: numbers and booleans must be quoted.
    Text,
    { "type": "string" }
);
form!(
    /// A boolean, or a text that says one.
    Flag,
    { "type": ["boolean", "string"], "pattern": patterns::FLAG }
);
form!(
    /// A boolean that no variable can set.
    PlainFlag,
    { "type": "boolean" }
);
form!(
    /// A whole number, or a text that says one.
    Integer,
    { "type": ["integer", "string"], "pattern": patterns::INTEGER }
);
form!(
    /// A whole number that no variable can set.
    PlainInteger,
    { "type": "integer" }
);
form!(
    /// A whole number, also one that is written with a fraction, which is cut off; or a text that says a whole one.
    Rounded,
    { "type": ["number", "string"], "pattern": patterns::INTEGER }
);
form!(
    /// A number, or a text that says one.
    Number,
    { "type": ["number", "string"], "pattern": patterns::NUMBER }
);
form!(
    /// A number that no variable can set.
    PlainNumber,
    { "type": "number" }
);
form!(
    /// Bytes, as a number or with a unit of 1024.
    Size,
    { "type": ["number", "string"], "title": "size", "examples": ["512m", "1.5gb", "1048576"] }
);
form!(
    /// Bytes, as a whole number or with a unit of 1024.
    WholeSize,
    { "type": ["integer", "string"], "title": "size", "examples": ["512m", "1.5gb", "1048576"] }
);
form!(
    /// Bytes, always with a unit or in quotes.
    TextSize,
    { "type": "string", "title": "size", "examples": ["512m", "1.5gb", "1048576b"] }
);
form!(
    /// Time with its unit.
    Duration,
    { "type": "string", "title": "duration", "examples": ["1m30s", "500ms", "2h"] }
);
form!(
    /// Permissions of a file: octal as a string, as it is as a number.
    FileMode,
    { "type": ["number", "string"], "title": "file mode", "examples": ["0440"] }
);
form!(
    /// A string or a whole number.
    TextOrInteger,
    { "type": ["string", "integer"] }
);
form!(
    /// A string or a number.
    TextOrNumber,
    { "type": ["string", "number"] }
);
form!(
    /// A string or a boolean, where a string may say more than a boolean.
    TextOrFlag,
    { "type": ["string", "boolean"] }
);
form!(
    /// A string, a number or nothing.
    TextNumberOrNull,
    { "type": ["string", "number", "null"] }
);
form!(
    /// A string, a number or a boolean.
    Scalar,
    { "type": ["string", "number", "boolean"] }
);
form!(
    /// A string, a number, a boolean or nothing.
    ScalarOrNull,
    { "type": ["string", "number", "boolean", "null"] }
);
form!(
    /// A string or nothing.
    TextOrNull,
    { "type": ["string", "null"] }
);
form!(
    /// Anything at all.
    Any,
    {}
);

/// A list of strings, each of which may stand there once.
pub type Strings = Unique<Text>;

/// `T`, or nothing.
pub struct Nullable<T>(PhantomData<T>);

/// A list of `T`.
pub struct List<T>(PhantomData<T>);

/// A list of `T` without repetitions.
pub struct Unique<T>(PhantomData<T>);

/// A mapping of names, with characters that names of services and their like have, to `T`.
pub struct Named<T>(PhantomData<T>);

/// A mapping of any text to `T`.
pub struct Map<T>(PhantomData<T>);

/// A mapping of any text but the empty one to `T`.
pub struct FilledMap<T>(PhantomData<T>);

/// A generic form, whose schema is written out where it is used.
macro_rules! generic_form {
    ($name:ident, |$inner:ident| $schema:tt) => {
        impl<T: JsonSchema> JsonSchema for $name<T> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                format!(concat!(stringify!($name), "_{}"), T::schema_name()).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let $inner = generator.subschema_for::<T>();
                json_schema!($schema)
            }
        }
    };
}

generic_form!(Nullable, |inner| { "anyOf": [inner, { "type": "null" }] });
generic_form!(List, |inner| { "type": "array", "items": inner });
generic_form!(Unique, |inner| { "type": "array", "items": inner, "uniqueItems": true });
generic_form!(Named, |inner| {
    "type": "object", "patternProperties": { (patterns::NAME): inner }, "additionalProperties": false
});
generic_form!(Map, |inner| { "type": "object", "additionalProperties": inner });
generic_form!(FilledMap, |inner| {
    "type": "object", "patternProperties": { (patterns::FILLED): inner }, "additionalProperties": false
});

/// One string, or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMany {
    One(Text),
    Many(Strings),
}

/// Pairs, as a mapping or as a list of `KEY=VALUE`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Pairs {
    /// A value for each key. Nothing as the value: it is taken from the environment, where that makes sense.
    Mapping(FilledMap<ScalarOrNull>),
    /// `KEY=VALUE`, or `KEY` alone.
    List(Strings),
}

/// A command with its arguments.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Command {
    /// Nothing: the command of the image.
    Unset(()),
    /// Split into words as a shell splits them; no shell runs.
    Line(Text),
    /// The program and its arguments.
    Words(List<Text>),
}

/// A section: every attribute may be left out, none that is not known may stand in it, and `x-` attributes are for others.
pub fn section(schema: &mut Schema) {
    closed(schema);
    schema.insert("patternProperties".into(), serde_json::json!({ (patterns::EXTENSION): {} }));
}

/// A section without room for `x-` attributes.
pub fn closed(schema: &mut Schema) {
    schema.remove("required");
    schema.insert("additionalProperties".into(), false.into());
}

/// After `section` or `closed`: the attributes that may not be left out, with a space between two.
pub fn requires(names: &'static str) -> impl FnMut(&mut Schema) {
    move |schema| {
        let names: Vec<&str> = names.split(' ').collect();
        schema.insert("required".into(), names.into());
    }
}
