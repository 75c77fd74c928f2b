//! The volumes of a service, as real paths of this host.

use super::{Hands, container::random, failure};
use crate::{
    api::Failure,
    image::Image,
    model::{Mount, MountKind, Project, Service, ids},
    runtime::spec::{Mount as RuntimeMount, MountSource},
    state::records::{VolumeUse, now},
    volume::VolumeSpec,
};
use indexmap::IndexMap;
use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// Every mount that the service or its image asks for, and the named volumes behind them. Volumes of `before` with
/// the same target are taken again instead of new anonymous ones.
pub fn resolve(
    service: &Service,
    project: &Project,
    image: &Image,
    before: &[VolumeUse],
    hands: &Hands,
) -> Result<(Vec<RuntimeMount>, Vec<VolumeUse>), Failure> {
    let mut mounts = Vec::new();
    let mut uses = Vec::new();
    for mount in &service.volumes {
        let (resolved, used) = one(mount, service, project, before, hands)?;
        mounts.push(resolved);
        uses.extend(used);
    }
    // VOLUME of the image, where the service puts nothing there itself.
    for target in &image.config.volumes {
        let target = Path::new(target);
        let taken = mounts.iter().any(|mount| mount.target == target)
            || service.tmpfs.iter().any(|tmpfs| tmpfs.target == target);
        if !taken {
            let (resolved, used) = anonymous(target, false, false, project, before, hands)?;
            mounts.push(resolved);
            uses.push(used);
        }
    }
    Ok((mounts, uses))
}

fn one(
    mount: &Mount,
    service: &Service,
    project: &Project,
    before: &[VolumeUse],
    hands: &Hands,
) -> Result<(RuntimeMount, Option<VolumeUse>), Failure> {
    let target = mount.target.clone();
    let read_only = mount.read_only;
    match &mount.kind {
        MountKind::Bind { source, create_host_path, propagation } => {
            host_path(source, *create_host_path, service)?;
            let source = MountSource::Bind { source: source.clone(), propagation: propagation.clone(), copy_up: false };
            Ok((RuntimeMount { target, source, read_only }, None))
        }
        MountKind::Volume { source, nocopy, subpath } => {
            let volume = project
                .volumes
                .get(source)
                .ok_or_else(|| failure(format!("service {}: no such volume: {source}", service.name)))?;
            if hands.volumes.find(&volume.name).map_err(failure)?.is_none() {
                return Err(failure(format!("volume {} is not there", volume.name)));
            }
            let data = hands.volumes.data(&volume.name);
            let path = match subpath {
                Some(subpath) => beneath(&data, subpath, &volume.name)?,
                None => data,
            };
            let source = MountSource::Bind { source: path, propagation: None, copy_up: !nocopy && subpath.is_none() };
            let used = VolumeUse { target: target.clone(), name: volume.name.clone(), anonymous: false };
            Ok((RuntimeMount { target, source, read_only }, Some(used)))
        }
        MountKind::Anonymous { nocopy } => {
            let (mount, used) = anonymous(&target, *nocopy, read_only, project, before, hands)?;
            Ok((mount, Some(used)))
        }
        MountKind::Tmpfs { size, mode } => {
            let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
            options.extend(size.map(|size| format!("size={size}")));
            options.extend(mode.map(|mode| format!("mode={mode:o}")));
            Ok((RuntimeMount { target, source: MountSource::Tmpfs { options }, read_only }, None))
        }
    }
}

fn anonymous(
    target: &Path,
    nocopy: bool,
    read_only: bool,
    project: &Project,
    before: &[VolumeUse],
    hands: &Hands,
) -> Result<(RuntimeMount, VolumeUse), Failure> {
    let name = match before.iter().find(|used| used.anonymous && used.target == target) {
        Some(used) => used.name.clone(),
        None => ids::hex(&random()?),
    };
    let spec =
        VolumeSpec { name: name.clone(), project: project.name.clone(), anonymous: true, labels: IndexMap::new() };
    hands.volumes.ensure(&spec, &now()).map_err(failure)?;
    let source = MountSource::Bind { source: hands.volumes.data(&name), propagation: None, copy_up: !nocopy };
    let used = VolumeUse { target: target.to_owned(), name, anonymous: true };
    Ok((RuntimeMount { target: target.to_owned(), source, read_only }, used))
}

/// A bind's source has to be there; the short form and `create_host_path` make it, as a directory.
fn host_path(source: &Path, create: bool, service: &Service) -> Result<(), Failure> {
    match fs::metadata(source) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => fs::create_dir_all(source)
            .map_err(|error| failure(format!("service {}: cannot make {}: {error}", service.name, source.display()))),
        Err(error) => Err(Failure {
            message: format!("service {}: cannot mount {}: {error}", service.name, source.display()),
            hint: Some("make it, or set `bind.create_host_path: true`".into()),
            ..Failure::default()
        }),
    }
}

/// `volume.subpath`: below the volume, and there.
fn beneath(data: &Path, subpath: &Path, volume: &str) -> Result<PathBuf, Failure> {
    let plain = subpath.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let path = data.join(subpath);
    if !plain || !path.exists() {
        return Err(failure(format!("volume {volume} has no directory {}", subpath.display())));
    }
    Ok(path)
}
