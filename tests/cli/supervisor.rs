//! A supervisor that does what a test says, on the socket where the real one would be.

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use muster::{
    api::{Apply, Failure, Progress},
    plan::Plan,
    state::Layout,
};
use std::{
    fs,
    sync::{Arc, Mutex, mpsc},
};

/// What an apply is answered with.
pub enum Answer {
    /// These lines; then the stream ends.
    Lines(Vec<Progress>),
    /// Refused.
    Refuse(StatusCode, Failure),
}

type Act = dyn Fn(&Apply) -> Answer + Send + Sync;

#[derive(Clone)]
struct Script {
    act: Arc<Act>,
    plan: Plan,
    heard: Arc<Mutex<Vec<Apply>>>,
}

/// Serves until the test ends.
pub struct Supervisor {
    heard: Arc<Mutex<Vec<Apply>>>,
}

impl Supervisor {
    pub fn start(layout: &Layout, act: impl Fn(&Apply) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_plan(layout, Plan::default(), act)
    }

    pub fn with_plan(layout: &Layout, plan: Plan, act: impl Fn(&Apply) -> Answer + Send + Sync + 'static) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let script = Script { act: Arc::new(act), plan, heard: heard.clone() };
        let path = layout.supervisor_socket("app");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (listening, ready) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::UnixListener::bind(path).unwrap();
                listening.send(()).unwrap();
                let router =
                    Router::new().route("/v1/apply", post(apply)).route("/v1/plan", post(plan_of)).with_state(script);
                axum::serve(listener, router).await.unwrap();
            });
        });
        ready.recv().unwrap();
        Self { heard }
    }

    pub fn heard(&self) -> Vec<Apply> {
        self.heard.lock().unwrap().clone()
    }
}

async fn apply(State(script): State<Script>, Json(apply): Json<Apply>) -> Response {
    script.heard.lock().unwrap().push(apply.clone());
    match (script.act)(&apply) {
        Answer::Refuse(status, failure) => (status, Json(failure)).into_response(),
        Answer::Lines(lines) => {
            let text: String = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
            Body::from(text).into_response()
        }
    }
}

async fn plan_of(State(script): State<Script>, Json(apply): Json<Apply>) -> Response {
    script.heard.lock().unwrap().push(apply);
    Json(script.plan).into_response()
}
