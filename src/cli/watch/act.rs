//! Carries work out: images and containers by the supervisor, files by `transfer`. What fails for one service is told,
//! and is nothing to the others.

use super::{
    News, Options, build,
    containers::{self, Container},
    exec::{self, Command},
    rules::{Mapping, Rules, Work},
};
use crate::{
    api::{self, Apply},
    cli::{
        apply::Door,
        args::Global,
        client::ClientError,
        context::Context,
        env::Env,
        exit::Error,
        output::{Writer, progress::Mode},
    },
    image::Store,
    model::{
        ContainerId, ImageId, Project,
        intent::{Intent, Recreate, Up},
    },
    shim::wire::ShimSpec,
    state::{
        Layout, record,
        records::{ContainerRecord, Status},
    },
    transfer::{Owner, Root, TransferError},
};
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    thread,
};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

/// More files at once than anybody edits.
const LARGE: usize = 1000;
/// How often to look again at what changes at the same time.
const ROUNDS: usize = 3;

pub struct Actor {
    layout: Layout,
    door: Door,
    project: Project,
    docker_config: Option<PathBuf>,
    options: Options,
    /// For the context of a build.
    given: (Global, Env),
    news: UnboundedSender<News>,
}

impl Actor {
    pub fn new(cx: &Context, project: &Project, options: Options, news: UnboundedSender<News>) -> Self {
        Self {
            layout: cx.layout.clone(),
            door: Door::new(cx, &project.name),
            project: project.clone(),
            docker_config: cx.env.docker_config(),
            options,
            given: (cx.global.clone(), cx.env.clone()),
            news,
        }
    }

    /// All builds, then all copies, then restarts, then commands: as docker compose.
    pub async fn carry_out(&self, rules: &Rules, mut work: BTreeMap<String, Work>) {
        if work.is_empty() {
            return;
        }
        self.tell(News::Began);
        let rebuilt = names(&work, |work| work.rebuild);
        if !rebuilt.is_empty() && !self.rebuild(&rebuilt).await {
            // Its containers are the old ones: what else changed belongs to the new ones.
            work.retain(|_, work| !work.rebuild);
        }
        let mut failed = Vec::new();
        for (service, work) in work.iter().filter(|(_, work)| !work.copies.is_empty()) {
            let count = work.copies.len();
            if count > LARGE {
                let text = "Large batch of file changes detected. If you just switched branches, this is expected.";
                self.say(text.into());
            }
            self.say(format!("Syncing service \"{service}\" after {count} changes were detected"));
            if !self.copy(service, &work.copies).await {
                failed.push(service.clone());
            }
        }
        work.retain(|service, _| !failed.contains(service));
        // One that was just made needs no restart, unless files came after it began.
        let restarted = names(&work, |work| work.restart && !(work.rebuild && work.copies.is_empty()));
        if !restarted.is_empty() {
            self.restart(&restarted).await;
        }
        for (service, work) in &work {
            for hook in work.execs.iter().filter_map(|index| rules.get(*index)?.rule.exec.clone()) {
                self.exec(service, hook).await;
            }
        }
        self.tell(News::Over);
    }

    /// Before the first change: nothing to tell of but faults.
    pub async fn begin(&self, work: BTreeMap<String, Work>) {
        for (service, work) in &work {
            self.copy(service, &work.copies).await;
        }
    }

    async fn rebuild(&self, services: &[String]) -> bool {
        self.say(format!("Rebuilding service(s) {} after changes were detected...", quoted(services)));
        let (given, project, names) = (self.given.clone(), self.project.clone(), services.to_vec());
        let (quiet, prune) = (self.options.quiet, self.options.prune);
        let built = aside("build", move || {
            let mut cx = context(given, quiet)?;
            build::images(&mut cx, &project, &names)?;
            if prune {
                prune_images(&cx.layout)?;
            }
            Ok(())
        });
        if let Err(error) = built.await {
            self.fault(format!("Build failed. Error: {error}"));
            return false;
        }
        self.say(format!("service(s) {} successfully built", quoted(services)));
        let up = Up { services: services.to_vec(), recreate: Recreate::Force, no_deps: true, ..Up::default() };
        match self.ask(Intent::Up(up)).await {
            Ok(()) => true,
            Err(error) => {
                self.fault(format!("Failed to recreate services after update. Error: {error}"));
                false
            }
        }
    }

