//! An OCI image layout, as a directory (`oci:`) or in a tar (`oci-archive:`).

use super::{
    Archive, From, Package, Part, Window,
    manifest::{self, Blob, MAX_CONFIG, MAX_MANIFEST, ManifestError, Parsed},
};
use crate::image::{
    digest::Digest,
    error::{ImageError, Result},
    platform,
    reference::Reference,
};
use oci_spec::image::Descriptor;
use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full name, which docker and containerd write beside the tag.
const FULL_NAME: &str = "io.containerd.image.name";
/// An index of an index of an index is no image.
const MAX_DEPTH: u32 = 3;

/// Where the layout's files are.
pub enum Layout {
    Directory(PathBuf),
    Archive(Archive),
}

impl Layout {
    fn window(&self, name: &str) -> io::Result<Window> {
        match self {
            Self::Directory(dir) => {
                let file = File::open(dir.join(name))?;
                let end = file.metadata()?.len();
                Ok(Window { file: Arc::new(file), position: 0, end })
            }
            Self::Archive(archive) => archive.get(name).ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut window = self.window(name)?;
        if window.len() > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
        }
        let mut bytes = Vec::new();
        window.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads one layout on behalf of a reference.
pub struct Reader<'a> {
    pub layout: &'a Layout,
    /// For messages.
    pub image: String,
    pub path: PathBuf,
}

impl Reader<'_> {
    /// The entries of `index.json`.
    pub fn index(&self) -> Result<Vec<Descriptor>> {
        let bytes = self.layout.read("index.json", MAX_MANIFEST).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.wrong("it is not an OCI image layout: it has no index.json".into()),
            _ => self.wrong(format!("index.json: {error}")),
        })?;
        match manifest::parse(&bytes, None) {
            Ok(Parsed::Index(entries)) => Ok(entries),
            Ok(Parsed::Image(_)) => Err(self.wrong("its index.json is not an index".into())),
            Err(error) => Err(self.wrong(format!("index.json: {error}"))),
        }
    }

    /// The image with this tag; without a tag the only one.
    pub fn package(&self, tag: Option<&str>) -> Result<Package> {
        let entries = self.index()?;
        let named: Vec<Descriptor> = match tag {
            Some(tag) => entries.iter().filter(|entry| names(entry).iter().any(|name| name == tag)).cloned().collect(),
            None => entries.clone(),
        };
        match (&named[..], tag) {
            ([entry], _) => self.descend(entry, 0),
            ([], Some(tag)) => Err(self.wrong(format!("it has no image `{tag}`; it has {}", list(&entries)))),
            ([], None) => Err(self.wrong("it has no image".into())),
            // One image for several platforms, without an index of its own.
            (several, _) if several.iter().all(|entry| entry.platform().is_some()) && one_name(several) => {
                self.choose(several, 0)
            }
            _ => Err(self.wrong(format!("it has several images: {}; say which, as in `path:name`", list(&entries)))),
        }
    }

    /// Follows indexes down to the manifest for this machine.
    pub fn descend(&self, entry: &Descriptor, depth: u32) -> Result<Package> {
        let blob = Blob::of(entry).map_err(|source| self.digest(source))?;
        let bytes = self.blob(&blob, MAX_MANIFEST)?;
        match manifest::parse(&bytes, Some(&blob.media_type)) {
            Ok(Parsed::Index(_)) if depth >= MAX_DEPTH => Err(self.not(ManifestError::Ambiguous)),
            Ok(Parsed::Index(entries)) => self.choose(&entries, depth + 1),
            Ok(Parsed::Image(manifest)) => {
                let config = self.blob(&manifest.config, MAX_CONFIG)?;
                let layers = manifest.layers.iter().map(|layer| self.part(layer)).collect::<Result<_>>()?;
                let mut package = Package::new(self.image.clone(), config, layers)?;
                package.manifest = Some((bytes, manifest.media_type));
                Ok(package)
            }
            Err(error) => Err(self.not(error)),
        }
    }

    fn choose(&self, entries: &[Descriptor], depth: u32) -> Result<Package> {
        if let Some(entry) = platform::choose(entries, &platform::host()) {
            return self.descend(entry, depth);
        }
        match entries {
            // An index around a single image needs no platform.
            [entry] if entry.platform().is_none() => self.descend(entry, depth),
            _ => Err(ImageError::NoPlatform {
                image: self.image.clone(),
                wanted: platform::host_name(),
                available: platform::names(entries),
            }),
        }
    }

    fn blob(&self, blob: &Blob, limit: u64) -> Result<Vec<u8>> {
        let name = format!("blobs/sha256/{}", blob.digest.hex());
        let bytes = self.layout.read(&name, limit).map_err(|error| self.wrong(format!("{name}: {error}")))?;
        match Digest::of(&bytes) {
            actual if actual == blob.digest => Ok(bytes),
            actual => {
                Err(ImageError::DigestMismatch { image: self.image.clone(), what: name, expected: blob.digest, actual })
            }
        }
    }

    fn part(&self, layer: &Blob) -> Result<Part> {
        let name = format!("blobs/sha256/{}", layer.digest.hex());
        let window = self.layout.window(&name).map_err(|error| self.wrong(format!("{name}: {error}")))?;
        Ok(Part {
            digest: Some(layer.digest),
            size: Some(layer.size),
            media_type: layer.media_type.clone(),
            from: From::File(window),
        })
    }

    fn wrong(&self, reason: String) -> ImageError {
        ImageError::Source { image: self.image.clone(), path: self.path.clone(), reason }
    }
    fn not(&self, error: ManifestError) -> ImageError {
        ImageError::NotAnImage { image: self.image.clone(), reason: error.to_string() }
    }
    fn digest(&self, source: crate::image::digest::DigestError) -> ImageError {
        ImageError::Digest { image: self.image.clone(), what: "a digest", source }
    }
}

/// What an entry may be called.
pub fn names(entry: &Descriptor) -> Vec<String> {
    let Some(notes) = entry.annotations() else { return Vec::new() };
    [FULL_NAME, REF_NAME].into_iter().filter_map(|key| notes.get(key).cloned()).collect()
}

/// The name under which `load` lists an entry: a complete one, if the entry has any.
pub fn load_name(entry: &Descriptor) -> Option<Reference> {
    let names = names(entry);
    // A bare tag, which the specification recommends, is no name.
    let complete = names.iter().find(|name| name.contains([':', '/']))?;
    Reference::parse(complete).ok().filter(|name| matches!(name, Reference::Registry(_)))
}

fn one_name(entries: &[Descriptor]) -> bool {
    entries.windows(2).all(|pair| names(&pair[0]) == names(&pair[1]))
}

fn list(entries: &[Descriptor]) -> String {
    let all: Vec<String> = entries.iter().filter_map(|entry| names(entry).into_iter().next()).collect();
    if all.is_empty() { "images without a name".into() } else { all.join(", ") }
}
