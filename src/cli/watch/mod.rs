//! `watch` and `up --watch`: files change on the host, and the services follow.
//!
//! ```text
//! files    inotify -> what came, went or changed
//! batch    changes that belong together: quiet for 100 ms, at the latest after 1 s     (pure)
//! rules    changed files -> work, by service                                           (pure)
//! act      work: build, copy, restart, run; by the supervisor and `transfer`
//! ```
//!
//! Files are heard all the time; one batch is carried out at a time. What goes wrong in one is told, and the watch goes
//! on. What the files say at the start counts: neither they nor ignore files are read again.

mod act;
mod batch;
mod exec;
mod files;
mod rules;

use super::{attached::watched, build, containers, context::Context, exit::Error, verbs::up::with_dependencies};
use crate::{
    model::{Project, Service},
    plan::Plan,
};
use act::Actor;
use batch::Batch;
use files::Files;
use rules::Rules;
use std::{
    collections::BTreeSet,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    rc::Rc,
    time::Instant,
};
use tokio::{
    io::unix::AsyncFd,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// What a watch is to do besides what the files say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Services, watched with those that they need; all without any.
    pub services: Vec<String>,
    /// Show nothing of builds.
    pub quiet: bool,
    /// Drop the images that a rebuild leaves without a name.
    pub prune: bool,
    /// `--parallel`
    pub parallel: Option<u32>,
}

/// What a watch has to tell while it goes on.
#[derive(Debug)]
pub enum News {
    /// A line of its own.
    Line(String),
    Fault(String),
    /// A line that a command of `sync+exec` wrote.
    Output(Vec<u8>),
    /// What the supervisor is going to do for it.
    Plan(Box<Plan>),
    /// A batch begins; ends of containers belong to it until it is over.
    Began,
    Over,
}

/// A watch whose rules are known to be right.
pub struct Watch {
    rules: Rc<Rules>,
    actor: Actor,
    news: UnboundedSender<News>,
}

impl Watch {
    /// Reads the rules; nothing is watched before `run`.
    pub fn new(cx: &Context, project: &Project, options: Options) -> Result<(Self, UnboundedReceiver<News>), Error> {
        let resolve = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        let rules = Rules::new(project, &watched_services(project, &options.services), &read, &resolve)?;
        let (news, coming) = unbounded_channel();
        for warning in &rules.warnings {
            let _ = news.send(News::Fault(warning.clone()));
        }
        let actor = Actor::new(cx, project, options, news.clone());
        Ok((Self { rules: Rc::new(rules), actor, news }, coming))
    }

    /// Watches until it is dropped. An error is one that leaves nothing to watch.
    pub async fn run(self) -> Result<(), Error> {
        let rules = self.rules.clone();
        let mut files = Files::new(rules.paths(), move |directory| rules.may_concern_below(directory))?;
        let ready: AsyncFd<OwnedFd> =
            files.as_fd().try_clone_to_owned().and_then(watched).map_err(Error::system("watch files"))?;
        self.complain(&mut files);
        self.actor.begin(self.rules.initial(files.all())).await;
        self.tell(News::Line("Watch enabled".into()));
        let mut batch = Batch::default();
        let mut acting = None;
        loop {
            let due = batch.due().filter(|_| acting.is_none());
            tokio::select! {
                ready = ready.readable() => {
                    ready.map_err(Error::system("watch files"))?.clear_ready();
                    batch.add(files.changes()?, Instant::now());
                    self.complain(&mut files);
                }
                () = sleep_until(due) => {
                    let work = self.rules.work(&batch.take());
                    acting = Some(Box::pin(self.actor.carry_out(&self.rules, work)));
                }
                () = finished(&mut acting) => acting = None,
            }
        }
    }

    fn complain(&self, files: &mut Files) {
        for place in files.complaints() {
            self.tell(News::Fault(format!("cannot watch {place}")));
        }
    }

    fn tell(&self, news: News) {
        // Nobody listens any more: then nobody wants to know.
        let _ = self.news.send(news);
    }
}

/// Builds the images of all that is watched before `watch` begins, as docker compose does.
pub fn build_first(cx: &mut Context, project: &Project, services: &[String]) -> Result<(), Error> {
    let is_built = |service: &&Service| service.build.is_some() && !service.develop.is_empty();
    let watched = watched_services(project, services);
    let built = watched.iter().filter_map(|name| project.services.get(name)).filter(is_built);
    let names: Vec<String> = built.map(|service| service.name.clone()).collect();
    if names.is_empty() { Ok(()) } else { build::images(cx, project, &names) }
}

fn watched_services(project: &Project, named: &[String]) -> BTreeSet<String> {
    match named {
        [] => project.services.keys().cloned().collect(),
        named => with_dependencies(project, named),
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn finished<F: Future<Output = ()> + Unpin>(acting: &mut Option<F>) {
    match acting {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}
