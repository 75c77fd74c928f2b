//! `cache_from` and `cache_to` of a build, in buildx' words: `type=registry,ref=NAME`, `type=local,src=DIR`, or a name
//! alone.

use super::{At, Decoder, check_image};
use crate::model::{CachePlace, CacheTo};

/// Kinds that BuildKit has and one host without its services has not. A build does without a cache as well.
const ELSEWHERE: [&str; 3] = ["gha", "s3", "azblob"];
const KINDS: &str = "`registry`, `local` and `inline` are there";

/// One entry as it is written.
struct Entry<'a, 't> {
    at: &'a At<'t>,
    kind: String,
    attributes: Vec<(String, String)>,
}

impl Decoder<'_> {
    pub fn cache_from(&mut self, at: &At<'_>) -> Vec<CachePlace> {
        let mut places = Vec::new();
        for item in self.items(at) {
            for entry in self.cache_entries(&item) {
                places.extend(self.cache_source(entry));
            }
        }
        places
    }

    pub fn cache_to(&mut self, at: &At<'_>) -> Vec<CacheTo> {
        let mut places = Vec::new();
        for item in self.items(at) {
            for entry in self.cache_entries(&item) {
                places.extend(self.cache_destination(entry));
            }
        }
        places
    }

    /// An item is one entry, or several names.
    fn cache_entries<'a, 't>(&mut self, at: &'a At<'t>) -> Vec<Entry<'a, 't>> {
        let Some(text) = self.text(at).filter(|text| !text.is_empty()) else { return Vec::new() };
        let Some(fields) = fields(&text) else {
            self.error(at, format!("has a quote that does not end, or not where a field does: {text:?}"));
            return Vec::new();
        };
        if !text.contains('=') {
            let name = |name| Entry { at, kind: "registry".to_owned(), attributes: vec![("ref".to_owned(), name)] };
            return fields.into_iter().map(name).collect();
        }
        let mut entry = Entry { at, kind: String::new(), attributes: Vec::new() };
        for field in fields {
            match field.split_once('=') {
                Some((key, value)) if key.eq_ignore_ascii_case("type") => entry.kind = value.to_owned(),
                Some((key, value)) => entry.attributes.push((key.to_ascii_lowercase(), value.to_owned())),
                None => {
                    self.error(at, format!("must be a list of KEY=VALUE, and \"{field}\" is none"));
                    return Vec::new();
                }
            }
        }
        if entry.kind.is_empty() {
            self.error_with_help(at, "lacks a type", format!("begin with `type=...,`; {KINDS}"));
            return Vec::new();
        }
        vec![entry]
    }

    fn cache_source(&mut self, mut entry: Entry<'_, '_>) -> Option<CachePlace> {
        let place = match entry.kind.as_str() {
            "registry" => self.cache_name(&mut entry),
            "local" => {
                let dir = self.cache_path(&mut entry, "src")?;
                let digest = entry.take("digest").filter(|digest| !digest.is_empty());
                if let Some(digest) = &digest
                    && let Err(why) = check_image(&format!("x@{digest}"))
                {
                    self.error(entry.at, format!("has {why}: \"{digest}\""));
                    return None;
                }
                Some(CachePlace::Local { dir: dir.into(), tag: self.cache_tag(&mut entry)?, digest })
            }
            "inline" => {
                let help = "`type=inline` is for cache_to; name the image itself";
                self.warning(entry.at, format!("has no effect: {help}"));
                return None;
            }
            _ => return self.cache_kind(&entry),
        };
        self.cache_rest(entry);
        place
    }

    fn cache_destination(&mut self, mut entry: Entry<'_, '_>) -> Option<CacheTo> {
        let place = match entry.kind.as_str() {
            "registry" => self.cache_name(&mut entry)?,
            "local" => {
                let dir = self.cache_path(&mut entry, "dest")?;
                CachePlace::Local { dir: dir.into(), tag: self.cache_tag(&mut entry)?, digest: None }
            }
            "inline" => CachePlace::Inline,
            _ => return self.cache_kind(&entry),
        };
        let every_step = match entry.take("mode").as_deref() {
            None | Some("min") => false,
            Some("max") if place == CachePlace::Inline => {
                self.warning(entry.at, "`mode=max` has no effect: an image carries its own layers and no others");
                false
            }
            Some("max") => true,
            Some(other) => {
                self.warning(entry.at, format!("`mode={other}` has no effect: `min` and `max` are the modes"));
                false
            }
        };
        let ignore_error = self.cache_flag(&mut entry, "ignore-error")?.unwrap_or(false);
        let reset = match &place {
            CachePlace::Local { .. } => self.cache_flag(&mut entry, "reset")?.unwrap_or(false),
            _ => false,
        };
        // One form is written, the one that every registry takes.
        for key in ["image-manifest", "oci-mediatypes"] {
            if self.cache_flag(&mut entry, key)? == Some(false) {
                self.warning(entry.at, format!("`{key}=false` has no effect: a cache is an OCI image manifest"));
            }
        }
        if let Some(other) = entry.take("compression").filter(|kind| kind != "gzip") {
            self.warning(entry.at, format!("`compression={other}` has no effect: layers are compressed with gzip"));
        }
        self.cache_rest(entry);
        Some(CacheTo { place, every_step, ignore_error, reset })
    }

    fn cache_name(&mut self, entry: &mut Entry<'_, '_>) -> Option<CachePlace> {
        let Some(name) = entry.take("ref").filter(|name| !name.is_empty()) else {
            self.error(entry.at, "lacks the name in the registry: `ref=NAME`");
            return None;
        };
        if let Err(why) = check_image(&name) {
            self.error(entry.at, format!("is no image reference: {why} in \"{name}\""));
            return None;
        }
        Some(CachePlace::Registry(name))
    }

    fn cache_path(&mut self, entry: &mut Entry<'_, '_>, key: &str) -> Option<String> {
        let path = entry.take(key).filter(|path| !path.is_empty());
        if path.is_none() {
            self.error(entry.at, format!("lacks the directory: `{key}=DIR`"));
        }
        path
    }

    fn cache_tag(&mut self, entry: &mut Entry<'_, '_>) -> Option<String> {
        let tag = entry.take("tag").unwrap_or_else(|| "latest".to_owned());
        if tag.is_empty() {
            self.error(entry.at, "has an empty tag");
            return None;
        }
        Some(tag)
    }

    /// The outer `None`: it is no flag.
    fn cache_flag(&mut self, entry: &mut Entry<'_, '_>, key: &str) -> Option<Option<bool>> {
        let Some(value) = entry.take(key) else { return Some(None) };
        // As Go's strconv.ParseBool.
        match value.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(Some(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(Some(false)),
            _ => {
                self.error(entry.at, format!("`{key}` must be true or false, not \"{value}\""));
                None
            }
        }
    }

    fn cache_kind<T>(&mut self, entry: &Entry<'_, '_>) -> Option<T> {
        let kind = &entry.kind;
        if ELSEWHERE.contains(&kind.as_str()) {
            self.warning(entry.at, format!("`type={kind}` has no effect: {KINDS}"));
        } else {
            self.error_with_help(entry.at, format!("has a type that is not known: \"{kind}\""), KINDS);
        }
        None
    }

    fn cache_rest(&mut self, entry: Entry<'_, '_>) {
        for (key, value) in entry.attributes {
            self.warning(entry.at, format!("`{key}={value}` has no effect: `type={}` knows no such key", entry.kind));
        }
    }
}

