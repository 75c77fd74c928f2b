//! What the processes of a container find around them: variables from files, and host names.

use super::forms::{FilledMap, Flag, List, Strings, Text, closed, requires};
use schemars::JsonSchema;

/// Files with variables.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum EnvFiles {
    /// Path of the one file.
    One(Text),
    /// Several files, of which the later ones win.
    Many(List<EnvFile>),
}

/// A file with variables.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum EnvFile {
    /// Its path.
    Path(Text),
    Long(EnvFileLong),
}

/// A file with variables, attribute by attribute.
#[derive(JsonSchema)]
#[schemars(transform = closed, transform = requires("path"))]
pub struct EnvFileLong {
    /// Its path.
    pub path: Text,
    /// It is an error if the file does not exist. Default: true.
    pub required: Flag,
    /// `raw` takes every line as it is. Default: quotes and variables are resolved.
    pub format: Text,
}

/// Names for `/etc/hosts`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum ExtraHosts {
    /// Addresses by name.
    Mapping(FilledMap<Addresses>),
    /// `NAME=ADDRESS`
    List(Strings),
}

/// Addresses of one name.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub enum Addresses {
    One(Text),
    Many(List<Text>),
}
