//! `up` in the foreground: the plan's progress, then the logs, until everything has ended or somebody says stop.
//!
//! ```text
//! applying --done--> watching --all ended--------------------------> 0
//!    |                  |--a container ended, --abort-on... --> stopping --> its exit code
//!    '---- Ctrl-C ------'----------------------------------> stopping --> 130
//!                                            again Ctrl-C:  killing,  again: leaves
//! ```
//!
//! Ends are read from the containers' records, not from the supervisor: this goes on while a supervisor is replaced.

use super::{
    apply::{self, Door, Order, tell},
    client::{ClientError, Lines},
    context::Context,
    exit::{Code, Error, Outcome},
    logs::{
        follow::{Ended, Follower, Role, Subject},
        printer::{Printer, Style},
        window::{self, Window},
    },
    output::progress::Progress,
    watch::{News, Watch},
};
use crate::{
    api::{self, Apply},
    model::{ContainerId, Project, intent::Intent},
    plan::Op,
};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    io::{self, Write},
    os::fd::OwnedFd,
    pin::Pin,
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::UnboundedReceiver,
    time::{Instant, MissedTickBehavior, interval},
};

const FRAME: Duration = Duration::from_millis(100);

pub struct Attached {
    pub order: Order,
    /// Services whose lines are printed.
    pub shown: BTreeSet<String>,
    pub abort: Abort,
    pub style: Style,
    /// Grace of the stop, over the services' own.
    pub timeout: Option<Duration>,
    /// Begins when all has started, and ends with the first stop.
    pub watch: Option<Watching>,
}

/// A watch, and what it tells.
pub type Watching = (Watch, UnboundedReceiver<News>);

/// When one container's end ends all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abort {
    pub on_exit: bool,
    pub on_failure: bool,
    /// `--exit-code-from`: whose first exit code is the command's.
    pub code_from: Option<String>,
}

impl Abort {
    fn is_triggered_by(&self, ended: &Ended) -> bool {
        !ended.restarting && (self.on_exit || self.on_failure && ended.exit.code != 0)
    }

    /// Whether this end decides the command's exit code; `known` is the code so far.
    fn code(&self, ended: &Ended, known: Option<i32>) -> Option<i32> {
        match &self.code_from {
            None => known.or(Some(ended.exit.code)),
            Some(service) if *service == ended.service => known.or(Some(ended.exit.code)),
            Some(_) => known,
        }
    }
}

/// Why all is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Interrupt,
    Abort,
}

enum Phase {
    Applying(Lines<api::Progress>),
    Watching,
    /// Stop or kill is under way.
    Stopping(Lines<api::Progress>, Why),
}

/// What follows files meanwhile, where it is asked for.
type Watched = Option<Pin<Box<dyn Future<Output = Result<(), Error>>>>>;

struct Up<'a> {
    cx: &'a mut Context,
    door: Door,
    attached: Attached,
    follower: Follower,
    progress: Progress,
    phase: Phase,
    is_printing: bool,
    interrupts: u32,
    code: Option<i32>,
    started: Vec<String>,
    /// Containers that the plan stops, to start them again perhaps: their end is no news while it goes on.
    stopped: BTreeSet<ContainerId>,
    watching: Watched,
    news: Option<UnboundedReceiver<News>>,
    /// The watch restarts or replaces containers: their ends are its own.
    refreshing: bool,
}

pub fn run(cx: &mut Context, attached: Attached) -> Outcome {
    apply::runtime()?.block_on(async {
        let door = Door::new(cx, &attached.order.project);
        let follower = follower(cx, &attached)?;
        let readiness = follower.readiness()?;
        let mut signals = Signals::new()?;
        let lines = {
            let err = &mut cx.err;
            let mut note = |text: String| tell(err, &text);
            tokio::select! {
                lines = door.apply(&attached.order.apply, &mut note) => lines?,
                () = signals.next() => return Err(Error::Interrupted),
            }
        };
        let progress = attached.order.progress();
        let up = Up {
            cx,
            door,
            attached,
            follower,
            progress,
            phase: Phase::Applying(lines),
            is_printing: false,
            interrupts: 0,
            code: None,
            started: Vec::new(),
            stopped: BTreeSet::new(),
            watching: None,
            news: None,
            refreshing: false,
        };
        up.run(readiness, signals).await
    })
}

/// From now on: what containers wrote before is a matter of `logs`.
fn follower(cx: &Context, attached: &Attached) -> Result<Follower, Error> {
    let services: BTreeSet<String> =
        attached.order.apply.project.as_ref().map(|p| p.services.keys().cloned().collect()).unwrap_or_default();
    let shown = attached.shown.clone();
    let subject = Subject {
        project: &attached.order.project,
        roles: Box::new(move |record| match &record.service {
            _ if record.oneoff => Role::Other,
            service if shown.contains(service) => Role::Shown,
            service if services.contains(service) => Role::Watched,
            _ => Role::Other,
        }),
        window: Window { since: Some(window::stamp(Timestamp::now())), until: None },
        tail: Some(0),
        follow: true,
    };
    Follower::new(&cx.layout, subject, Printer::new(attached.style))
}