impl Entry<'_, '_> {
    /// The last one counts.
    fn take(&mut self, key: &str) -> Option<String> {
        let value = self.attributes.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        self.attributes.retain(|(name, _)| name != key);
        value
    }
}

/// Fields of a line of CSV. In one that is quoted as a whole, commas are text and two quotes are one.
fn fields(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, after) = match rest.split_once(',') {
                Some((field, after)) => (field, Some(after)),
                None => (rest, None),
            };
            if field.contains('"') {
                return None;
            }
            fields.push(field.to_owned());
            match after {
                Some(after) => rest = after,
                None => return Some(fields),
            }
            continue;
        };
        let mut field = String::new();
        let mut left = quoted;
        loop {
            let end = left.find('"')?;
            field.push_str(&left[..end]);
            left = &left[end + 1..];
            match left.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    left = more;
                }
                None => break,
            }
        }
        fields.push(field);
        match left.strip_prefix(',') {
            Some(after) => rest = after,
            None if left.is_empty() => return Some(fields),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fields;
    use crate::{
        compose::{LoadOptions, Purpose, load},
        model::{Build, CachePlace, CacheTo},
    };

    fn loaded(attributes: &str) -> Result<(Build, String), String> {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("services:\n  web:\n    build:\n      context: .\n      {attributes}\n");
        std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
        let options = LoadOptions {
            cwd: dir.path().to_owned(),
            project_name: Some("p".into()),
            purpose: Purpose::Run,
            ..LoadOptions::default()
        };
        let loaded = load(&options).map_err(|findings| findings.render(false))?;
        let warnings = loaded.warnings.render(false);
        let service = loaded.project.services.into_values().next().unwrap();
        Ok((service.build.unwrap(), warnings))
    }

    fn from(entry: &str) -> Vec<CachePlace> {
        let (build, warnings) = loaded(&format!("cache_from: [{entry}]")).unwrap();
        assert_eq!(warnings, "", "{entry}");
        build.cache_from
    }

    fn to(entry: &str) -> CacheTo {
        let (build, warnings) = loaded(&format!("cache_to: ['{entry}']")).unwrap();
        assert_eq!(warnings, "", "{entry}");
        build.cache_to.into_iter().next().unwrap()
    }

    fn told(attributes: &str) -> String {
        match loaded(attributes) {
            Ok((_, warnings)) => warnings,
            Err(errors) => errors,
        }
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
    }

    fn local(dir: &str, tag: &str, digest: Option<&str>) -> CachePlace {
        CachePlace::Local { dir: dir.into(), tag: tag.into(), digest: digest.map(str::to_owned) }
    }

    #[test]
    fn places_are_read_in_all_their_forms() {
        let name = |name: &str| CachePlace::Registry(name.into());
        assert_eq!(from("app:1"), [name("app:1")]);
        assert_eq!(from("'a,ghcr.io/x/b:2', ''"), [name("a"), name("ghcr.io/x/b:2")]);
        assert_eq!(from("'TYPE=registry,ref=localhost:5000/x:y'"), [name("localhost:5000/x:y")]);
        assert_eq!(from("'type=local,src=.cache'"), [local(".cache", "latest", None)]);
        let digest = format!("sha256:{}", "a".repeat(64));
        let entry = format!("'type=local,\"src=/a,b\",tag=x,digest={digest}'");
        assert_eq!(from(&entry), [local("/a,b", "x", Some(&digest))]);
    }

    #[test]
    fn destinations_say_what_and_how() {
        let plain = |place| CacheTo { place, every_step: false, ignore_error: false, reset: false };
        assert_eq!(to("type=inline"), plain(CachePlace::Inline));
        assert_eq!(to("x/y"), plain(CachePlace::Registry("x/y".into())));
        let full =
            "type=registry,ref=x/y:1,mode=max,compression=gzip,ignore-error=1,image-manifest=true,oci-mediatypes=true";
        let expected = CacheTo { every_step: true, ignore_error: true, ..plain(CachePlace::Registry("x/y:1".into())) };
        assert_eq!(to(full), expected);
        let expected = CacheTo { reset: true, ..plain(local("out", "b", None)) };
        assert_eq!(to("type=local,dest=out,tag=b,mode=min,reset=true"), expected);
    }

    #[test]
    fn what_cannot_be_is_told_by_name() {
        for (entry, what) in [
            ("type=registry", "error: `services.web.build.cache_to[0]` lacks the name in the registry: `ref=NAME`"),
            ("type=local,src=x", "error: `services.web.build.cache_to[0]` lacks the directory: `dest=DIR`"),
            ("mode=max", "error: `services.web.build.cache_to[0]` lacks a type"),
            ("type=disk,dest=x", "error: `services.web.build.cache_to[0]` has a type that is not known: \"disk\""),
            (
                "type=gha,mode=max",
                "warning: `services.web.build.cache_to[0]` `type=gha` has no effect: `registry`, `local` and `inline` are there",
            ),
            (
                "type=local,dest=x,mode=most",
                "warning: `services.web.build.cache_to[0]` `mode=most` has no effect: `min` and `max` are the modes",
            ),
            (
                "type=local,dest=x,ignore-error=yes",
                "error: `services.web.build.cache_to[0]` `ignore-error` must be true or false, not \"yes\"",
            ),
            (
                "type=local,dest=x,colour=red",
                "warning: `services.web.build.cache_to[0]` `colour=red` has no effect: `type=local` knows no such key",
            ),
            (
                "type=registry,ref=x,compression=zstd",
                "warning: `services.web.build.cache_to[0]` `compression=zstd` has no effect: layers are compressed with gzip",
            ),
            (
                "type=registry,ref=x,image-manifest=false",
                "warning: `services.web.build.cache_to[0]` `image-manifest=false` has no effect: a cache is an OCI image manifest",
            ),
            (
                "type=registry,ref=X",
                "error: `services.web.build.cache_to[0]` is no image reference: an upper-case letter (repository names have none) in \"X\"",
            ),
            (
                "type=local,half",
                "error: `services.web.build.cache_to[0]` must be a list of KEY=VALUE, and \"half\" is none",
            ),
        ] {
            assert_eq!(told(&format!("cache_to: ['{entry}']")), what, "{entry}");
        }
        assert!(told("cache_from: [type=inline]").contains("`type=inline` is for cache_to"));
        assert!(told("cache_from: ['type=local,src=x,digest=y']").contains("has a bad digest: \"y\""));
        assert!(told("cache_from: ['type=local,\"src=x']").contains("has a quote that does not end"));
    }

    #[test]
    fn fields_are_parted_as_in_csv() {
        assert_eq!(fields("a,b=c,").unwrap(), ["a", "b=c", ""]);
        assert_eq!(fields("\"a,\"\"b\",c").unwrap(), ["a,\"b", "c"]);
        for bad in ["\"a", "\"a\"b", "a\"b"] {
            assert_eq!(fields(bad), None, "{bad}");
        }
    }
}
