//! Carries work out: images and containers by the supervisor, files by `transfer`. What fails for one service is told,
//! and is nothing to the others.

use super::{
    News, Options, build, containers,
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
        ImageId, Project,
        intent::{Intent, Recreate, Up},
    },
    shim::wire::ShimSpec,
    state::{
        Layout, record,
        records::{ContainerRecord, Status},
    },
    transfer::{Root, TransferError},
};
use std::{collections::BTreeMap, io, path::PathBuf, thread};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

/// More files at once than anybody edits.
const LARGE: usize = 1000;

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

    async fn rebuild(&self, services: &[String]) -> bool {
        self.say(format!("Rebuilding service(s) {} after changes were detected...", quoted(services)));
        let (given, project, names) = (self.given.clone(), self.project.clone(), services.to_vec());
        let (quiet, prune) = (self.options.quiet, self.options.prune);
        let built = aside("build", move || {
            let mut cx = context(given, quiet)?;
            build::services(&mut cx, &project, &names)?;
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

    /// Copies into all containers of the service that run.
    async fn copy(&self, service: &str, copies: &[Mapping]) -> bool {
        if copies.len() > LARGE {
            self.say("Large batch of file changes detected. If you just switched branches, this is expected.".into());
        }
        self.say(format!("Syncing service \"{service}\" after {} changes were detected", copies.len()));
        let mut waiting = Vec::new();
        for record in self.running(service) {
            let (layout, copies, name) = (self.layout.clone(), copies.to_vec(), record.name.clone());
            waiting.push((name, aside("sync", move || Ok(copy_into(&layout, &record, &copies)))));
        }
        let mut good = true;
        for (name, copied) in waiting {
            let faults = copied.await.unwrap_or_else(|error| vec![error.to_string()]);
            good &= faults.is_empty();
            for fault in faults {
                self.fault(format!("cannot sync container {name}: {fault}"));
            }
        }
        good
    }

    async fn exec(&self, service: &str, hook: crate::model::Hook) {
        for record in self.running(service) {
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
    fn running(&self, service: &str) -> Vec<ContainerRecord> {
        let found = containers::list(&self.layout, Some(&self.project.name));
        for error in &found.unreadable {
            self.fault(error.to_string());
        }
        let mine = found.containers.into_iter().filter(|container| {
            container.record.service == service && !container.record.oneoff && container.is_running()
        });
        mine.map(|container| container.record).collect()
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
fn copy_into(layout: &Layout, record: &ContainerRecord, copies: &[Mapping]) -> Vec<String> {
    let open = || -> Result<_, Error> {
        let Status::Running { pid, start_time, .. } = record.status else {
            return Err(TransferError::NotRunning.into());
        };
        let root = Root::of_running(pid, start_time)?;
        let spec: Option<ShimSpec> = record::read(&layout.container_spec(&record.id))?;
        let user = spec.map(|spec| spec.container.process.user).unwrap_or_default();
        let owner = root.owner(&user)?;
        Ok((root, owner))
    };
    let (root, owner) = match open() {
        Ok(opened) => opened,
        Err(error) => return vec![error.to_string()],
    };
    let copied = copies.iter().map(|copy| match copy.source.symlink_metadata() {
        // A watched directory that went away as a whole: what was in it is gone by name, the place stays.
        Err(_) if copy.top && root.is_directory(&copy.target) => Ok(()),
        _ => root.mirror(&copy.source, &copy.target, owner).map(|_| ()),
    });
    copied.filter_map(Result::err).map(|error| error.to_string()).collect()
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