impl Up<'_> {
    async fn run(mut self, readiness: Option<OwnedFd>, mut signals: Signals) -> Outcome {
        let readiness = readiness.map(watched).transpose().map_err(Error::system("watch logs"))?;
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let animated = self.progress.is_animated() && !matches!(self.phase, Phase::Watching);
            tokio::select! {
                event = next(&mut self.phase) => {
                    let event = event.map_err(|error| self.door.error(error))?;
                    let event = event.ok_or_else(|| self.door.error(ClientError::GoneAmid))?;
                    if let Some(code) = self.hear(&event)? {
                        return code;
                    }
                }
                ready = readable(readiness.as_ref()), if self.is_printing => ready?,
                _ = frames.tick(), if animated => self.progress.tick(Instant::now().into_std(), &mut self.cx.err)?,
                ended = watch_ended(&mut self.watching) => {
                    self.watching = None;
                    if let Err(error) = ended {
                        self.cx.warn(&format!("Watch disabled with errors: {error}"))?;
                    }
                }
                Some(news) = next_news(&mut self.news) => self.take_news(news).await?,
                () = signals.next() => self.interrupt().await?,
            }
            if self.is_printing
                && let Some(code) = self.print().await?
            {
                return Ok(code);
            }
        }
    }

    /// An event of the plan that is being carried out; an outcome when that was the last of all.
    fn hear(&mut self, event: &api::Progress) -> Result<Option<Outcome>, Error> {
        if let (api::Progress::Plan { plan }, Phase::Applying(_)) = (event, &self.phase) {
            let ops = plan.ops.iter().map(|planned| &planned.op);
            self.follower.ignore(ops.clone().filter_map(replaced));
            self.stopped = ops.clone().filter_map(stopped).collect();
            self.started = ops.filter_map(|op| started(op, &self.attached.shown)).collect();
        }
        self.progress.take(event, Instant::now().into_std(), &mut self.cx.err)?;
        if !self.is_printing && self.progress.has_started_any() {
            self.begin_printing()?;
        }
        if !self.progress.is_done() {
            return Ok(None);
        }
        let succeeded = self.progress.finish(&mut self.cx.err)?;
        match std::mem::replace(&mut self.phase, Phase::Watching) {
            Phase::Stopping(_, why) => {
                self.print_rest()?;
                Ok(Some(self.end(why, succeeded)))
            }
            _ if !succeeded => {
                self.print_rest()?;
                Ok(Some(Err(Error::Reported)))
            }
            _ => {
                self.begin_printing()?;
                if let Some((watch, news)) = self.attached.watch.take() {
                    self.watching = Some(Box::pin(watch.run()));
                    self.news = Some(news);
                }
                Ok(None)
            }
        }
    }

    async fn take_news(&mut self, news: News) -> Result<(), Error> {
        let Up { cx, follower, .. } = self;
        match news {
            News::Line(text) => follower.mark(&text, &mut cx.out)?,
            News::Output(line) => {
                cx.out.write_all(&line)?;
                cx.out.write_all(b"\n")?;
                cx.out.flush()?;
            }
            News::Fault(text) => cx.warn(&text)?,
            News::Plan(plan) => {
                let ops = plan.ops.iter().map(|planned| &planned.op);
                follower.ignore(ops.clone().filter_map(replaced));
                self.stopped.extend(ops.filter_map(stopped));
            }
            News::Began => {
                self.refreshing = true;
                self.stopped.clear();
            }
            News::Over => {
                // What ended for it is taken note of before other ends count again.
                self.print().await?;
                self.refreshing = false;
            }
        }
        Ok(())
    }

    fn begin_printing(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.is_printing, true) {
            return Ok(());
        }
        self.progress.stop_redrawing();
        let prefix = format!("{}-", self.attached.order.project);
        let started = self.started.iter().map(|name| name.strip_prefix(&prefix).unwrap_or(name).to_owned());
        let names: BTreeSet<String> = self.follower.names().into_iter().chain(started).collect();
        if !names.is_empty() {
            let names: Vec<String> = names.into_iter().collect();
            self.cx.note(&format!("Attaching to {}", names.join(", ")))?;
        }
        Ok(())
    }

    /// Prints what has come; a code when all has ended.
    async fn print(&mut self) -> Result<Option<Code>, Error> {
        let ended = self.follower.step(&mut self.cx.out, &mut self.cx.err)?;
        let mut abort = false;
        let applying = matches!(self.phase, Phase::Applying(_)) || self.refreshing;
        for ended in ended.iter().filter(|ended| !applying || !self.stopped.contains(&ended.id)) {
            self.follower.tell(ended, &mut self.cx.out)?;
            let triggers = self.attached.abort.is_triggered_by(ended);
            if triggers || matches!(self.phase, Phase::Stopping(_, Why::Abort)) {
                self.code = self.attached.abort.code(ended, self.code);
            }
            abort |= triggers;
        }
        if abort && !matches!(self.phase, Phase::Stopping(..)) {
            self.cx.note("Aborting on container exit...")?;
            self.stop(Why::Abort).await?;
            return Ok(None);
        }
        let over = matches!(self.phase, Phase::Watching) && !self.refreshing && !self.follower.is_any_up();
        Ok(over.then_some(Code::SUCCESS))
    }

    fn print_rest(&mut self) -> Result<(), Error> {
        let Up { cx, follower, .. } = self;
        for ended in follower.step(&mut cx.out, &mut cx.err)? {
            follower.tell(&ended, &mut cx.out)?;
            if matches!(self.attached.abort.code_from.as_ref(), Some(service) if *service == ended.service) {
                self.code = self.attached.abort.code(&ended, self.code);
            }
        }
        follower.finish(&mut cx.out, &mut cx.err)
    }

    fn end(&self, why: Why, succeeded: bool) -> Outcome {
        match why {
            Why::Interrupt => Err(Error::Interrupted),
            Why::Abort if !succeeded => Err(Error::Reported),
            Why::Abort => Ok(Code::of_process(self.code.unwrap_or(0))),
        }
    }

    /// First a stop, then a kill, then the command leaves it to the supervisor.
    async fn interrupt(&mut self) -> Result<(), Error> {
        self.interrupts += 1;
        match self.interrupts {
            1 => {
                self.cx.note("Gracefully Stopping... press Ctrl+C again to force")?;
                self.stop(Why::Interrupt).await
            }
            2 => {
                self.ask(
                    Intent::Kill { services: self.services(), signal: libc::SIGKILL, remove_orphans: false },
                    Why::Interrupt,
                )
                .await
            }
            _ => Err(Error::Interrupted),
        }
    }

    async fn stop(&mut self, why: Why) -> Result<(), Error> {
        let intent = Intent::Stop { services: self.services(), timeout: self.attached.timeout };
        self.ask(intent, why).await
    }

    /// All that `up` was asked for, dependencies included.
    fn services(&self) -> Vec<String> {
        self.attached.order.apply.project.as_ref().map(up_services(&self.attached.order.apply)).unwrap_or_default()
    }

    async fn ask(&mut self, intent: Intent, why: Why) -> Result<(), Error> {
        (self.watching, self.news, self.refreshing) = (None, None, false);
        let apply = Apply { intent, wait: None, docker_config: None, ..self.attached.order.apply.clone() };
        let err = &mut self.cx.err;
        let lines = self.door.apply(&apply, &mut |text| tell(err, &text)).await?;
        let mut progress = self.attached.order.progress();
        progress.stop_redrawing();
        self.progress = progress;
        self.is_printing = true;
        self.phase = Phase::Stopping(lines, why);
        Ok(())
    }
}

