//! The Compose file of a bundle: the canonical one, changed so that it means the same where nothing of this host is. Pure.

use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// A path of the host in a model, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPath {
    /// JSON pointer to its value.
    pub pointer: String,
    pub path: PathBuf,
    /// `bind of web`, `secret password`
    pub role: String,
}

/// Paths that services mount. Relative ones (there are none in a canonical model) are left alone.
pub fn host_paths(model: &Value) -> Vec<HostPath> {
    let mut found = Vec::new();
    let mut push = |pointer: String, value: Option<&Value>, role: String| {
        if let Some(path) = value.and_then(Value::as_str).filter(|path| path.starts_with('/')) {
            found.push(HostPath { pointer, path: PathBuf::from(undollared(path)), role });
        }
    };
    for (name, service) in section(model, "services") {
        let volumes = service.get("volumes").and_then(Value::as_array);
        for (number, volume) in volumes.into_iter().flatten().enumerate() {
            if volume.get("type").and_then(Value::as_str) == Some("bind") {
                let pointer = format!("/services/{}/volumes/{number}/source", escaped(name));
                push(pointer, volume.get("source"), format!("bind of {name}"));
            }
        }
    }
    for (key, role) in [("secrets", "secret"), ("configs", "config")] {
        for (name, object) in section(model, key) {
            push(format!("/{key}/{}/file", escaped(name)), object.get("file"), format!("{role} {name}"));
        }
    }
    found
}

/// What has to be on the host that runs it besides paths.
pub fn outside(model: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (key, role) in [("networks", "network"), ("volumes", "volume")] {
        for (name, object) in section(model, key) {
            if object.get("external").and_then(Value::as_bool) == Some(true) {
                let real = object.get("name").and_then(Value::as_str).unwrap_or(name);
                found.push(format!("{role} {real}"));
            }
        }
    }
    for (key, role) in [("secrets", "secret"), ("configs", "config")] {
        for (name, object) in section(model, key) {
            if let Some(variable) = object.get("environment").and_then(Value::as_str) {
                found.push(format!("variable {variable} for {role} {name}"));
            }
        }
    }
    found
}

/// Lets paths lead to `paths` (by pointer), and services use `images` (by service), which are there when it is run.
pub fn carry(model: &mut Value, paths: &BTreeMap<String, String>, images: &BTreeMap<String, String>) {
    for (pointer, path) in paths {
        if let Some(place) = model.pointer_mut(pointer) {
            *place = Value::from(dollared(path));
        }
    }
    for (name, service) in section_mut(model, "services") {
        let Some(service) = service.as_object_mut() else { continue };
        // Which services are in it was decided; how images come to be as well; nobody edits its sources.
        for key in ["profiles", "build", "develop", "env_file", "label_file", "extends"] {
            service.remove(key);
        }
        if let Some(image) = images.get(name) {
            service.insert("image".into(), Value::from(dollared(image)));
        }
        service.insert("pull_policy".into(), Value::from("never"));
        // A name without a value would take one from whoever runs it.
        if let Some(environment) = service.get_mut("environment").and_then(Value::as_object_mut) {
            environment.retain(|_, value| !value.is_null());
        }
    }
}

/// The directories and files to pack: those below `directory`, relative to it, without those that are below another one.
pub fn selected(paths: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let all: BTreeSet<PathBuf> = paths.into_iter().collect();
    all.iter().filter(|path| !path.ancestors().skip(1).any(|above| all.contains(above))).cloned().collect()
}

/// `path` relative to `directory`, where it is below it and leads nowhere else. Links are followed by `follow`.
pub fn inside(directory: &Path, path: &Path, follow: impl Fn(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let real = match follow(path) {
        Some(real) => real,
        // Not there: a bind makes it. What is above it decides.
        None => follow(path.parent()?)?.join(path.file_name()?),
    };
    Some(real.strip_prefix(follow(directory)?).ok()?.to_owned())
}

fn section<'m>(model: &'m Value, key: &str) -> impl Iterator<Item = (&'m String, &'m Value)> {
    model.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn section_mut<'m>(model: &'m mut Value, key: &str) -> impl Iterator<Item = (&'m String, &'m mut Value)> {
    model.get_mut(key).and_then(Value::as_object_mut).into_iter().flat_map(Map::iter_mut)
}

/// RFC 6901.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A printed model has `$$` for `$`.
fn undollared(text: &str) -> String {
    text.replace("$$", "$")
}

fn dollared(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn model() -> Value {
        json!({
            "name": "shop",
            "services": {
                "web": {
                    "image": "nginx:1", "profiles": ["x"], "pull_policy": "always", "build": {"context": "/p"},
                    "environment": {"A": "1$$2", "B": null},
                    "volumes": [
                        {"type": "volume", "source": "data", "target": "/d"},
                        {"type": "bind", "source": "/p/a$$b", "target": "/a"},
                        {"type": "bind", "source": "/etc/x", "target": "/x"},
                    ],
                },
            },
            "volumes": {"data": {"name": "shop_data"}, "theirs": {"name": "theirs", "external": true}},
            "secrets": {"a/b": {"file": "/p/secret"}, "c": {"environment": "TOKEN"}},
        })
    }

    #[test]
    fn paths_of_the_host_are_found_with_their_places() {
        let found = host_paths(&model());
        let told: Vec<_> =
            found.iter().map(|p| (p.pointer.as_str(), p.path.to_str().unwrap(), p.role.as_str())).collect();
        assert_eq!(
            told,
            [
                ("/services/web/volumes/1/source", "/p/a$b", "bind of web"),
                ("/services/web/volumes/2/source", "/etc/x", "bind of web"),
                ("/secrets/a~1b/file", "/p/secret", "secret a/b"),
            ]
        );
        assert_eq!(outside(&model()), ["volume theirs", "variable TOKEN for secret c"]);
    }

    #[test]
    fn a_carried_model_names_nothing_of_this_host() {
        let mut model = model();
        let paths = [("/services/web/volumes/1/source".to_owned(), "../files-1/a$b".to_owned())].into();
        carry(&mut model, &paths, &[("web".to_owned(), "sha256:1".to_owned())].into());
        let web = &model["services"]["web"];
        assert_eq!(web["volumes"][1]["source"], "../files-1/a$$b");
        assert_eq!((&web["image"], &web["pull_policy"]), (&json!("sha256:1"), &json!("never")));
        assert_eq!(web["environment"], json!({"A": "1$$2"}));
        assert!(web.get("profiles").is_none() && web.get("build").is_none());
    }

    #[test]
    fn what_is_inside_is_packed_once() {
        let follow = |path: &Path| match path.to_str().unwrap() {
            "/p/link" => Some("/etc".into()),
            "/p/new" => None,
            _ => Some(path.to_owned()),
        };
        let inside = |path: &str| inside(Path::new("/p"), Path::new(path), follow);
        assert_eq!(inside("/p/a/b"), Some("a/b".into()));
        assert_eq!(inside("/p"), Some("".into()));
        assert_eq!(inside("/p/new"), Some("new".into()));
        assert_eq!((inside("/p/link"), inside("/q/a")), (None, None));
        assert_eq!(selected(["a/b".into(), "a".into(), "ab".into()]), [PathBuf::from("a"), "ab".into()]);
        assert_eq!(selected(["a".into(), "".into()]), [PathBuf::new()]);
    }
}
