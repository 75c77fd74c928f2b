//! The configuration of an image while its stage is read: from the base's document, to that of the outcome.
//!
//! What Docker's document does not know is dropped, as BuildKit does.

use crate::model::Platform;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a process finds where no image and no ENV says better.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub platform: Platform,
    pub author: String,
    /// `os.version` and `os.features`, as they came.
    os_details: Map<String, Value>,
    pub config: Config,
}

/// The fields that Docker knows, in its order. Maps are sorted by key, as Go writes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Config {
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub user: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub exposed_ports: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub volumes: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub working_dir: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub stop_signal: String,
    /// Docker sets it with every CMD.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub args_escaped: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub on_build: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub shell: Vec<String>,
}

// The form that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Go writes an empty list, map or string as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Image {
    /// What FROM scratch begins with.
    pub fn empty(platform: &Platform) -> Self {
        let config = Config { env: vec![format!("PATH={PATH}")], working_dir: "/".to_owned(), ..Config::default() };
        Self { platform: platform.clone(), author: String::new(), os_details: Map::new(), config }
    }

    /// From a configuration document; the history is beside it.
    pub fn read(document: &Map<String, Value>) -> Result<(Self, Vec<Value>), String> {
        let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let config = match document.get("config") {
            None | Some(Value::Null) => Config::default(),
            Some(config) => Config::deserialize(config).map_err(|error| format!("config: {error}"))?,
        };
        let history = match document.get("history") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) => entries.clone(),
            Some(_) => return Err("history is no list".to_owned()),
        };
        let platform = Platform { os: text("os"), architecture: text("architecture"), variant: text("variant") };
        let known = |(key, _): &(&String, &Value)| ["os.version", "os.features"].contains(&key.as_str());
        let os_details = document.iter().filter(known).map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok((Self { platform, author: text("author"), os_details, config }, history))
    }

    pub fn write(&self) -> Map<String, Value> {
        let mut document = Map::new();
        if !self.author.is_empty() {
            document.insert("author".into(), json!(self.author));
        }
        document.insert("architecture".into(), json!(self.platform.architecture));
        document.insert("os".into(), json!(self.platform.os));
        if !self.platform.variant.is_empty() {
            document.insert("variant".into(), json!(self.platform.variant));
        }
        document.extend(self.os_details.clone());
        // A struct of strings, lists and maps with text keys has a JSON form.
        document.insert("config".into(), serde_json::to_value(&self.config).unwrap_or_default());
        document
    }

    /// The shell that runs texts.
    pub fn with_shell(&self, text: &str) -> Vec<String> {
        let default = ["/bin/sh", "-c"].map(str::to_owned);
        let shell = if self.config.shell.is_empty() { &default[..] } else { &self.config.shell };
        shell.iter().cloned().chain([text.to_owned()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_out_as_docker_writes_it() {
        let document = json!({"architecture": "arm", "os": "linux", "variant": "v7", "created": "x", "docker_version": "1",
            "os.version": "1", "author": "me",
            "config": {"Hostname": "x", "Labels": {"b": "1", "a": "2"}, "Cmd": ["sh"], "Entrypoint": null, "Env": ["A=1"],
                "OnBuild": [], "WorkingDir": "/w", "Healthcheck": {"Test": ["NONE"]}},
            "rootfs": {}, "history": [{"created_by": "x"}]});
        let (image, history) = Image::read(document.as_object().unwrap()).unwrap();
        assert_eq!(history.len(), 1);
        assert_eq!(
            serde_json::to_string(&image.write()).unwrap(),
            r#"{"author":"me","architecture":"arm","os":"linux","variant":"v7","os.version":"1","config":{"Env":["A=1"],"Cmd":["sh"],"WorkingDir":"/w","Labels":{"a":"2","b":"1"},"Healthcheck":{"Test":["NONE"]}}}"#
        );
        assert!(Image::read(json!({"config": {"Env": 1}}).as_object().unwrap()).is_err());
    }
}
