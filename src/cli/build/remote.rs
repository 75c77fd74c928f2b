//! Contexts that are elsewhere, fetched before what is built from them is planned.

use super::{
    agents::{self, Agents},
    event,
    one::{News, Site},
    request::{self, Overrides},
};
use crate::{
    build::{
        Event, Secret,
        engine::remote::{self, Access, RemoteError, Tree},
        op::StepId,
        remote::{Remote, redacted},
    },
    cli::{apply, exit::Error},
    image::{Credentials, Store, store::Workshop},
    model::{Build, Project},
    state::Layout,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Instant,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The number under which they are shown: no build has it.
const BUILD: usize = usize::MAX;

/// What several services may share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    url: String,
    /// Archives are unpacked for the build context alone, as BuildKit has it.
    is_context: bool,
    keep_git_dir: bool,
}

struct Wanted {
    key: Key,
    service: String,
    remote: Remote,
    access: Access,
}

/// Contexts that were elsewhere. They stay as long as this does.
#[derive(Default)]
pub struct Remotes {
    /// Whoever may open a repository over ssh, and whom steps reach.
    agents: Agents,
    trees: BTreeMap<Key, Tree>,
    /// Who removes what nobody needs waits for its end.
    _session: Option<Workshop>,
}

impl Remotes {
    /// The files of the context of a build.
    pub fn context(&self, build: &Build, overrides: &Overrides) -> Option<&Tree> {
        let keep_git_dir = keeps_git_dir(build, overrides);
        self.trees.get(&Key { url: build.context.clone(), is_context: true, keep_git_dir })
    }

    /// Sockets of agents by id.
    pub fn agents(&self, service: &str) -> BTreeMap<String, PathBuf> {
        self.agents.of(service)
    }

    pub fn additional(&self, url: &str) -> Option<&Tree> {
        self.trees.get(&Key { url: url.to_owned(), is_context: false, keep_git_dir: false })
    }
}

/// `BUILDKIT_CONTEXT_KEEP_GIT_DIR`, a build argument that BuildKit itself reads.
fn keeps_git_dir(build: &Build, overrides: &Overrides) -> bool {
    let name = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";
    let value = overrides.args.get(name).or_else(|| build.args.get(name));
    value.is_some_and(|value| ["1", "t", "T", "true", "TRUE", "True"].contains(&value.as_str()))
}

/// What a build may use to get at repositories.
pub fn access(
    project: &Project,
    build: &Build,
    environment: &BTreeMap<String, String>,
    agent: Option<PathBuf>,
) -> Access {
    let secrets: BTreeMap<String, Secret> = request::secrets(project, build, environment)
        .into_iter()
        .filter(|(id, _)| id.starts_with("GIT_AUTH_TOKEN") || id.starts_with("GIT_AUTH_HEADER"))
        .collect();
    Access { environment: environment.clone(), agent, secrets }
}

/// The services, and those that they are built from.
pub fn with_needs(project: &Project, names: &[String]) -> BTreeSet<String> {
    let (mut open, mut seen) = (names.to_vec(), BTreeSet::new());
    while let Some(name) = open.pop() {
        let build = project.service(&name).and_then(|service| service.build.as_ref());
        let Some(build) = build.filter(|_| !seen.contains(&name)) else { continue };
        let needs = build.additional_contexts.values().filter_map(|value| value.strip_prefix("service:"));
        open.extend(needs.map(str::to_owned));
        seen.insert(name);
    }
    seen
}

/// The contexts elsewhere of these services.
fn wanted(
    project: &Project,
    services: &BTreeSet<String>,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    agents: &Agents,
) -> Result<Vec<Wanted>, Error> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for name in services {
        let service = project.service(name).and_then(|service| Some((service, service.build.as_ref()?)));
        let Some((service, build)) = service else { continue };
        let contexts = build.additional_contexts.values().map(|value| (value, false));
        for (text, is_context) in std::iter::once((&build.context, true)).chain(contexts) {
            let refused = |why: String| Error::refused(format!("service {:?}: {why}", service.name));
            let known_otherwise = ["docker-image://", "oci-layout://", "service:", "/"];
            if known_otherwise.iter().any(|scheme| text.starts_with(scheme)) {
                continue;
            }
            let found = crate::build::remote::parse(text).map_err(|error| refused(error.to_string()))?;
            let Some(remote) = found else { continue };
            let keep_git_dir = is_context && keeps_git_dir(build, overrides);
            let key = Key { url: text.clone(), is_context, keep_git_dir };
            if !wanted.iter().any(|other| other.key == key) {
                let access = access(project, build, environment, agents.default_of(name));
                wanted.push(Wanted { key, service: name.clone(), remote, access });
            }
        }
    }
    Ok(wanted)
}

