//! The configuration of an image: what its containers run by default.
//!
//! Read from the raw JSON, because the OCI types leave out Docker's extensions (`Healthcheck`, `Shell`).

use super::digest::Digest;
use crate::model::{HealthTest, Healthcheck};
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// What an image says about its containers. What it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// `KEY=VALUE`
    pub env: Vec<String>,
    /// `name|uid[:group|gid]`; empty is root.
    pub user: String,
    /// Empty is `/`.
    pub working_dir: String,
    /// Paths that get an anonymous volume, sorted.
    pub volumes: Vec<String>,
    /// `80/tcp`, sorted.
    pub exposed_ports: Vec<String>,
    pub healthcheck: Option<Healthcheck>,
    /// `SIGINT` or a number; `None` is SIGTERM.
    pub stop_signal: Option<String>,
    pub labels: IndexMap<String, String>,
}

/// The whole configuration document, as far as it is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    pub architecture: String,
    pub os: String,
    #[serde(default, deserialize_with = "or_default")]
    pub variant: String,
    pub created: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    config: Raw,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    #[serde(default, deserialize_with = "or_default")]
    diff_ids: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Raw {
    #[serde(deserialize_with = "or_default")]
    user: String,
    #[serde(deserialize_with = "or_default")]
    exposed_ports: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "or_default")]
    env: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    volumes: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "or_default")]
    working_dir: String,
    #[serde(deserialize_with = "or_default")]
    labels: IndexMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    stop_signal: String,
    #[serde(deserialize_with = "or_default")]
    shell: Vec<String>,
    healthcheck: Option<RawHealthcheck>,
}

/// Durations are nanoseconds; zero stands for "not said".
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RawHealthcheck {
    #[serde(deserialize_with = "or_default")]
    test: Vec<String>,
    interval: i64,
    timeout: i64,
    start_period: i64,
    start_interval: i64,
    retries: i64,
}

/// Go writes an empty list, map or string as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Document {
    pub fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// Digests of the uncompressed layers, lowest first.
    pub fn diff_ids(&self) -> Result<Vec<Digest>, super::digest::DigestError> {
        self.rootfs.diff_ids.iter().map(|id| id.parse()).collect()
    }

    /// `linux/arm/v7`
    pub fn platform(&self) -> String {
        let variant = if self.variant.is_empty() { String::new() } else { format!("/{}", self.variant) };
        format!("{}/{}{variant}", self.os, self.architecture)
    }

    pub fn into_config(self) -> ImageConfig {
        let raw = self.config;
        let healthcheck = raw.healthcheck.and_then(|check| check.into_model(&raw.shell));
        ImageConfig {
            entrypoint: raw.entrypoint,
            cmd: raw.cmd,
            env: raw.env,
            user: raw.user,
            working_dir: raw.working_dir,
            volumes: raw.volumes.into_keys().collect(),
            exposed_ports: raw.exposed_ports.into_keys().collect(),
            healthcheck,
            stop_signal: (!raw.stop_signal.is_empty()).then_some(raw.stop_signal),
            labels: raw.labels,
        }
    }
}

impl RawHealthcheck {
    fn into_model(self, shell: &[String]) -> Option<Healthcheck> {
        let (kind, rest) = self.test.split_first()?;
        let test = match (kind.as_str(), rest) {
            ("NONE", _) => HealthTest::None,
            ("CMD", words) if !words.is_empty() => HealthTest::Cmd(words.to_vec()),
            // The image's SHELL runs the text, where it has one.
            ("CMD-SHELL", [text, ..]) if !shell.is_empty() => {
                HealthTest::Cmd(shell.iter().chain([text]).cloned().collect())
            }
            ("CMD-SHELL", [text, ..]) => HealthTest::Shell(text.clone()),
            _ => return None,
        };
        let nanos = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0).map(Duration::from_nanos);
        Some(Healthcheck {
            test: Some(test),
            interval: nanos(self.interval),
            timeout: nanos(self.timeout),
            retries: u32::try_from(self.retries).ok().filter(|retries| *retries > 0),
            start_period: nanos(self.start_period),
            start_interval: nanos(self.start_interval),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ImageConfig {
        Document::parse(text.as_bytes()).unwrap().into_config()
    }

    #[test]
    fn a_docker_config_is_read_whole() {
        let text = r#"{"architecture":"arm","variant":"v7","os":"linux","created":"2026-01-02T03:04:05Z",
          "config":{"User":"postgres","ExposedPorts":{"5432/tcp":{}},"Env":["PATH=/bin","PGDATA=/data"],
            "Entrypoint":["docker-entrypoint.sh"],"Cmd":["postgres"],"Volumes":{"/data":{}},"WorkingDir":"/w",
            "Labels":{"b":"1","a":"2"},"StopSignal":"SIGINT","OnBuild":null,
            "Healthcheck":{"Test":["CMD-SHELL","pg_isready"],"Interval":2000000000,"StartPeriod":1000000,"Retries":5}},
          "rootfs":{"type":"layers","diff_ids":[]},"history":[]}"#;
        let document = Document::parse(text.as_bytes()).unwrap();
        assert_eq!(document.platform(), "linux/arm/v7");
        let config = document.into_config();
        assert_eq!(config.entrypoint, ["docker-entrypoint.sh"]);
        assert_eq!(config.cmd, ["postgres"]);
        assert_eq!(config.volumes, ["/data"]);
        assert_eq!(config.exposed_ports, ["5432/tcp"]);
        assert_eq!(config.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(config.labels.keys().collect::<Vec<_>>(), ["b", "a"]);
        let check = config.healthcheck.unwrap();
        assert_eq!(check.test, Some(HealthTest::Shell("pg_isready".into())));
        assert_eq!(check.interval, Some(Duration::from_secs(2)));
        assert_eq!(check.start_period, Some(Duration::from_millis(1)));
        assert_eq!((check.timeout, check.retries), (None, Some(5)));
    }

    #[test]
    fn nulls_and_absent_parts_are_empty() {
        let bare = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":null}}"#;
        assert_eq!(config(bare), ImageConfig::default());
        let nulls = r#"{"architecture":"amd64","os":"linux","variant":null,"created":null,
          "config":{"Cmd":null,"Entrypoint":null,"Env":null,"Volumes":null,"Labels":null,"Healthcheck":null},
          "rootfs":{"type":"layers","diff_ids":[]}}"#;
        assert_eq!(config(nulls), ImageConfig::default());
        assert!(Document::parse(b"{}").is_err());
    }

    #[test]
    fn a_health_check_is_run_by_the_images_shell_and_none_switches_it_off() {
        let with = |shell: &str, test: &str| {
            config(&format!(
                r#"{{"architecture":"amd64","os":"linux","config":{{"Shell":{shell},"Healthcheck":{{"Test":{test}}}}},
                "rootfs":{{"type":"layers","diff_ids":[]}}}}"#
            ))
            .healthcheck
            .and_then(|check| check.test)
        };
        assert_eq!(
            with(r#"["/bin/bash","-c"]"#, r#"["CMD-SHELL","x"]"#),
            Some(HealthTest::Cmd(["/bin/bash", "-c", "x"].map(str::to_owned).to_vec()))
        );
        assert_eq!(with("null", r#"["NONE"]"#), Some(HealthTest::None));
        assert_eq!(with("null", r#"["CMD","a","b"]"#), Some(HealthTest::Cmd(vec!["a".into(), "b".into()])));
        assert_eq!(with("null", "[]"), None);
    }
}
