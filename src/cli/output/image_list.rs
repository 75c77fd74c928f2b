//! `image ls`: the images of this host, with docker's columns.

use super::{Format, duration, table};
use crate::image::{Image, Reference};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// An image under one of its names. Field names are docker's.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ListedImage", deny_unknown_fields)]
pub struct Row {
    #[serde(rename = "ID")]
    id: String,
    /// `<none>` where it has no name.
    repository: String,
    /// `<none>` where it has none.
    tag: String,
    /// Of the manifest or index that the registry has under this name; `<none>` where that is not known.
    digest: String,
    /// RFC 3339; empty where the image does not say.
    created_at: String,
    /// `3 hours ago`
    created_since: String,
    /// Of the unpacked files: `78.1MB`
    size: String,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub digests: bool,
    pub whole_ids: bool,
}

impl Row {
    fn of(image: &Image, options: Options, now: Timestamp) -> Self {
        let none = || "<none>".to_owned();
        let (repository, tag) = match &image.reference {
            Reference::Registry(name) => (name.familiar_repository(), name.tag().map_or_else(none, str::to_owned)),
            Reference::Id(_) => (none(), none()),
            transport => (transport.to_string(), none()),
        };
        let own = |digest: &&String| match (&image.reference, Reference::parse(digest)) {
            (Reference::Registry(name), Ok(Reference::Registry(other))) => {
                (name.registry(), name.repository()) == (other.registry(), other.repository())
            }
            (Reference::Id(_), _) => true,
            _ => false,
        };
        let digest = image.repo_digests.iter().find(own).and_then(|digest| digest.split_once('@'));
        Self {
            id: if options.whole_ids { image.id.as_str().to_owned() } else { short(image) },
            repository,
            tag,
            digest: digest.map_or_else(none, |(_, digest)| digest.to_owned()),
            created_at: image.created.clone().unwrap_or_default(),
            created_since: since(image.created.as_deref(), now),
            size: duration::size(image.size),
        }
    }
}

/// `3 hours ago`
pub fn since(created: Option<&str>, now: Timestamp) -> String {
    created.map_or_else(|| "N/A".into(), |time| format!("{} ago", duration::human(duration::since(time, now))))
}

fn short(image: &Image) -> String {
    let id = image.id.as_str();
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits).to_owned()
}

/// Each id once, in the order of the list.
pub fn ids(images: &[Image], whole: bool) -> String {
    let mut seen = Vec::new();
    for image in images {
        let id = if whole { image.id.as_str().to_owned() } else { short(image) };
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen.into_iter().map(|id| id + "\n").collect()
}

pub fn render(images: &[Image], format: Format, options: Options, now: Timestamp) -> serde_json::Result<String> {
    let rows = images.iter().map(|image| Row::of(image, options, now));
    if format == Format::Json {
        return rows.map(|row| Ok(serde_json::to_string(&row)? + "\n")).collect();
    }
    if options.digests {
        let header = ["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"];
        let cells = |row: Row| [row.repository, row.tag, row.digest, row.id, row.created_since, row.size];
        return Ok(table::render(header, rows.map(cells)));
    }
    let header = ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
    Ok(table::render(header, rows.map(|row| [row.repository, row.tag, row.id, row.created_since, row.size])))
}
