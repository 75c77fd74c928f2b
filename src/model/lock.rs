//! `compose.lock`: what the names of images stood for when they were locked, and how that differs from what a project
//! needs now.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Images by their names as the files write them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    pub images: BTreeMap<String, Locked>,
}

/// What a name stood for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// `sha256:...`: of the index where there is one, so that it holds for every platform.
    pub digest: String,
    /// Of the machine that asked: `linux/amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// When the registry said so, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
}

/// Names of images, and who needs each, in words: `service web`, `build of api`.
pub type Needed = BTreeMap<String, BTreeSet<String>>;

/// A difference between a lock and what is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    Missing { image: String, by: BTreeSet<String> },
    Unused { image: String },
}

impl Lock {
    /// `postgres:16@sha256:...`, where the name is locked.
    pub fn reference(&self, image: &str) -> Option<String> {
        self.images.get(image).map(|locked| format!("{image}@{}", locked.digest))
    }

    /// Every name with its digest behind it.
    pub fn references(&self) -> BTreeMap<String, String> {
        self.images.iter().map(|(image, locked)| (image.clone(), format!("{image}@{}", locked.digest))).collect()
    }

    pub fn drift(&self, needed: &Needed) -> Vec<Drift> {
        let missing = needed.iter().filter(|(image, _)| !self.images.contains_key(*image));
        let missing = missing.map(|(image, by)| Drift::Missing { image: image.clone(), by: by.clone() });
        let unused = self.images.keys().filter(|image| !needed.contains_key(*image));
        missing.chain(unused.map(|image| Drift::Unused { image: image.clone() })).collect()
    }

    /// The file. Sorted, a line a fact, and the same for the same lock.
    pub fn render(&self) -> String {
        let mut text = HEADER.to_owned();
        text.push_str(if self.images.is_empty() { "images: {}\n" } else { "images:\n" });
        for (image, locked) in &self.images {
            // A name has no character that quotes would have to hide.
            text.push_str(&format!("  \"{image}\":\n    digest: {}\n", locked.digest));
            let more = [("platform", &locked.platform), ("locked", &locked.locked)];
            for (key, value) in more.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
                text.push_str(&format!("    {key}: {value}\n"));
            }
        }
        text
    }
}

const HEADER: &str = "\
# What the names of this project's images stood for when they were locked. `muster lock` writes this file, `muster lock
# --update` renews it; up, create, run, pull and build follow it. It belongs beside the Compose file in version control.
version: 1
";

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(images: &[&str]) -> Lock {
        let locked = Locked {
            digest: format!("sha256:{}", "a".repeat(64)),
            platform: Some("linux/amd64".into()),
            locked: Some("2026-01-02T03:04:05Z".into()),
        };
        Lock { images: images.iter().map(|image| ((*image).to_owned(), locked.clone())).collect() }
    }

    #[test]
    fn the_file_is_sorted_and_small() {
        let mut lock = lock(&["redis:7", "localhost:5000/x"]);
        if let Some(redis) = lock.images.get_mut("redis:7") {
            (redis.platform, redis.locked) = (None, None);
        }
        let text = lock.render();
        insta::assert_snapshot!(text.strip_prefix(HEADER).unwrap(), @r#"
        images:
          "localhost:5000/x":
            digest: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
            platform: linux/amd64
            locked: 2026-01-02T03:04:05Z
          "redis:7":
            digest: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        "#);
        assert!(Lock::default().render().ends_with("version: 1\nimages: {}\n"));
    }

    #[test]
    fn drift_is_what_lacks_and_what_nobody_uses() {
        let needed: Needed = [("a:1", "service a"), ("b:1", "build of b")]
            .map(|(image, by)| (image.to_owned(), BTreeSet::from([by.to_owned()])))
            .into();
        assert_eq!(lock(&["a:1", "b:1"]).drift(&needed), []);
        assert_eq!(
            lock(&["a:1", "old:1"]).drift(&needed),
            [
                Drift::Missing { image: "b:1".into(), by: BTreeSet::from(["build of b".to_owned()]) },
                Drift::Unused { image: "old:1".into() }
            ]
        );
    }
}
