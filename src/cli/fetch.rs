//! Images that the command line itself brings onto this host, several at a time, shown like a plan's execution.

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
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::Instant,
};

/// One image to have.
pub struct Wanted {
    /// As in the file.
    pub name: String,
    pub policy: PullPolicy,
}

/// Brings all; answers what failed. Each failure was shown, unless `ignore` says that failures do not matter.
pub fn pull(cx: &mut Context, wanted: &[Wanted], mode: Mode, parallel: Option<u32>) -> Result<Vec<String>, Error> {
    let store = Store::open(&cx.layout)?;
    let credentials =
        Credentials::from_docker_config(cx.env.docker_config().map(|dir| dir.join("config.json")).as_deref());
    let mut plan = Plan { verb: "pull".into(), ..Plan::default() };
    for image in wanted {
        plan.push(Op::PullImage { image: image.name.clone(), policy: image.policy }, Cause::default(), Vec::new());
    }
    let (events, mut coming) = unbounded_channel();
    let _ = events.send(api::Progress::Plan { plan });
    let limit = parallel.map_or(wanted.len().max(1), |limit| limit as usize);
    let work = stream::iter(wanted.iter().enumerate())
        .map(|(op, image)| one(&store, image, op, &credentials, events.clone()))
        .buffer_unordered(limit)
        .filter_map(async |failed| failed)
        .collect::<Vec<String>>();
    let mut progress = Progress::new(mode, Names::default(), false);
    let err = &mut cx.err;
    let failed = apply::runtime()?.block_on(async {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                Some(event) = coming.recv() => progress.take(&event, Instant::now().into_std(), err)?,
                failed = &mut work => return Ok(failed),
                result = interrupted() => {
                    result?;
                    return Err(Error::Interrupted);
                }
            }
        }
    })?;
    while let Ok(event) = coming.try_recv() {
        progress.take(&event, Instant::now().into_std(), err)?;
    }
    progress.finish(err)?;
    Ok(failed)
}

/// The name of the image, if it could not be had.
async fn one(
    store: &Store,
    image: &Wanted,
    op: usize,
    credentials: &Credentials,
    events: UnboundedSender<api::Progress>,
) -> Option<String> {
    let began = Instant::now();
    let _ = events.send(api::Progress::Began { op });
    let result = match Reference::parse(&image.name) {
        Ok(reference) => image::ensure(store, &reference, image.policy, credentials, report(op, events.clone())).await,
        Err(error) => Err(ImageError::from(error)),
    };
    let (event, failed) = match result {
        Ok(_) => {
            let milliseconds = began.elapsed().as_millis() as u64;
            (api::Progress::Finished { op, milliseconds, detail: None }, None)
        }
        Err(error) => {
            let error = Failure { message: error.to_string(), ..Failure::default() };
            (api::Progress::OpFailed { op, error }, Some(image.name.clone()))
        }
    };
    let _ = events.send(event);
    failed
}

/// The bytes of all layers of one image as one number.
pub fn report(op: usize, events: UnboundedSender<api::Progress>) -> Report {
    let layers: Mutex<HashMap<image::Digest, (u64, u64)>> = Mutex::default();
    Arc::new(move |news| {
        let step = match news {
            image::Progress::Fetched { layer, bytes, total } | image::Progress::Pushed { layer, bytes, total } => {
                let Ok(mut layers) = layers.lock() else { return };
                layers.insert(layer, (bytes, total));
                let (current, all) = layers.values().fold((0, 0), |(a, b), (bytes, total)| (a + bytes, b + total));
                api::Progress::Step {
                    op,
                    text: String::new(),
                    current: Some(current),
                    total: Some(all).filter(|n| *n > 0),
                }
            }
            image::Progress::Retrying { what, why, wait } => {
                let text = format!("{what}: {why}; again in {:.1} s", wait.as_secs_f64());
                api::Progress::Step { op, text, current: None, total: None }
            }
            image::Progress::Resolving
            | image::Progress::Started { .. }
            | image::Progress::Exists { .. }
            | image::Progress::Mounted { .. }
            | image::Progress::Unpacked { .. } => return,
        };
        let _ = events.send(step);
    })
}
