//! Sources on this host: which file or directory a reference means, and what stands in it.

use super::{
    Archive, Package,
    archive::ArchiveError,
    docker::{self, Wanted},
    oci::{Layout, Reader, load_name},
};
use crate::image::{
    error::{ImageError, Result},
    reference::Reference,
};
use std::{fs::File, io, path::Path};

/// The package of a transport. `spool` is a path for a plain copy, should one be needed.
pub fn open(reference: &Reference, spool: &Path) -> Result<Package> {
    let image = reference.to_string();
    let mut package = match reference {
        Reference::OciLayout { dir, tag } => {
            if !dir.is_dir() {
                return Err(wrong(&image, dir, "no such directory"));
            }
            let layout = Layout::Directory(dir.clone());
            Reader { layout: &layout, image, path: dir.clone() }.package(tag.as_deref())?
        }
        Reference::OciArchive { file, tag } => {
            let layout = Layout::Archive(archive(&image, file, spool)?);
            Reader { layout: &layout, image, path: file.clone() }.package(tag.as_deref())?
        }
        Reference::DockerArchive { file, name } => {
            let archive = archive(&image, file, spool)?;
            let wanted = name.as_deref().map_or(Wanted::Only, Wanted::Named);
            let found = docker::packages(&archive, file, wanted, &image)?;
            let found =
                found.ok_or_else(|| wrong(&image, file, "it is not a docker archive: it has no manifest.json"))?;
            found.into_iter().next().ok_or_else(|| wrong(&image, file, "it has no image"))?
        }
        Reference::Registry(_) | Reference::Id(_) | Reference::Rootfs(_) => {
            return Err(ImageError::NoSuchImage(image));
        }
    };
    package.names = vec![reference.clone()];
    Ok(package)
}

/// Every image of an archive, whichever kind it is, with the names that it gives them.
pub fn open_all(file: File, path: &Path, spool: &Path) -> Result<Vec<Package>> {
    let image = path.display().to_string();
    let archive = Archive::open(file, spool).map_err(|error| unreadable(&image, path, &error))?;
    let by_docker = docker::packages(&archive, path, Wanted::All, &image)?;
    let layout = Layout::Archive(archive);
    let reader = Reader { layout: &layout, image, path: path.to_owned() };
    let Some(mut packages) = by_docker else { return by_index(&reader) };
    // Since version 25 docker writes both. The names are docker's; manifests and digests, which a push needs, are only
    // in the layout.
    let of_layout = by_index(&reader).unwrap_or_default();
    for package in &mut packages {
        if let Some(same) = of_layout.iter().find(|other| other.config == package.config) {
            (package.manifest, package.layers) = (same.manifest.clone(), same.layers.clone());
        }
    }
    Ok(packages)
}

/// Every image of a layout.
fn by_index(reader: &Reader<'_>) -> Result<Vec<Package>> {
    let entries = reader.index()?;
    entries
        .iter()
        .map(|entry| {
            let mut package = reader.descend(entry, 0)?;
            package.names = load_name(entry).into_iter().collect();
            Ok(package)
        })
        .collect()
}

fn archive(image: &str, path: &Path, spool: &Path) -> Result<Archive> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong(image, path, "no such file"),
        _ => wrong(image, path, &error.to_string()),
    })?;
    Archive::open(file, spool).map_err(|error| unreadable(image, path, &error))
}

fn unreadable(image: &str, path: &Path, error: &ArchiveError) -> ImageError {
    wrong(image, path, &error.to_string())
}

fn wrong(image: &str, path: &Path, reason: &str) -> ImageError {
    ImageError::Source { image: image.to_owned(), path: path.to_owned(), reason: reason.to_owned() }
}
