//! Images that the command line itself brings onto this host or sends away, several at a time, shown like a plan's
//! execution.

use super::{
    apply::{self, interrupted},
    context::Context,
    exit::Error,
    output::progress::{Mode, Names, Progress},
};
use crate::{
    api::{self, Failure},
    image::{self, Credentials, ImageError, Reference, Report, Store},
    model::PullPolicy,
    plan::{Cause, Op, Plan},
};
use futures_util::{StreamExt, stream};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::Instant,
};

/// Between two frames of a drawn progress.
const FRAME: Duration = Duration::from_millis(100);

/// One image to have.
pub struct Wanted {
    /// As in the file.
    pub name: String,
    pub policy: PullPolicy,
    /// `linux/arm64`, where it is not this host's.
    pub platform: Option<String>,
}

/// Brings all; answers what failed. Each failure was shown, unless `ignore` says that failures do not matter.
pub fn pull(cx: &mut Context, wanted: &[Wanted], mode: Mode, parallel: Option<u32>) -> Result<Vec<String>, Error> {
    let op = |image: &Wanted| Op::PullImage { image: image.name.clone(), policy: image.policy };
    let platforms: Vec<Option<String>> = wanted.iter().map(|image| image.platform.clone()).collect();
    transfer(cx, "pull", wanted.iter().map(op).collect(), &platforms, mode, parallel)
}

/// Sends all to the registries in their names; answers what failed.
pub fn push(cx: &mut Context, images: &[String], mode: Mode, parallel: Option<u32>) -> Result<Vec<String>, Error> {
    let op = |image: &String| Op::PushImage { image: image.clone() };
    transfer(cx, "push", images.iter().map(op).collect(), &[], mode, parallel)
}

fn transfer(
    cx: &mut Context,
    verb: &str,
    ops: Vec<Op>,
    platforms: &[Option<String>],
    mode: Mode,
    parallel: Option<u32>,
) -> Result<Vec<String>, Error> {
    let store = Store::open(&cx.layout)?;
    let credentials = cx.credentials();
    let (events, coming) = announced(verb, &ops);
    let limit = parallel.map_or(ops.len().max(1), |limit| limit as usize);
    let work = stream::iter(ops.iter().enumerate())
        .map(|(id, op)| {
            let platform = platforms.get(id).and_then(Option::as_deref);
            one(&store, op, id, platform, &credentials, events.clone())
        })
        .buffer_unordered(limit)
        .filter_map(async |failed| failed)
        .collect::<Vec<String>>();
    shown(cx, mode, coming, work)
}

/// Images of one file, shown while they are taken in: how far they are is told to the report that `work` is given.
pub fn load<T, E, F>(cx: &mut Context, file: &str, mode: Mode, work: impl FnOnce(Report) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, E>>,
    Error: From<E>,
{
    let (events, coming) = announced("load", &[Op::LoadImage { image: file.to_owned() }]);
    let work = async move {
        let began = Instant::now();
        let _ = events.send(api::Progress::Began { op: 0 });
        let result = work(report(0, events.clone())).await;
        // What is wrong is the command's own last word.
        if result.is_ok() {
            let milliseconds = began.elapsed().as_millis() as u64;
            let _ = events.send(api::Progress::Finished { op: 0, milliseconds, detail: None });
        }
        result
    };
    Ok(shown(cx, mode, coming, work)??)
}

type Coming = UnboundedReceiver<api::Progress>;

fn announced(verb: &str, ops: &[Op]) -> (UnboundedSender<api::Progress>, Coming) {
    let mut plan = Plan { verb: verb.into(), ..Plan::default() };
    for op in ops {
        plan.push(op.clone(), Cause::default(), Vec::new());
    }
    let (events, coming) = unbounded_channel();
    let _ = events.send(api::Progress::Plan { plan });
    (events, coming)
}

/// What `work` gives, with what it tells meanwhile on the screen.
fn shown<T>(cx: &mut Context, mode: Mode, mut coming: Coming, work: impl Future<Output = T>) -> Result<T, Error> {
    let mut progress = Progress::new(mode, Names::default(), false);
    let err = &mut cx.err;
    let done = apply::runtime()?.block_on(async {
        tokio::pin!(work);
        let mut clock = tokio::time::interval(FRAME);
        loop {
            tokio::select! {
                biased;
                result = interrupted() => {
                    result?;
                    return Err(Error::Interrupted);
                }
                Some(event) = coming.recv() => progress.take(&event, Instant::now().into_std(), err)?,
                done = &mut work => return Ok(done),
                _ = clock.tick(), if progress.is_animated() => progress.tick(Instant::now().into_std(), err)?,
            }
        }
    })?;
    while let Ok(event) = coming.try_recv() {
        progress.take(&event, Instant::now().into_std(), err)?;
    }
    progress.finish(err)?;
    Ok(done)
}

/// The name of the image, if its transfer failed.
async fn one(
    store: &Store,
    op: &Op,
    id: usize,
    platform: Option<&str>,
    credentials: &Credentials,
    events: UnboundedSender<api::Progress>,
) -> Option<String> {
    let began = Instant::now();
    let _ = events.send(api::Progress::Began { op: id });
    let report = report(id, events.clone());
    let result = match (Reference::parse(op.object()), op) {
        (Err(error), _) => Err(ImageError::from(error)),
        (Ok(reference), Op::PullImage { policy, .. }) => match platform {
            Some(platform) => image::ensure_for(store, &reference, platform, *policy, credentials, report).await,
            None => image::ensure(store, &reference, *policy, credentials, report).await,
        }
        .map(|_| None),
        (Ok(reference), _) => image::push(store, &reference, credentials, report)
            .await
            .map(|pushed| Some(format!("digest: {} size: {}", pushed.digest, pushed.size))),
    };
    let (event, failed) = match result {
        Ok(detail) => {
            let milliseconds = began.elapsed().as_millis() as u64;
            (api::Progress::Finished { op: id, milliseconds, detail }, None)
        }
        Err(error) => {
            let error = Failure { message: error.to_string(), ..Failure::default() };
            (api::Progress::OpFailed { op: id, error }, Some(op.object().to_owned()))
        }
    };
    let _ = events.send(event);
    failed
}

/// Everything about one image as one line.
pub fn report(op: usize, events: UnboundedSender<api::Progress>) -> Report {
    let tally: Mutex<image::progress::Tally> = Mutex::default();
    Arc::new(move |news| {
        let Ok(mut tally) = tally.lock() else { return };
        let Some(image::progress::Line { text, current, total }) = tally.take(&news) else { return };
        let _ = events.send(api::Progress::Step { op, text, current, total });
    })
}
