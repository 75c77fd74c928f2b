//! `bundle create`: what a project needs is brought here and written into one file.

use super::model::{self, HostPath};
use crate::{
    bundle::{self, Draft, Index},
    cli::{
        build::{self, Selection, When},
        containers,
        context::Context,
        exit::Error,
        fetch::{self, Wanted},
        variants,
    },
    compose::{self, Loaded, Phases, Purpose},
    image::{Digest, ImageError, Reference, Store, platform},
    model::{Lock, Locked, MountKind, Project, PullPolicy, Service},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// What is to be in it.
pub struct Wish<'a> {
    pub target: PathBuf,
    pub overwrite: bool,
    pub volumes: bool,
    pub locked: bool,
    pub services: &'a [String],
}

pub fn create(cx: &mut Context, wish: &Wish<'_>) -> Result<Index, Error> {
    if cx.global.files.iter().any(|file| file.as_os_str() == "-") {
        return Err(Error::Usage("a bundle is made of files; standard input can be read but once".into()));
    }
    let mut loaded = cx.load(wish.services, Purpose::Run)?;
    cx.follow_lock(&mut loaded, wish.locked)?;
    let chosen = build::closure(&loaded.project, wish.services, true);
    let services: Vec<Service> = chosen.iter().filter_map(|name| loaded.project.services.get(name)).cloned().collect();
    refuse_directories(&services)?;
    if let Some((service, platform)) = services.iter().find_map(|service| Some((service, variants::foreign(service)?)))
    {
        return Err(Error::refused(format!(
            "service {:?} is for {platform}: a bundle has images of this host's platform alone",
            service.name
        )));
    }
    bring_images(cx, &loaded, &services, wish.services)?;

    let project = &loaded.project;
    let mut draft = Draft::begin(&wish.target, wish.overwrite, &cx.layout, &project.name, &platform::host_name())?;
    let options = cx.load_options(wish.services, Purpose::Show);
    let document = compose::document(&options, Phases::default()).map_err(Error::Compose)?;
    let mut text = document.to_json();

    let (images, lock) = images(&services, &mut draft)?;
    let paths = files(cx, project, &text, &mut draft)?;
    volumes(cx, project, &services, wish.volumes, &mut draft)?;
    for what in model::outside(&text) {
        if !(wish.volumes && what.starts_with("volume ")) {
            cx.warn(&format!("{what} is not in the bundle: it has to be where the bundle runs"))?;
            draft.outside(what);
        }
    }
    model::carry(&mut text, &paths, &images);
    let mut text = serde_json::to_vec_pretty(&text).map_err(std::io::Error::from)?;
    text.push(b'\n');
    Ok(draft.finish(text, lock.render().into_bytes())?)
}

fn parse(image: &str) -> Result<Reference, Error> {
    Ok(Reference::parse(image).map_err(ImageError::from)?)
}

/// A directory of this host that stands for an image has no layers to take along.
fn refuse_directories(services: &[Service]) -> Result<(), Error> {
    for service in services {
        if let Reference::Rootfs(directory) = parse(service.reference())? {
            return Err(Error::Refused {
                message: format!(
                    "service {}: {} is a directory of this host, and only images can be bundled",
                    service.name,
                    directory.display()
                ),
                hint: Some("make an image of it: a Dockerfile with `FROM scratch` and `COPY`".into()),
            });
        }
    }
    Ok(())
}

/// As `up` would.
fn bring_images(cx: &mut Context, loaded: &Loaded, services: &[Service], named: &[String]) -> Result<(), Error> {
    let mode = cx.progress_mode(&loaded.environment);
    let selection = Selection { named, with_dependencies: true, pull: None, when: When::Missing };
    build::prepare(cx, &loaded.project, &loaded.environment, &selection, mode)?;
    let store = Store::open(&cx.layout)?;
    let mut wanted = Vec::new();
    for service in services.iter().filter(|service| service.build.is_none()) {
        if store.find(&parse(service.reference())?)?.is_none() {
            let policy = if service.pull_policy == PullPolicy::Never { PullPolicy::Never } else { PullPolicy::Missing };
            wanted.push(Wanted { name: service.reference().to_owned(), policy, platform: None });
        }
    }
    wanted.dedup_by(|a, b| a.name == b.name);
    if wanted.is_empty() {
        return Ok(());
    }
    let parallel = cx.parallel(&loaded.environment)?;
    if fetch::pull(cx, &wanted, mode, parallel)?.is_empty() { Ok(()) } else { Err(Error::Reported) }
}