fn up_services(apply: &Apply) -> impl Fn(&Project) -> Vec<String> {
    let named = match &apply.intent {
        Intent::Up(up) => up.services.clone(),
        _ => Vec::new(),
    };
    move |project| {
        let mut found: BTreeSet<String> = BTreeSet::new();
        let mut open = named.clone();
        while let Some(name) = open.pop() {
            if let Some(service) = project.services.get(&name)
                && found.insert(name)
            {
                open.extend(service.depends_on.keys().cloned());
            }
        }
        found.into_iter().collect()
    }
}

/// A container whose end belongs to the plan.
fn replaced(op: &Op) -> Option<ContainerId> {
    match op {
        Op::RemoveContainer { id, .. } => Some(id.clone()),
        _ => None,
    }
}

fn stopped(op: &Op) -> Option<ContainerId> {
    match op {
        Op::StopContainer { id, .. } | Op::KillContainer { id, .. } => Some(id.clone()),
        _ => None,
    }
}

fn started(op: &Op, shown: &BTreeSet<String>) -> Option<String> {
    match op {
        Op::StartContainer { slot, name, .. } if shown.contains(&slot.service) => Some(name.clone()),
        _ => None,
    }
}

async fn next(phase: &mut Phase) -> Result<Option<api::Progress>, ClientError> {
    match phase {
        Phase::Applying(lines) | Phase::Stopping(lines, _) => lines.next().await,
        Phase::Watching => std::future::pending().await,
    }
}

async fn watch_ended(watching: &mut Watched) -> Result<(), Error> {
    match watching {
        Some(watching) => watching.await,
        None => std::future::pending().await,
    }
}

async fn next_news(news: &mut Option<UnboundedReceiver<News>>) -> Option<News> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

/// The reactor's view of a descriptor.
#[expect(deprecated, reason = "its successor is unsafe; an OwnedFd keeps its descriptor, which is what that asks for")]
pub fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// Edge by edge: `step` reads all that there is.
async fn readable(fd: Option<&AsyncFd<OwnedFd>>) -> Result<(), Error> {
    match fd {
        Some(fd) => {
            fd.readable().await.map_err(Error::system("watch logs"))?.clear_ready();
            Ok(())
        }
        None => std::future::pending().await,
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let of = |kind| signal(kind).map_err(Error::system("wait for signals"));
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
