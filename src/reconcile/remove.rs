//! Takes a container away: links, addresses, cgroups, files. It collects what goes wrong and goes on.

use super::{Hands, container::Parts, failure};
use crate::{
    api::Failure,
    model::{ContainerId, ImageId},
    runtime::cgroup::Cgroup,
    shim::wire::Request,
    specgen,
    state::{
        Layout, record,
        records::{self, ContainerRecord, Exit},
    },
};
use std::{collections::HashMap, fs, io, path::Path, time::Duration};

/// How long the processes of a killed cgroup may take to go; the kernel needs milliseconds.
const EMPTY: Duration = Duration::from_secs(5);

/// What becomes of a container's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Taken down now.
    Remove,
    /// Left to `RemoveNetwork`, which takes them down together with the bridges: the kernel's grace periods are waited
    /// for once.
    WithNetwork,
}

/// Removes everything of a container that does not run: what other containers use (volumes, networks) stays.
pub async fn discard(id: &ContainerId, parts: Parts, links: Links, hands: &Hands) -> Result<(), Failure> {
    let mut errors = Vec::new();
    if let Some(link) = &parts.link {
        link.send(Request::Quit);
    }
    drop(parts);
    if links == Links::Remove
        && let Err(error) = hands.networks.teardown(id).await
    {
        errors.push(error.to_string());
    }
    if let Err(error) = hands.networks.release(id) {
        errors.push(error.to_string());
    }
    let directory = hands.layout.container(id);
    let socket = hands.layout.shim_socket(id);
    let removed = tokio::task::spawn_blocking(move || {
        remove_file(&socket)?;
        remove_tree(&directory)
    })
    .await;
    match removed {
        Ok(Ok(())) => {}
        Ok(Err(error)) => errors.push(error.to_string()),
        Err(error) => errors.push(error.to_string()),
    }
    if errors.is_empty() { Ok(()) } else { Err(failure(errors.join("; "))) }
}

/// Clears away what is left of a container whose shim was killed, and says how its run ended.
pub async fn bury(id: &ContainerId, hands: &Hands) -> Exit {
    let path = specgen::container::cgroup_path(&hands.project, id);
    let done = tokio::task::spawn_blocking(move || -> Result<bool, String> {
        let cgroup = Cgroup::open(&path).map_err(|error| error.to_string())?;
        let oom = cgroup.oom_kills().unwrap_or(0) > 0;
        cgroup.kill().map_err(|error| error.to_string())?;
        cgroup.wait_empty(EMPTY).map_err(|error| error.to_string())?;
        cgroup.remove().map_err(|error| error.to_string())?;
        Ok(oom)
    })
    .await;
    let mut note = "the process that kept it was killed, and the container with it".to_owned();
    let oom = match done {
        Ok(Ok(oom)) => oom,
        Ok(Err(error)) => {
            note = format!("{note}; {error}");
            false
        }
        Err(error) => {
            note = format!("{note}; {error}");
            false
        }
    };
    Exit { code: 137, signal: Some(9), oom, started_at: None, finished_at: records::now(), note: Some(note) }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// std's walk opens by descriptor and follows no link (CVE-2022-21658).
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), format!("cannot remove {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Images that containers of this host use, of any project, and the name of one such container.
pub fn image_users(layout: &Layout) -> Result<HashMap<ImageId, String>, Failure> {
    let mut users = HashMap::new();
    let entries = match fs::read_dir(layout.containers()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(users),
        Err(error) => return Err(failure(format!("cannot read {}: {error}", layout.containers().display()))),
    };
    for entry in entries.flatten() {
        let id = ContainerId::new(entry.file_name().to_string_lossy());
        if let Some(found) = record::read::<ContainerRecord>(&layout.container_record(&id))? {
            users.insert(found.image_id, found.name);
        }
    }
    Ok(users)
}
