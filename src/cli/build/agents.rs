//! `build.ssh` and `--ssh`: whose agent the steps of a service reach, and the agents that hold keys for them.

use super::{one::Site, request::Overrides};
use crate::{
    build::engine::keys::{self, Agent, Given},
    cli::exit::Error,
    image::store::Workshop,
    model::{Build, Project},
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Sockets of the services of a build. What was started for them ends when this is dropped.
#[derive(Default)]
pub struct Agents {
    /// By service and id.
    sockets: BTreeMap<String, BTreeMap<String, PathBuf>>,
    /// Before their directory.
    _running: Vec<Agent>,
    _directory: Option<Directory>,
}

/// Of sockets; whoever sweeps knows by the session that it is of use.
struct Directory {
    path: PathBuf,
    _session: Workshop,
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Agents {
    pub fn of(&self, service: &str) -> BTreeMap<String, PathBuf> {
        self.sockets.get(service).cloned().unwrap_or_default()
    }

    pub fn default_of(&self, service: &str) -> Option<PathBuf> {
        self.sockets.get(service)?.get("default").cloned()
    }
}

/// What each id of a service is.
fn given(
    build: &Build,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Given>, String> {
    let mut all = BTreeMap::new();
    // The command line takes the place of the file.
    let asked: BTreeMap<&String, &Option<PathBuf>> = build.ssh.iter().chain(&overrides.ssh).collect();
    for (id, path) in asked {
        let from_environment = || environment.get("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
        let path = path.clone().or_else(from_environment);
        let path = path.ok_or_else(|| format!("ssh {id}: SSH_AUTH_SOCK names no agent"))?;
        let given = keys::look(&several(&path)).map_err(|why| format!("ssh {id}: {why}"))?;
        all.insert(id.clone(), given);
    }
    Ok(all)
}

/// Several keys have a comma between them, as in docker's `--ssh`.
fn several(path: &Path) -> Vec<PathBuf> {
    match path.to_str() {
        Some(text) if text.contains(',') && !path.exists() => text.split(',').map(PathBuf::from).collect(),
        _ => vec![path.to_owned()],
    }
}

/// Starts what these services need.
pub(super) async fn start<'a>(
    site: &Site,
    project: &Project,
    services: impl IntoIterator<Item = &'a String>,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
) -> Result<Agents, Error> {
    let mut agents = Agents::default();
    let mut known: BTreeMap<Vec<PathBuf>, PathBuf> = BTreeMap::new();
    for name in services {
        let Some(build) = project.service(name).and_then(|service| service.build.as_ref()) else { continue };
        let refused = |why: String| Error::refused(format!("service {name:?}: {why}"));
        for (id, given) in given(build, overrides, environment).map_err(refused)? {
            let socket = match given {
                Given::Socket(path) => path,
                Given::Keys(keys) => match known.get(&keys) {
                    Some(socket) => socket.clone(),
                    None => {
                        let directory = match &agents._directory {
                            Some(directory) => directory.path.clone(),
                            None => {
                                let directory = directory(site)?;
                                agents._directory.insert(directory).path.clone()
                            }
                        };
                        let path = environment.get("PATH").map(String::as_str);
                        let agent = keys::serve(&directory, &keys, path)
                            .await
                            .map_err(|error| refused(format!("ssh {id}: {error}")))?;
                        let socket = agent.socket.clone();
                        agents._running.push(agent);
                        known.insert(keys, socket.clone());
                        socket
                    }
                },
            };
            agents.sockets.entry(name.clone()).or_default().insert(id, socket);
        }
    }
    Ok(agents)
}

fn directory(site: &Site) -> Result<Directory, Error> {
    let session = site.store.workshop()?;
    let path = site.layout.run_builds().join(session.path().file_name().unwrap_or_default());
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)
        .map_err(Error::system("make a directory for agents"))?;
    Ok(Directory { path, _session: session })
}