    async fn restart(&self, services: &[String]) {
        let intent = Intent::Restart { services: services.to_vec(), timeout: None, no_deps: false };
        match self.ask(intent).await {
            Ok(()) => self.say(format!("service(s) {} restarted", quoted(services))),
            Err(error) => self.fault(format!("cannot restart service(s) {}: {error}", quoted(services))),
        }
    }

    /// Hands an intent to the supervisor, and waits for its end. The error says all that failed.
    async fn ask(&self, intent: Intent) -> Result<(), String> {
        let apply = Apply {
            intent,
            project: Some(self.project.clone()),
            docker_config: self.docker_config.clone(),
            wait: None,
            parallel: self.options.parallel,
        };
        let mut note = |text: String| self.say(text);
        let mut lines = self.door.apply(&apply, &mut note).await.map_err(|error| error.to_string())?;
        let mut failures = Vec::new();
        loop {
            let event = lines.next().await.and_then(|event| event.ok_or(ClientError::GoneAmid));
            match event.map_err(|error| self.door.error(error).to_string())? {
                api::Progress::Plan { plan } => self.tell(News::Plan(Box::new(plan))),
                api::Progress::OpFailed { error, .. } => failures.push(error.message),
                api::Progress::Warning { text } => self.fault(text),
                api::Progress::Done { error, .. } => {
                    failures.extend(error.map(|error| error.message));
                    failures.dedup();
                    return if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) };
                }
                _ => {}
            }
        }
    }

    /// Copies into all containers of the service, those that are down among them.
    async fn copy(&self, service: &str, copies: &[Mapping]) -> bool {
        let (mut good, mut done) = (true, BTreeSet::new());
        // Containers that came while others were copied into are found in the next round.
        for _ in 0..ROUNDS {
            let found = self.containers(service).into_iter().map(|container| container.record);
            let fresh: Vec<ContainerRecord> = found.filter(|record| done.insert(record.id.clone())).collect();
            if fresh.is_empty() {
                break;
            }
            let copied = fresh.into_iter().map(|record| {
                let (layout, copies) = (self.layout.clone(), copies.to_vec());
                let (id, name) = (record.id, record.name);
                async move { (name, aside("sync", move || copy_into(&layout, &id, &copies)).await) }
            });
            for (name, copied) in join_all(copied).await {
                for fault in copied.unwrap_or_else(|error| vec![error.to_string()]) {
                    self.fault(format!("cannot sync container {name}: {fault}"));
                    good = false;
                }
            }
        }
        good
    }

    async fn exec(&self, service: &str, hook: crate::model::Hook) {
        for Container { record } in self.containers(service).into_iter().filter(Container::is_running) {
            let command = Command { hook: hook.clone(), container: record.id.clone(), layout: self.layout.clone() };
            let (name, news) = (record.name.clone(), self.news.clone());
            match aside("exec", move || exec::run(&command, &news)).await {
                Ok(0) => {}
                Ok(code) => self.fault(format!("the command of sync+exec in container {name} ended with code {code}")),
                Err(error) => self.fault(format!("cannot run the command of sync+exec in container {name}: {error}")),
            }
        }
    }

    /// As they are now: a container may have been replaced since the last time.
    fn containers(&self, service: &str) -> Vec<Container> {
        let found = containers::list(&self.layout, Some(&self.project.name));
        for error in &found.unreadable {
            self.fault(error.to_string());
        }
        let is_mine = |container: &Container| container.record.service == service && !container.record.oneoff;
        found.containers.into_iter().filter(is_mine).collect()
    }

    fn say(&self, text: String) {
        self.tell(News::Line(text));
    }

    fn fault(&self, text: String) {
        self.tell(News::Fault(text));
    }

    fn tell(&self, news: News) {
        let _ = self.news.send(news);
    }
}

