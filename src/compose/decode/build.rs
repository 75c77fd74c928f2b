//! `build`: what the image of a service is made from.

use super::{
    At, Decoder,
    Field::{self, Read, Without},
    service::WINDOWS,
};
use crate::model::{Build, Dockerfile};
use indexmap::IndexMap;
use std::path::PathBuf;

const ATTESTATIONS: &str = "muster does not attest how an image was built";

pub const FIELDS: &[Field<Build>] = &[
    Read("additional_contexts", |d, at, b| b.additional_contexts = d.labels(at)),
    Read("args", |d, at, b| b.args = d.environment(at)),
    Read("cache_from", |d, at, b| b.cache_from = d.cache_from(at)),
    Read("cache_to", |d, at, b| b.cache_to = d.cache_to(at)),
    Read("context", |d, at, b| b.context = d.text(at).unwrap_or_default()),
    Read("dockerfile", |d, at, b| {
        if let Some(file) = d.filled(at) {
            b.dockerfile = Dockerfile::File(file);
        }
    }),
    Read("dockerfile_inline", |d, at, b| {
        if let Some(text) = d.text(at) {
            b.dockerfile = Dockerfile::Inline(text);
        }
    }),
    Read("entitlements", |d, at, b| b.entitlements = d.strings(at)),
    Read("extra_hosts", |d, at, b| b.extra_hosts = d.extra_hosts(at)),
    Without("isolation", WINDOWS),
    Read("labels", |d, at, b| b.labels = d.labels(at)),
    Read("network", |d, at, b| b.network = d.text(at).filter(|network| !network.is_empty())),
    Read("no_cache", |d, at, b| b.no_cache = d.boolean(at).unwrap_or_default()),
    Read("no_cache_filter", |d, at, b| b.no_cache_filter = d.strings(at)),
    Read("platforms", |d, at, b| {
        for item in d.items(at) {
            b.platforms.extend(d.platform(&item));
        }
    }),
    Read("privileged", |d, at, b| b.privileged = d.boolean(at).unwrap_or_default()),
    Without("provenance", ATTESTATIONS),
    Read("pull", |d, at, b| b.pull = d.boolean(at).unwrap_or_default()),
    Without("sbom", ATTESTATIONS),
    Read("secrets", |d, at, b| b.secrets = d.build_secrets(at)),
    Read("shm_size", |d, at, b| b.shm_size = d.limit(at)),
    Read("ssh", |d, at, b| b.ssh = d.ssh(at)),
    Read("tags", |d, at, b| {
        for item in d.items(at) {
            b.tags.extend(d.image(&item));
        }
    }),
    Read("target", |d, at, b| b.target = d.text(at).filter(|target| !target.is_empty())),
    Read("ulimits", |d, at, b| b.ulimits = d.ulimits(at)),
];

/// A secret as a build has it: nothing but an id, which is `target` where that is said.
#[derive(Default)]
struct Secret {
    source: Option<String>,
    target: Option<String>,
}

/// Owner and mode are what the `RUN --mount` of the Dockerfile says.
const DOCKERFILE: &str = "the Dockerfile says how it mounts a secret";

const SECRET: &[Field<Secret>] = &[
    Read("source", |d, at, s| s.source = d.filled(at)),
    Read("target", |d, at, s| s.target = d.filled(at)),
    Without("uid", DOCKERFILE),
    Without("gid", DOCKERFILE),
    Without("mode", DOCKERFILE),
];

