//! Builds the images of services: what has to be built, in which order, shown while it goes on.
//!
//! ```text
//! caches     cache_from and cache_to
//! bake       the builds as a file for docker buildx bake
//! check      what is surprising in a Dockerfile, without building it
//! bases      which images a build begins with, without fetching any
//! remote     contexts that are elsewhere, fetched first; foreign: the files of theirs that are read here
//! agents     ssh: sockets, and agents for keys
//! request    build: of a service -> what the builder takes
//! one        one image: bases here, plan made, plan carried out
//! ```
//! Services whose images others are built from come first; all others are built at the same time.

mod agents;
mod bake;
mod bases;
mod caches;
mod check;
mod foreign;
mod one;
mod remote;
mod request;

pub use bake::file as bake_file;
pub use bases::bases;
pub use check::check;
pub use remote::fetch_quietly;
pub use request::{Overrides, platform_to_run};

use super::{
    apply::{self, interrupted},
    context::Context,
    exit::Error,
    fetch::{self, Wanted},
    output::progress::{Mode, build::View},
};
use crate::{
    build::{Event, op::StepId},
    compose::built_image,
    image::{self, Credentials, Image, Reference, Store, platform},
    model::{Build, Project, PullPolicy, Service},
    state::Layout,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use one::{News, Site};
use remote::Remotes;
use request::Request;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, MissedTickBehavior, interval},
};

/// Of the redrawn clocks.
const FRAME: Duration = Duration::from_millis(100);

/// When images are built that are here already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `--build`
    Always,
    /// Those that are not here, and those whose pull policy is `build`.
    Missing,
    /// `--no-build`
    Never,
}

/// Whose images are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// All services where there is none.
    pub named: &'a [String],
    pub with_dependencies: bool,
    /// `--pull`
    pub pull: Option<PullPolicy>,
    pub when: When,
}

/// Sees to it that the images of the selected services are here, as far as they are built. What is only pulled is the
/// plan's.
pub fn prepare(
    cx: &mut Context,
    project: &Project,
    environment: &BTreeMap<String, String>,
    selection: &Selection<'_>,
    mode: Mode,
) -> Result<(), Error> {
    if project.services.values().all(|service| service.build.is_none()) {
        return Ok(());
    }
    for name in closure(project, selection.named, selection.with_dependencies) {
        let Some((service, build)) = built(project, &name) else { continue };
        let policy = selection.pull.unwrap_or(service.pull_policy);
        // A name that was made up belongs to no registry.
        let made_up = service.image == built_image(&project.name, &name);
        if policy == PullPolicy::Always && selection.when != When::Always && !made_up {
            // What cannot be pulled can still be built.
            let platform = request::platform_to_run(service, build).filter(|platform| !platform::is_host(platform));
            let image = Wanted { name: service.image.clone(), policy, platform };
            fetch::pull(cx, &[image], mode, None)?;
        }
    }
    let wanted = due(&cx.layout, project, selection)?;
    if wanted.is_empty() {
        return Ok(());
    }
    let overrides = Overrides { to_run: true, ..Overrides::default() };
    services(cx, project, environment, &wanted, &overrides, mode).map(drop)
}

/// Those of the selected services whose images have to be built.
pub fn due(layout: &Layout, project: &Project, selection: &Selection<'_>) -> Result<Vec<String>, Error> {
    let mut due = Vec::new();
    if project.services.values().all(|service| service.build.is_none()) {
        return Ok(due);
    }
    let store = Store::open(layout)?;
    for name in closure(project, selection.named, selection.with_dependencies) {
        let Some((service, build)) = built(project, &name) else { continue };
        let policy = selection.pull.unwrap_or(service.pull_policy);
        let is_due = match selection.when {
            When::Always => true,
            _ if service.scale == 0 => false,
            When::Never => {
                refuse_another_platform(&store, service, build)?;
                false
            }
            When::Missing => policy == PullPolicy::Build || !is_here(&store, service, build)?,
        };
        if is_due {
            due.push(name);
        }
    }
    Ok(due)
}

/// Who wants nothing built is not given an image that is for something else either.
fn refuse_another_platform(store: &Store, service: &Service, build: &Build) -> Result<(), Error> {
    let reference = Reference::parse(&service.image).map_err(crate::image::ImageError::from)?;
    match store.find(&reference)? {
        Some(image) if !is_here(store, service, build)? => Err(Error::refused(format!(
            "service {:?}: the image {} that is here is for {}, not for {}; without --no-build it is built again",
            service.name,
            service.image,
            image.platform,
            request::platform_to_run(service, build).unwrap_or_default()
        ))),
        _ => Ok(()),
    }
}

fn built<'a>(project: &'a Project, name: &str) -> Option<(&'a Service, &'a Build)> {
    let service = project.services.get(name)?;
    Some((service, service.build.as_ref()?))
}

/// As docker compose: an image for another platform than the service asks for now does not count.
fn is_here(store: &Store, service: &Service, build: &Build) -> Result<bool, Error> {
    let reference = Reference::parse(&service.image).map_err(crate::image::ImageError::from)?;
    let image = match request::platform_to_run(service, build) {
        Some(platform) => image::find_for(store, &reference, &platform)?,
        None => store.find(&reference)?,
    };
    Ok(image.is_some())
}

/// `named` and, if asked for, all that they depend on; every service where none is named. In the order of the model.
pub fn closure(project: &Project, named: &[String], with_dependencies: bool) -> Vec<String> {
    let mut open: Vec<&str> = named.iter().map(String::as_str).collect();
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(service) = project.services.get(name).filter(|_| found.insert(name)) {
            open.extend(with_dependencies.then(|| service.depends_on.keys().map(String::as_str)).into_iter().flatten());
        }
    }
    let chosen = |name: &&String| named.is_empty() || found.contains(name.as_str());
    project.services.keys().filter(chosen).cloned().collect()
}