/// Fetches them all at once, each shown as a step.
pub(super) async fn fetch(
    site: &Site,
    project: &Project,
    services: &BTreeSet<String>,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    news: &UnboundedSender<News>,
) -> Result<Remotes, Error> {
    let agents = agents::start(site, project, services, overrides, environment).await?;
    let wanted = wanted(project, services, overrides, environment, &agents)?;
    if wanted.is_empty() {
        return Ok(Remotes { agents, ..Remotes::default() });
    }
    let session = Some(site.store.workshop()?);
    let mut running: FuturesUnordered<_> = wanted
        .into_iter()
        .enumerate()
        .map(|(number, wanted)| async move {
            let tree = one(&site.layout, &wanted, StepId(number), news).await;
            (wanted, tree)
        })
        .collect();
    let mut trees = BTreeMap::new();
    while let Some((wanted, tree)) = running.next().await {
        let tree = tree.map_err(|error| Error::refused(format!("service {:?}: {error}", wanted.service)))?;
        trees.insert(wanted.key, tree);
    }
    Ok(Remotes { agents, trees, _session: session })
}

async fn one(
    layout: &Layout,
    wanted: &Wanted,
    step: StepId,
    news: &UnboundedSender<News>,
) -> Result<Tree, RemoteError> {
    let what = if matches!(wanted.remote, Remote::Git(_)) { "git source" } else { "remote build context" };
    let title = format!("[{} internal] load {what} {}", wanted.service, redacted(&wanted.key.url));
    let _ = news.send(News::Titles { build: BUILD, titles: vec![(step, title)] });
    let _ = news.send(event(BUILD, Event::Started(step)));
    let began = Instant::now();
    let report = |bytes, total| {
        let _ = news.send(event(BUILD, Event::Fetched { step, bytes, total }));
    };
    let tree = match &wanted.remote {
        Remote::Git(url) => {
            let keep_git_dir = wanted.key.keep_git_dir || url.keep_git_dir == Some(true);
            remote::checkout(layout, &wanted.access, url, keep_git_dir).await
        }
        Remote::Http(url) => remote::http(layout, url, wanted.key.is_context, &report).await,
    };
    let told = match &tree {
        Ok(_) => Event::Done { step, took: began.elapsed() },
        Err(error) => Event::Failed { step, message: error.to_string() },
    };
    let _ = news.send(event(BUILD, told));
    tree
}

/// Without a word, for who only reads the Dockerfiles in them.
pub fn fetch_quietly(
    layout: &Layout,
    project: &Project,
    environment: &BTreeMap<String, String>,
) -> Result<Remotes, Error> {
    // Nothing is run: only who has to be asked over ssh needs an agent.
    let is_remote = |text: &String| matches!(crate::build::remote::parse(text), Ok(Some(_)) | Err(_));
    let elsewhere = |build: &Build| is_remote(&build.context) || build.additional_contexts.values().any(is_remote);
    let services: BTreeSet<String> = project
        .services
        .iter()
        .filter(|(_, service)| service.build.as_ref().is_some_and(elsewhere))
        .map(|(name, _)| name.clone())
        .collect();
    if services.is_empty() {
        return Ok(Remotes::default());
    }
    let overrides = Overrides::default();
    let site = Site { store: Store::open(layout)?, layout: layout.clone(), credentials: Credentials::none() };
    let (news, _unread) = unbounded_channel();
    apply::runtime()?.block_on(async {
        tokio::select! {
            fetched = fetch(&site, project, &services, &overrides, environment, &news) => fetched,
            interrupted = apply::interrupted() => interrupted.and(Err(Error::Interrupted)),
        }
    })
}