/// What services whose image has another name in the bundle call it there, and the lock by which the others find theirs.
fn images(services: &[Service], draft: &mut Draft) -> Result<(BTreeMap<String, String>, Lock), Error> {
    let (mut renamed, mut lock, mut done) = (BTreeMap::new(), Lock::default(), BTreeMap::new());
    for service in services {
        let reference = parse(service.reference())?;
        if !done.contains_key(service.reference()) {
            let manifest = draft.image(&service.image, &reference, |manifest| names(&reference, manifest))?;
            done.insert(service.reference().to_owned(), manifest);
        }
        let Some(manifest) = done.get(service.reference()) else { continue };
        match parse(&service.image)? {
            Reference::Registry(name) if name.digest().is_none() => {
                let locked = Locked { digest: manifest.to_string(), platform: None, locked: None };
                lock.images.insert(service.image.clone(), locked);
                renamed.insert(service.name.clone(), service.image.clone());
            }
            Reference::Registry(name) => drop(renamed.insert(service.name.clone(), name.at(*manifest).familiar())),
            // What it came from is not there; what it is is.
            _ => {
                let store_id = draft.id_of(manifest).unwrap_or_default();
                renamed.insert(service.name.clone(), store_id);
            }
        }
    }
    Ok((renamed, lock))
}

/// By its digest, which anybody can check; and by the name that it has here, where nobody has that.
fn names(reference: &Reference, manifest: Digest) -> Vec<Reference> {
    let Reference::Registry(name) = reference else { return Vec::new() };
    let mut names = vec![Reference::Registry(name.at(manifest))];
    names.extend(name.without_digest().map(Reference::Registry));
    names
}

/// Packs what services mount and lies below the project's directory; answers where it is in the bundle, by pointer.
fn files(
    cx: &mut Context,
    project: &Project,
    text: &serde_json::Value,
    draft: &mut Draft,
) -> Result<BTreeMap<String, String>, Error> {
    let follow = |path: &Path| path.canonicalize().ok();
    let root = project.working_dir.canonicalize().map_err(Error::file("find", &project.working_dir))?;
    let (mut packed, mut outside): (Vec<(HostPath, PathBuf)>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
    for found in model::host_paths(text) {
        match model::inside(&root, &found.path, follow) {
            Some(relative) => packed.push((found, relative)),
            None => drop(outside.insert(format!("path {} for {}", found.path.display(), found.role))),
        }
    }
    for what in outside {
        cx.warn(&format!(
            "{what} is outside of {} and not in the bundle: it has to be where the bundle runs",
            root.display()
        ))?;
        draft.outside(what);
    }
    let there = packed.iter().map(|(_, relative)| relative.clone()).filter(|path| root.join(path).exists());
    let selected = model::selected(there);
    if packed.is_empty() {
        return Ok(BTreeMap::new());
    }
    let directory = bundle::files_directory(&draft.files(&root, &selected)?);
    let place = |(found, relative): (HostPath, PathBuf)| {
        (found.pointer, Path::new("..").join(&directory).join(relative).display().to_string())
    };
    Ok(packed.into_iter().map(place).collect())
}

fn volumes(
    cx: &mut Context,
    project: &Project,
    services: &[Service],
    wanted: bool,
    draft: &mut Draft,
) -> Result<(), Error> {
    let used = services.iter().flat_map(|service| &service.volumes).filter_map(|mount| match &mount.kind {
        MountKind::Volume { source, .. } => project.volumes.get(source),
        _ => None,
    });
    let used: BTreeMap<&str, bool> = used.map(|volume| (volume.name.as_str(), volume.external)).collect();
    if !wanted || used.is_empty() {
        return Ok(());
    }
    let running = containers::list(&cx.layout, Some(&project.name)).containers;
    if running.iter().any(|container| container.is_up()) {
        cx.warn(&format!(
            "project {} is running: what it writes to its volumes meanwhile may be in the bundle by half. `muster stop` makes it sure",
            project.name
        ))?;
    }
    for (name, external) in used {
        if !draft.volume(name, external)? {
            cx.warn(&format!("volume {name} does not exist yet; the bundle begins with an empty one"))?;
        }
    }
    Ok(())
}
