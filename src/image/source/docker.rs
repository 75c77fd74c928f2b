//! What `docker save` writes: a tar with `manifest.json`, which names configuration and layers by path. Since version
//! 25 it is an OCI layout as well; `manifest.json` is read all the same, since it has the names.

use super::{Archive, From, Package, Part, manifest};
use crate::image::{
    error::{ImageError, Result},
    reference::Reference,
};
use serde::Deserialize;
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images of the archive; `None` when it has no `manifest.json`. With `wanted` only that one; without it, and
/// without `all`, the archive must hold a single one.
pub fn packages(archive: &Archive, path: &Path, wanted: Wanted<'_>, image: &str) -> Result<Option<Vec<Package>>> {
    let wrong = |reason: String| ImageError::Source { image: image.to_owned(), path: path.to_owned(), reason };
    let text = archive.read("manifest.json", manifest::MAX_MANIFEST).map_err(|error| wrong(error.to_string()))?;
    let Some(text) = text else { return Ok(None) };
    let items: Vec<Item> = serde_json::from_slice(&text).map_err(|error| wrong(format!("manifest.json: {error}")))?;
    let named = |item: &Item| -> Vec<Reference> {
        let tags = item.repo_tags.iter().flatten();
        tags.filter_map(|tag| Reference::parse(tag).ok())
            .filter(|name| matches!(name, Reference::Registry(_)))
            .collect()
    };
    let chosen: Vec<&Item> = match wanted {
        Wanted::All => items.iter().collect(),
        Wanted::Only => match &items[..] {
            [item] => vec![item],
            [] => return Err(wrong("it has no image".into())),
            _ => return Err(wrong(format!("it has several images: {}; say which, as in `path:name`", list(&items)))),
        },
        Wanted::Named(name) => {
            let reference = Reference::parse(name)?;
            let item = items.iter().find(|item| named(item).contains(&reference));
            vec![item.ok_or_else(|| wrong(format!("it has no image `{name}`; it has {}", list(&items))))?]
        }
    };
    let package = |item: &Item| -> Result<Package> {
        let config = archive
            .read(&item.config, manifest::MAX_CONFIG)
            .map_err(|error| wrong(error.to_string()))?
            .ok_or_else(|| wrong(format!("manifest.json names `{}`, which is not in the archive", item.config)))?;
        let layers = item.layers.iter().flatten().map(|name| {
            let window = archive.get(name);
            let window =
                window.ok_or_else(|| wrong(format!("manifest.json names `{name}`, which is not in the archive")))?;
            let media_type = manifest::OCI_LAYER.to_owned();
            Ok(Part { digest: None, size: Some(window.len()), media_type, from: From::File(window) })
        });
        let mut package = Package::new(image.to_owned(), config, layers.collect::<Result<_>>()?)?;
        package.names = named(item);
        Ok(package)
    };
    chosen.into_iter().map(package).collect::<Result<_>>().map(Some)
}

/// Which images of an archive are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    All,
    Only,
    Named(&'a str),
}

fn list(items: &[Item]) -> String {
    let all: Vec<String> = items.iter().flat_map(|item| item.repo_tags.clone().unwrap_or_default()).collect();
    if all.is_empty() { "images without a name".into() } else { all.join(", ") }
}
