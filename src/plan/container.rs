//! Why a container has to be made anew.

use super::{Cause, Change, ObservedContainer, ObservedState, diff, mask, scene::Scene};
use crate::model::{FileMount, ImageId, MountKind, Service};

/// What keeps `container` from serving `service` as it is; `None`: nothing.
pub fn divergence(scene: &Scene<'_>, service: &Service, container: &ObservedContainer) -> Option<Cause> {
    let mut changes = image(scene, service, container);
    let image_only = !changes.is_empty();
    changes.extend(diff::changes(&container.applied, service));
    networks(scene, service, container, &mut changes);
    volumes(scene, service, container, &mut changes);
    files(scene, "config", &service.configs, container, &mut changes);
    files(scene, "secret", &service.secrets, container, &mut changes);
    if changes.is_empty() {
        return None;
    }
    let reason = if image_only && changes.len() == 1 { "image changed" } else { "configuration changed" };
    Some(Cause { reason: reason.into(), changes })
}

/// A container whose set-up failed is not whole and never runs.
pub fn is_broken(container: &ObservedContainer) -> bool {
    container.state == ObservedState::Dead
}

/// The same reference may mean another image by now.
fn image(scene: &Scene<'_>, service: &Service, container: &ObservedContainer) -> Vec<Change> {
    match scene.observed.images.get(service.reference()) {
        Some(Some(image)) if image.id != container.image_id => vec![Change {
            field: "image".into(),
            from: Some(shown_id(&container.image_id)),
            to: Some(shown_id(&image.id)),
        }],
        _ => Vec::new(),
    }
}

fn shown_id(id: &ImageId) -> String {
    if id.as_str().starts_with("sha256:") { format!("sha256:{}", id.short()) } else { id.to_string() }
}

/// The service may be the same, but its network got another real name.
fn networks(scene: &Scene<'_>, service: &Service, container: &ObservedContainer, changes: &mut Vec<Change>) {
    let Some(project) = scene.project else { return };
    for key in service.networks.keys() {
        let Some(network) = project.networks.get(key) else { continue };
        let field = format!("networks.{key}");
        let named = changes.iter().any(|change| change.field == field);
        if !named && !container.networks.contains(&network.name) {
            changes.push(Change { field: format!("{field}.name"), from: None, to: Some(network.name.clone()) });
        }
    }
}

fn volumes(scene: &Scene<'_>, service: &Service, container: &ObservedContainer, changes: &mut Vec<Change>) {
    let Some(project) = scene.project else { return };
    for mount in &service.volumes {
        let MountKind::Volume { source, .. } = &mount.kind else { continue };
        let Some(volume) = project.volumes.get(source) else { continue };
        let field = format!("volumes.{}", mount.target.display());
        let named = changes.iter().any(|change| change.field == field);
        if !named && !container.volumes.contains(&volume.name) {
            changes.push(Change { field: format!("{field}.name"), from: None, to: Some(volume.name.clone()) });
        }
    }
}

/// Files are copied or bound at creation: another content needs another container. Their digests are not shown, as
/// that of a short secret gives it away.
fn files(
    scene: &Scene<'_>,
    kind: &str,
    mounts: &[FileMount],
    container: &ObservedContainer,
    changes: &mut Vec<Change>,
) {
    for mount in mounts {
        let key = format!("{kind}:{}", mount.source);
        let (Some(then), Some(now)) = (container.file_digests.get(&key), scene.observed.file_digests.get(&key)) else {
            continue;
        };
        if then != now {
            let hidden = Some(mask::HIDDEN.to_owned());
            changes.push(Change {
                field: format!("{kind}s.{}.content", mount.source),
                from: hidden.clone(),
                to: hidden,
            });
        }
    }
}
