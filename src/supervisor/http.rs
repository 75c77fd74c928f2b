//! The control socket: HTTP/1.1 and JSON over a Unix socket. It translates, and decides nothing.

use super::inbox::{Inbox, Input};
use crate::api::{Apply, Event, Failure, Progress};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use std::convert::Infallible;
use tokio::{
    net::UnixListener,
    sync::{broadcast, mpsc, oneshot, watch},
};

/// The largest model that is taken: some 10,000 services.
const MAX_BODY: usize = 64 << 20;

/// What the handlers need.
#[derive(Clone)]
pub struct Service {
    pub inbox: Inbox,
    pub events: broadcast::Sender<Event>,
    /// Becomes true when the supervisor leaves.
    pub leaving: watch::Receiver<bool>,
}

pub fn router(service: Service) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/containers", get(containers))
        .route("/v1/plan", post(plan))
        .route("/v1/apply", post(apply))
        .route("/v1/events", get(events))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "there is no such thing here; see `/v1/status`"))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(service)
}

async fn status(State(service): State<Service>) -> Response {
    answer(ask(&service, Input::Status).await)
}

async fn containers(State(service): State<Service>) -> Response {
    answer(ask(&service, Input::Containers).await)
}

async fn plan(State(service): State<Service>, Json(apply): Json<Apply>) -> Response {
    match ask(&service, |done| Input::Plan { apply: Box::new(apply), done }).await {
        Some(Ok(plan)) => Json(plan).into_response(),
        Some(Err(failure)) => (StatusCode::UNPROCESSABLE_ENTITY, Json(failure)).into_response(),
        None => going_down(),
    }
}

/// The progress of a plan, a line each. A client that goes away does not stop it.
async fn apply(State(service): State<Service>, Json(apply): Json<Apply>) -> Response {
    let (progress, lines) = mpsc::unbounded_channel::<Progress>();
    if service.inbox.send(Input::Apply { apply: Box::new(apply), progress }).is_err() {
        return going_down();
    }
    let lines = stream::unfold(lines, |mut lines| async move { Some((line(&lines.recv().await?), lines)) });
    ndjson(lines)
}

async fn events(State(service): State<Service>) -> Response {
    let sources = (service.events.subscribe(), service.leaving.clone());
    let lines = stream::unfold(sources, |(mut events, mut leaving)| async move {
        loop {
            tokio::select! {
                // What happened is told before the end.
                biased;
                event = events.recv() => match event {
                    Ok(event) => return Some((line(&event), (events, leaving))),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                () = async { drop(leaving.wait_for(|leaving| *leaving).await) } => return None,
            }
        }
    });
    ndjson(lines)
}

async fn ask<T>(service: &Service, input: impl FnOnce(oneshot::Sender<T>) -> Input) -> Option<T> {
    let (done, reply) = oneshot::channel();
    service.inbox.send(input(done)).ok()?;
    reply.await.ok()
}

fn answer<T: Serialize>(reply: Option<T>) -> Response {
    reply.map_or_else(going_down, |reply| Json(reply).into_response())
}

fn going_down() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "the supervisor is going down; ask again")
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(Failure { message: message.to_owned(), ..Failure::default() })).into_response()
}

fn line<T: Serialize>(value: &T) -> Result<Bytes, Infallible> {
    // The words of `api` have string keys only: they always serialize.
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    Ok(Bytes::from(text))
}

fn ndjson(lines: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

/// Until the supervisor leaves; then those that are being answered get the rest, and no new ones.
pub async fn serve(listener: UnixListener, service: Service) {
    let mut leaving = service.leaving.clone();
    let left = async move {
        // The sender gone means the same.
        let _ = leaving.wait_for(|leaving| *leaving).await;
    };
    // It only ends by `left`: an accept that fails is retried inside.
    let _ = axum::serve(listener, router(service)).with_graceful_shutdown(left).await;
}
