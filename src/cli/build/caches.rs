//! `cache_from` and `cache_to` of a service, made into what the builder takes.

use crate::{
    build::engine::{Destination, Share},
    image::{Reference, depot::Place},
    model::{self, CachePlace},
};
use std::path::Path;

/// Relative directories are the project's, wherever the command is typed.
pub fn share(build: &model::Build, args: impl Fn(&str) -> Option<String>, directory: &Path) -> Result<Share, String> {
    let mut share = Share::default();
    for from in &build.cache_from {
        share.from.extend(place(from, directory)?);
    }
    for to in &build.cache_to {
        match place(&to.place, directory)? {
            None => share.inline = true,
            Some(place) => share.to.push(Destination {
                place,
                every_step: to.every_step,
                ignore_error: to.ignore_error,
                reset: to.reset,
            }),
        }
    }
    // The older way to ask for it.
    share.inline |= args("BUILDKIT_INLINE_CACHE").is_some_and(|value| value == "1" || value == "true");
    Ok(share)
}

/// `None` for the image itself.
fn place(place: &CachePlace, directory: &Path) -> Result<Option<Place>, String> {
    match place {
        CachePlace::Inline => Ok(None),
        CachePlace::Registry(text) => match Reference::parse(text).map_err(|error| error.to_string())? {
            Reference::Registry(name) => Ok(Some(Place::Registry(name))),
            _ => Err(format!("a cache cannot be kept in {text}, which is no name in a registry")),
        },
        CachePlace::Local { dir, tag, digest } => {
            let digest = digest.as_deref().map(str::parse).transpose();
            let digest = digest.map_err(|error| format!("cache_from {}: {error}", dir.display()))?;
            Ok(Some(Place::Directory { dir: directory.join(dir), tag: tag.clone(), digest }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Build, CacheTo};

    #[test]
    fn directories_are_the_projects_and_the_argument_asks_for_the_image() {
        let local = |dir: &str| CachePlace::Local { dir: dir.into(), tag: "latest".into(), digest: None };
        let to = |place| CacheTo { place, every_step: true, ignore_error: false, reset: false };
        let build = Build {
            cache_from: vec![local(".cache"), CachePlace::Registry("a/b".into())],
            cache_to: vec![to(local("/abs")), to(CachePlace::Inline)],
            ..Build::default()
        };
        let shared = share(&build, |_| None, Path::new("/project")).unwrap();
        let shown: Vec<String> = shared.from.iter().map(Place::to_string).collect();
        assert_eq!(shown, ["/project/.cache", "a/b:latest"]);
        assert_eq!((shared.to[0].place.to_string(), shared.to.len(), shared.inline), ("/abs".into(), 1, true));
        let plain = Build::default();
        let inline = |value: &str| share(&plain, |_| Some(value.to_owned()), Path::new("/")).unwrap().inline;
        assert!(inline("1") && !inline("0"));
        let bad = Build { cache_from: vec![CachePlace::Registry("oci:x".into())], ..Build::default() };
        assert!(share(&bad, |_| None, Path::new("/")).unwrap_err().contains("no name in a registry"));
    }
}