/// Builds the images of the services as their files say, shown as everything else.
pub fn images(cx: &mut Context, project: &Project, names: &[String]) -> Result<(), Error> {
    let environment = cx.env.variables.clone();
    let mode = cx.progress_mode(&environment);
    let overrides = Overrides { to_run: true, ..Overrides::default() };
    services(cx, project, &environment, names, &overrides, mode).map(drop)
}

/// Builds the images of the services that have a `build`, and of those that their contexts name.
pub fn services(
    cx: &mut Context,
    project: &Project,
    environment: &BTreeMap<String, String>,
    names: &[String],
    overrides: &Overrides,
    mode: Mode,
) -> Result<Vec<(String, Image)>, Error> {
    let site = Site {
        store: Store::open(&cx.layout)?,
        layout: cx.layout.clone(),
        credentials: Credentials::from_docker_config(
            cx.env.docker_config().map(|dir| dir.join("config.json")).as_deref(),
        ),
    };
    let order = Order { project, environment, names, overrides };
    apply::runtime()?.block_on(async {
        tokio::select! {
            result = all(cx, &site, &order, mode) => result,
            interrupted = interrupted() => interrupted.and(Err(Error::Interrupted)),
        }
    })
}

/// What is to be built, and how.
struct Order<'a> {
    project: &'a Project,
    environment: &'a BTreeMap<String, String>,
    names: &'a [String],
    overrides: &'a Overrides,
}

/// With what they need, which is before them.
fn requests(order: &Order<'_>, remotes: &Remotes) -> Result<Vec<Request>, Error> {
    let Order { project, environment, names, overrides } = *order;
    let mut requests: Vec<Request> = Vec::new();
    let mut open: Vec<String> = names.to_vec();
    while let Some(name) = open.pop() {
        if requests.iter().any(|request| request.service == name) {
            continue;
        }
        let Some(service) = project.service(&name) else { continue };
        let Some(build) = &service.build else { continue };
        request::check_secrets(project, service, build, environment)?;
        let request = request::request(project, service, build, overrides, environment, remotes)?;
        open.extend(request.needs.iter().cloned());
        requests.push(request);
    }
    Ok(requests)
}

/// Builds everything; a build begins when what it needs is there.
async fn all(cx: &mut Context, site: &Site, order: &Order<'_>, mode: Mode) -> Result<Vec<(String, Image)>, Error> {
    let (sender, mut news) = unbounded_channel();
    let mut view = View::new(mode);
    let mut titles = Titles::default();
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Kept to the end: builds read them.
    let remotes = {
        let Order { project, environment, names, overrides } = *order;
        let services = remote::with_needs(project, names);
        let mut fetching = std::pin::pin!(remote::fetch(site, project, &services, overrides, environment, &sender));
        loop {
            tokio::select! {
                biased;
                Some(told) = news.recv() => titles.show(told, &mut view, cx)?,
                _ = frames.tick(), if view.is_animated() => view.tick(Instant::now().into_std(), &mut cx.err)?,
                fetched = &mut fetching => break fetched,
            }
        }
    };
    drain(&mut news, &mut titles, &mut view, cx)?;
    let remotes = remotes?;
    let requests = requests(order, &remotes)?;
    let mut waiting: Vec<(usize, Request)> = requests.into_iter().enumerate().collect();
    let mut running = FuturesUnordered::new();
    let mut built: Vec<(String, Image)> = Vec::new();
    loop {
        let ready = |request: &Request| request.needs.iter().all(|need| built.iter().any(|(name, _)| name == need));
        let (begin, rest) = waiting.into_iter().partition::<Vec<_>, _>(|(_, request)| ready(request));
        waiting = rest;
        for (number, request) in begin {
            running.push(one::one(site, request, number, sender.clone()));
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            Some(told) = news.recv() => titles.show(told, &mut view, cx)?,
            _ = frames.tick(), if view.is_animated() => view.tick(Instant::now().into_std(), &mut cx.err)?,
            Some((number, service, result)) = running.next() => {
                drain(&mut news, &mut titles, &mut view, cx)?;
                let image = result?;
                view.built(number, &image.reference.familiar(), Instant::now().into_std(), &mut cx.err)?;
                built.push((service, image));
            }
        }
    }
    // A circle of contexts: each waits for another.
    match waiting.first() {
        None => Ok(built),
        Some((_, request)) => Err(Error::refused(format!(
            "service {:?} is built from {}, which is built from it",
            request.service,
            request.needs.join(", ")
        ))),
    }
}

fn drain(
    news: &mut UnboundedReceiver<News>,
    titles: &mut Titles,
    view: &mut View,
    cx: &mut Context,
) -> Result<(), Error> {
    while let Ok(told) = news.try_recv() {
        titles.show(told, view, cx)?;
    }
    Ok(())
}

/// What the steps of all builds are called.
#[derive(Default)]
struct Titles(BTreeMap<(usize, usize), String>);

impl Titles {
    fn show(&mut self, told: News, view: &mut View, cx: &mut Context) -> Result<(), Error> {
        match told {
            News::Titles { build, titles } => {
                self.0.extend(titles.into_iter().map(|(step, title)| ((build, step.0), title)));
            }
            News::Event { build, event } => {
                let title = |step: StepId| self.0.get(&(build, step.0)).cloned().unwrap_or_default();
                view.take(build, event, title, Instant::now().into_std(), &mut cx.err)?;
            }
        }
        Ok(())
    }
}

/// The pseudo step under which the writing of the image is shown.
const EXPORT: StepId = StepId(usize::MAX);

/// Events of one build on their way to the screen.
fn event(build: usize, event: Event) -> News {
    News::Event { build, event }
}
