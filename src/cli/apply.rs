//! Asks the supervisor to carry an intent out, and shows how it goes.

use super::{
    client::{self, ClientError, Lines},
    context::Context,
    exit::{Code, Error, Outcome},
    output::{
        Writer,
        progress::{Mode, Names, Progress},
    },
    supervisor,
};
use crate::{
    api::{self, Apply},
    plan::Plan,
    state::Layout,
};
use std::{collections::BTreeMap, io::Write, time::Duration};
use tokio::{
    runtime::Runtime,
    signal,
    time::{Instant, MissedTickBehavior, interval},
};

/// A supervisor that goes down refuses, and the next one takes the request; so many times.
const ATTEMPTS: usize = 3;
/// Of the redrawn clocks.
const FRAME: Duration = Duration::from_millis(100);

/// An intent on its way to a project.
pub struct Order {
    pub project: String,
    pub apply: Apply,
    pub mode: Mode,
    /// `--quiet-pull`
    pub quiet_pull: bool,
}

impl Order {
    pub fn progress(&self) -> Progress {
        let names = Names::of(self.apply.project.as_ref());
        Progress::new(self.mode, names, self.quiet_pull)
    }
}

/// Where the supervisor is, and what it may know of us.
pub struct Door {
    pub layout: Layout,
    pub project: String,
    pub environment: BTreeMap<String, String>,
}

impl Door {
    pub fn new(cx: &Context, project: &str) -> Self {
        Self { layout: cx.layout.clone(), project: project.to_owned(), environment: cx.env.variables.clone() }
    }

    /// The events of the apply as they come.
    pub async fn apply(&self, apply: &Apply, note: &mut dyn FnMut(String)) -> Result<Lines<api::Progress>, Error> {
        Ok(Lines::new(self.post("/v1/apply", apply, note).await?))
    }

    pub async fn plan(&self, apply: &Apply, note: &mut dyn FnMut(String)) -> Result<Plan, Error> {
        let response = self.post("/v1/plan", apply, note).await?;
        client::value(response).await.map_err(|error| self.error(error))
    }

    async fn post(
        &self,
        path: &str,
        apply: &Apply,
        note: &mut dyn FnMut(String),
    ) -> Result<hyper::Response<hyper::body::Incoming>, Error> {
        let mut attempt = 1;
        loop {
            let stream = supervisor::connect(&self.layout, &self.project, &self.environment, note).await?;
            match client::post(stream, path, apply).await {
                Err(ClientError::GoneBefore) if attempt < ATTEMPTS => attempt += 1,
                result => return result.map_err(|error| self.error(error)),
            }
        }
    }

    pub fn error(&self, error: ClientError) -> Error {
        match error {
            ClientError::Refused(failure) => Error::Failed(failure),
            error => Error::Supervisor {
                verb: "talk to",
                project: self.project.clone(),
                why: error.to_string(),
                hint: Some(format!(
                    "run the command again; the supervisor's log is {}",
                    self.layout.supervisor_log(&self.project).display()
                )),
            },
        }
    }
}

/// One thread, made only by verbs that talk to a supervisor or a registry.
pub fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::system("start the runtime"))
}

/// Carries `order` out to its end. An interrupt leaves: what was asked goes on.
pub fn carry_out(cx: &mut Context, order: Order) -> Outcome {
    let door = Door::new(cx, &order.project);
    let mut progress = order.progress();
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        tokio::select! {
            result = follow(cx, &door, &order.apply, &mut progress) => result.map(|()| true),
            interrupted = interrupted() => interrupted.map(|()| false),
        }
    })?;
    if !ended {
        cx.note(&format!("interrupted; what was begun in project {} goes on", order.project))?;
        return Err(Error::Interrupted);
    }
    if progress.finish(&mut cx.err)? { Ok(Code::SUCCESS) } else { Err(Error::Reported) }
}

async fn follow(cx: &mut Context, door: &Door, apply: &Apply, progress: &mut Progress) -> Result<(), Error> {
    let err = &mut cx.err;
    let mut lines = door.apply(apply, &mut |note| tell(err, &note)).await?;
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !progress.is_done() {
        tokio::select! {
            event = lines.next() => {
                let event = event.map_err(|error| door.error(error))?;
                let event = event.ok_or_else(|| door.error(ClientError::GoneAmid))?;
                progress.take(&event, Instant::now().into_std(), err)?;
            }
            _ = frames.tick(), if progress.is_animated() => progress.tick(Instant::now().into_std(), err)?,
        }
    }
    Ok(())
}

/// A remark on the way; whether it can be written decides nothing.
pub fn tell(err: &mut Writer, note: &str) {
    let _ = writeln!(err, "{note}");
}

/// Returns when the person or the system asks this command to end.
pub async fn interrupted() -> Result<(), Error> {
    let mut terminate =
        signal::unix::signal(signal::unix::SignalKind::terminate()).map_err(Error::system("wait for signals"))?;
    tokio::select! {
        result = signal::ctrl_c() => result.map_err(Error::system("wait for signals")),
        _ = terminate.recv() => Ok(()),
    }
}
