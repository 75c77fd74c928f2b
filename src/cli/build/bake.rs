//! `build --print`: the builds as a file of `docker buildx bake`, which other builders read as well
//! (docs.docker.com/build/bake/reference).

use super::request::Overrides;
use crate::model::{Build, CachePlace, CacheTo, Dockerfile, FileSource, Project, Service};
use serde_json::{Map, Value, json};

/// The file for these services; those whose images they are built from are in it.
pub fn file(project: &Project, names: &[String], overrides: &Overrides, push: bool) -> Value {
    let mut targets = Map::new();
    for name in super::remote::with_needs(project, names) {
        if let Some((service, build)) = project.service(&name).and_then(|s| Some((s, s.build.as_ref()?))) {
            targets.insert(name, target(project, service, build, overrides, push));
        }
    }
    json!({"group": {"default": {"targets": names}}, "target": targets})
}

fn target(project: &Project, service: &Service, build: &Build, overrides: &Overrides, push: bool) -> Value {
    let mut target = Map::new();
    let mut set = |key: &str, value: Value| {
        let nothing = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !nothing {
            target.insert(key.to_owned(), value);
        }
    };
    set("context", json!(build.context));
    set(
        "contexts",
        build
            .additional_contexts
            .iter()
            .map(|(name, value)| (name.clone(), json!(value.replacen("service:", "target:", 1))))
            .collect::<Map<_, _>>()
            .into(),
    );
    match &build.dockerfile {
        Dockerfile::File(name) => set("dockerfile", json!(name)),
        Dockerfile::Inline(text) => set("dockerfile-inline", json!(text)),
    }
    let mut args = build.args.clone();
    args.extend(overrides.args.clone());
    set("args", json!(args));
    set("labels", json!(build.labels));
    set("tags", std::iter::once(&service.image).chain(&build.tags).map(|tag| json!(tag)).collect());
    set("target", json!(build.target));
    set("network", json!(build.network));
    set("platforms", json!(build.platforms));
    set("pull", json!(build.pull || overrides.pull));
    set("no-cache", json!(build.no_cache || overrides.no_cache));
    set("no-cache-filter", json!(build.no_cache_filter));
    set("cache-from", build.cache_from.iter().map(|place| json!(cache(place, "src"))).collect());
    set("cache-to", build.cache_to.iter().map(|to| json!(cache_to(to))).collect());
    set("secret", build.secrets.iter().map(|(id, key)| json!(secret(project, id, key))).collect());
    set("ssh", build.ssh.iter().map(|(id, path)| json!(pair(id, path.as_ref()))).collect());
    let hosts = build.extra_hosts.iter().map(|(host, addresses)| (host.clone(), json!(addresses.join(","))));
    set("extra-hosts", hosts.collect::<Map<_, _>>().into());
    set("shm-size", build.shm_size.map(|bytes| json!(bytes.to_string())).unwrap_or_default());
    let ulimits = build.ulimits.iter().map(|(name, limit)| json!(format!("{name}={}:{}", limit.soft, limit.hard)));
    set("ulimits", ulimits.collect());
    let privileged = build.privileged.then(|| "security.insecure".to_owned());
    set("entitlements", build.entitlements.iter().cloned().chain(privileged).map(|what| json!(what)).collect());
    set("output", json!([if push { "type=image,push=true" } else { "type=docker" }]));
    target.into()
}

fn pair(id: &str, path: Option<&std::path::PathBuf>) -> String {
    path.map_or_else(|| id.to_owned(), |path| format!("{id}={}", path.display()))
}

fn secret(project: &Project, id: &str, key: &str) -> String {
    match project.secrets.get(key).map(|secret| &secret.source) {
        Some(FileSource::File(path)) => format!("id={id},type=file,src={}", path.display()),
        Some(FileSource::Environment(name)) => format!("id={id},type=env,env={name}"),
        None => format!("id={id}"),
    }
}

fn cache(place: &CachePlace, way: &str) -> String {
    match place {
        CachePlace::Registry(name) => format!("type=registry,ref={name}"),
        CachePlace::Local { dir, tag, digest } => {
            let digest = digest.as_ref().map(|digest| format!(",digest={digest}")).unwrap_or_default();
            format!("type=local,{way}={},tag={tag}{digest}", dir.display())
        }
        CachePlace::Inline => "type=inline".to_owned(),
    }
}

fn cache_to(to: &CacheTo) -> String {
    let mut text = cache(&to.place, "dest");
    for (set, more) in
        [(to.every_step, ",mode=max"), (to.ignore_error, ",ignore-error=true"), (to.reset, ",reset=true")]
    {
        text.push_str(if set { more } else { "" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_reads_as_bake_writes_it() {
        let mut project = Project::default();
        let base = Service {
            name: "base".into(),
            image: "p-base".into(),
            build: Some(Build::default()),
            ..Service::default()
        };
        let build = Build {
            context: "/src".into(),
            args: [("A".to_owned(), "1".to_owned())].into_iter().collect(),
            target: Some("final".into()),
            additional_contexts: [("b".to_owned(), "service:base".to_owned())].into_iter().collect(),
            cache_to: vec![CacheTo {
                place: CachePlace::Registry("r/c".into()),
                every_step: true,
                ignore_error: false,
                reset: false,
            }],
            ..Build::default()
        };
        let web = Service { name: "web".into(), image: "me/web:1".into(), build: Some(build), ..Service::default() };
        project.services.insert("web".into(), web);
        project.services.insert("base".into(), base);
        let written = file(&project, &["web".into()], &Overrides { no_cache: true, ..Overrides::default() }, true);
        assert_eq!(written["group"]["default"]["targets"], json!(["web"]));
        assert_eq!(
            written["target"]["web"],
            json!({
                "context": "/src",
                "contexts": {"b": "target:base"},
                "dockerfile": "Dockerfile",
                "args": {"A": "1"},
                "tags": ["me/web:1"],
                "target": "final",
                "no-cache": true,
                "cache-to": ["type=registry,ref=r/c,mode=max"],
                "output": ["type=image,push=true"],
            })
        );
        assert_eq!(written["target"]["base"]["tags"], json!(["p-base"]));
    }
}