/// What could not be copied. The rest is there all the same.
fn copy_into(layout: &Layout, id: &ContainerId, copies: &[Mapping]) -> Result<Vec<String>, Error> {
    for _ in 0..ROUNDS {
        // One that is gone has a successor, or nobody wants its files.
        let Some(Container { record }) = Container::read(layout, id)? else { return Ok(Vec::new()) };
        let spec: Option<ShimSpec> = record::read(&layout.container_spec(id))?;
        let Some(ShimSpec { container: spec, .. }) = spec else {
            return Ok(vec!["it was never started".into()]);
        };
        let copy = |root: &Root| -> Result<Vec<String>, TransferError> {
            let owner = root.owner(&spec.process.user)?;
            let copied = copies.iter().map(|copy| copy_one(root, copy, owner));
            Ok(copied.filter_map(Result::err).map(|error| error.to_string()).collect())
        };
        let copied = match record.status {
            Status::Running { pid, start_time, .. } => Root::of_running(pid, start_time).and_then(|root| copy(&root)),
            // Its program may wait for the very change.
            _ => Root::in_stopped(&spec, copy)?,
        };
        match copied {
            // It ended, or began anew, between the two lines.
            Err(TransferError::NotRunning) => {}
            copied => return Ok(copied?),
        }
    }
    Err(TransferError::NotRunning.into())
}

fn copy_one(root: &Root, copy: &Mapping, owner: Owner) -> Result<(), TransferError> {
    if copy.top && root.is_directory(&copy.target) {
        // A watched directory is the container's own; what is gone in it is gone by name. A file does not replace one.
        return match copy.source.symlink_metadata() {
            Ok(metadata) if !metadata.is_dir() => Err(TransferError::IsDirectory { path: copy.target.clone() }),
            _ => Ok(()),
        };
    }
    root.mirror(&copy.source, &copy.target, owner).map(|_| ())
}

/// Drops images without a name that no container has.
fn prune_images(layout: &Layout) -> Result<(), Error> {
    let used = containers::list(layout, None).containers;
    let in_use = |id: &ImageId| used.iter().find(|c| c.record.image_id == *id).map(|c| c.record.name.clone());
    Store::open(layout)?.gc(&in_use)?;
    Ok(())
}

/// For a build on a thread of its own: it shows its progress line by line, as the lines of a watch are.
fn context((global, env): (Global, Env), quiet: bool) -> Result<Context, Error> {
    let mut cx = Context::new(Global { progress: Some(Mode::Plain), ..global }, env)?;
    if quiet {
        cx.out = Writer::new(io::sink(), false, false, false);
        cx.err = Writer::new(io::sink(), true, false, false);
    }
    Ok(cx)
}

/// Runs on a thread of its own, which an end of the command does not wait for.
async fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (answer, coming) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _ = answer.send(work());
    });
    thread.map_err(Error::system("start a thread"))?;
    coming.await.unwrap_or_else(|_| Err(Error::refused(format!("the {name} ended without a word"))))
}

fn names(work: &BTreeMap<String, Work>, which: impl Fn(&Work) -> bool) -> Vec<String> {
    work.iter().filter(|(_, work)| which(work)).map(|(service, _)| service.clone()).collect()
}

/// As docker compose prints a list: `["db" "web"]`.
fn quoted(services: &[String]) -> String {
    let quoted: Vec<String> = services.iter().map(|service| format!("\"{service}\"")).collect();
    format!("[{}]", quoted.join(" "))
}