impl Decoder<'_> {
    pub fn build(&mut self, at: &At<'_>) -> Option<Build> {
        let mut build = Build::default();
        (!at.node.is_null() && self.section(at, FIELDS, &mut build)).then_some(build)
    }

    fn build_secrets(&mut self, at: &At<'_>) -> IndexMap<String, String> {
        let mut secrets = IndexMap::new();
        for item in self.items(at) {
            let mut secret = Secret::default();
            self.section(&item, SECRET, &mut secret);
            if let Some(source) = secret.source {
                secrets.insert(secret.target.unwrap_or_else(|| source.clone()), source);
            }
        }
        secrets
    }

    fn ssh(&mut self, at: &At<'_>) -> IndexMap<String, Option<PathBuf>> {
        let path = |text: String| Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty());
        self.key_values(at).into_iter().map(|(id, value)| (id, value.and_then(path))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        compose::{LoadOptions, Purpose, load},
        model::{Build, Dockerfile, PullPolicy, Service},
    };
    use std::path::Path;

    fn service(text: &str) -> Result<Service, String> {
        service_for(text, Purpose::Run)
    }

    fn service_for(text: &str, purpose: Purpose) -> Result<Service, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
        std::fs::write(dir.path().join("key"), "k").unwrap();
        let options = LoadOptions {
            cwd: dir.path().to_owned(),
            project_name: Some("p".into()),
            purpose,
            ..LoadOptions::default()
        };
        let loaded = load(&options).map_err(|findings| findings.render(false))?;
        let mut service = loaded.project.services.into_values().next().unwrap();
        let build = service.build.as_mut().unwrap();
        build.context = Path::new(&build.context).strip_prefix(dir.path()).unwrap().display().to_string();
        Ok(service)
    }

    #[test]
    fn a_service_that_is_only_built_is_named_after_project_and_service() {
        let service = service("services: {web: {build: src}}").unwrap();
        assert_eq!(service.image, "p-web");
        assert_eq!(service.build, Some(Build { context: "src".into(), ..Build::default() }));
        assert_eq!(service.pull_policy, PullPolicy::Missing);
    }

    #[test]
    fn everything_that_a_build_can_say_is_in_the_model() {
        let text = "
services:
  web:
    image: own:1
    pull_policy: build
    build:
      context: src
      dockerfile_inline: FROM scratch
      args: {A: 1, B: }
      target: final
      network: none
      pull: true
      no_cache: true
      no_cache_filter: base
      additional_contexts: {img: 'docker-image://alpine'}
      extra_hosts: {h: 1.1.1.1}
      labels: [a=b]
      tags: [other:2]
      shm_size: 1m
      ulimits: {nofile: 5}
      secrets: [k, {source: k, target: other}]
      ssh: [default]
      entitlements: [network.host]
      privileged: true
secrets: {k: {file: key}}
";
        let service = service(text).unwrap();
        assert_eq!((service.image.as_str(), service.pull_policy), ("own:1", PullPolicy::Build));
        let build = service.build.unwrap();
        assert_eq!(build.dockerfile, Dockerfile::Inline("FROM scratch".into()));
        assert_eq!(build.args.into_iter().collect::<Vec<_>>(), [("A".into(), "1".into())]);
        assert_eq!((build.target.as_deref(), build.network.as_deref()), (Some("final"), Some("none")));
        assert!(build.pull && build.no_cache && build.privileged);
        assert_eq!(build.no_cache_filter, ["base"]);
        assert_eq!(build.additional_contexts["img"], "docker-image://alpine");
        assert_eq!(build.extra_hosts["h"], ["1.1.1.1"]);
        assert_eq!((build.labels["a"].as_str(), build.tags), ("b", vec!["other:2".to_owned()]));
        assert_eq!((build.shm_size, build.ulimits["nofile"].hard), (Some(1 << 20), 5));
        assert_eq!(
            build.secrets.into_iter().collect::<Vec<_>>(),
            [("k".to_owned(), "k".to_owned()), ("other".to_owned(), "k".to_owned())]
        );
        assert_eq!((build.ssh["default"].clone(), build.entitlements), (None, vec!["network.host".to_owned()]));
    }

    #[test]
    fn who_builds_is_told_of_builds_alone() {
        let text = "services:\n  web:\n    cgroup_parent: x\n    build: {context: ., platforms: [windows/amd64]}\n";
        let told = |purpose| service_for(text, purpose).err().unwrap_or_default();
        let (run, build) = (told(Purpose::Run), told(Purpose::Build));
        assert!(run.contains("cgroup_parent") && run.contains("windows"), "{run}");
        assert!(!build.contains("cgroup_parent") && build.contains("windows"), "{build}");
        let text = "services: {web: {platform: windows/amd64, build: .}}";
        let of_service = service_for(text, Purpose::Build).unwrap_err();
        assert!(of_service.contains("`services.web.platform`: the platform \"windows/amd64\""), "{of_service}");
        assert_eq!(told(Purpose::Look), "");
    }

    #[test]
    fn what_a_build_cannot_have_is_told() {
        insta::assert_snapshot!(service("services: {web: {build: {context: ., platforms: [windows/amd64]}}}").unwrap_err(), @r#"
        error: `services.web.build.platforms[0]`: the platform "windows/amd64" is not supported yet
         --> compose.yaml:1:50
          |
        1 | services: {web: {build: {context: ., platforms: [windows/amd64]}}}
          |                                                  ^^^^^^^^^^^^^
        "#);
    }

    #[test]
    fn platforms_are_kept_in_the_one_form_that_stands_for_all_of_theirs() {
        for (text, platform) in [
            ("linux/s390x", "linux/s390x"),
            ("linux/amd64", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
        ] {
            let service = service(&format!(
                "services: {{web: {{platform: {text}, build: {{context: ., platforms: [{text}]}}}}}}"
            ));
            let service = service.unwrap();
            assert_eq!(service.platform.as_deref(), Some(platform));
            assert_eq!(service.build.unwrap().platforms, [platform]);
        }
        assert_eq!(service("services: {web: {platform: linux, build: .}}").unwrap().platform, None);
    }
}
