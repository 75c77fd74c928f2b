//! What is known about a plan's execution. It shows nothing.

use super::Names;
use crate::{
    api::{self, Failure},
    model::Condition,
    plan::{Op, OpId, Plan},
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Everything about one object: its ops follow one another on the same line.
#[derive(Clone, Debug)]
pub struct Line {
    /// `Container app-web-1`
    pub title: String,
    /// `Starting`
    pub word: &'static str,
    pub state: State,
    pub began: Instant,
    /// Bytes of a pull: (done, all).
    pub bytes: Option<(u64, Option<u64>)>,
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Working,
    /// Took so long from the first op on.
    Done(Option<Duration>),
    Failed,
    Skipped,
}

/// What an event changed.
#[derive(Debug)]
pub enum News {
    /// Index into `Board::lines`.
    Line(usize),
    /// Only the bytes of that line.
    Bytes(usize),
    Warning(String),
    Notice(String),
}

#[derive(Debug)]
pub struct Board {
    names: Names,
    quiet_pull: bool,
    plan: Plan,
    pub lines: Vec<Line>,
    index: HashMap<String, usize>,
    pub failures: Vec<Failure>,
    /// `start app-web-1`
    pub skipped: Vec<String>,
    pub started_any: bool,
    pub done: bool,
}

impl Board {
    pub fn new(names: Names, quiet_pull: bool) -> Self {
        Self {
            names,
            quiet_pull,
            plan: Plan::default(),
            lines: Vec::new(),
            index: HashMap::new(),
            failures: Vec::new(),
            skipped: Vec::new(),
            started_any: false,
            done: false,
        }
    }

    pub fn take(&mut self, event: &api::Progress, now: Instant) -> Vec<News> {
        match event {
            api::Progress::Plan { plan } => self.begin(plan, now),
            api::Progress::Waiting { holder } => vec![News::Notice(format!("waiting for {holder}"))],
            api::Progress::Began { op } => {
                let Some(op) = self.op(*op) else { return Vec::new() };
                self.started_any |= matches!(op, Op::StartContainer { .. });
                self.change(&op, words(&op).0, State::Working, now)
            }
            api::Progress::Step { op, text, current, total } => self.step(*op, text, *current, *total),
            api::Progress::Finished { op, milliseconds, detail } => {
                let Some(op) = self.op(*op) else { return Vec::new() };
                let took = Some(Duration::from_millis(*milliseconds));
                let news = self.change(&op, words(&op).1, State::Done(took), now);
                if let Some(News::Line(line)) = news.first() {
                    self.lines[*line].detail.clone_from(detail);
                }
                news
            }
            api::Progress::OpFailed { op, error } => {
                self.fail(error);
                self.op(*op).map_or_else(Vec::new, |op| self.change(&op, "Error", State::Failed, now))
            }
            api::Progress::Skipped { op } => {
                let Some(op) = self.op(*op) else { return Vec::new() };
                self.skipped.push(format!("{} {}", op.verb(), op.object()));
                self.change(&op, "Skipped", State::Skipped, now)
            }
            api::Progress::Warning { text } => vec![News::Warning(text.clone())],
            api::Progress::Ready { .. } => Vec::new(),
            api::Progress::Done { error, .. } => {
                self.done = true;
                if let Some(error) = error {
                    self.fail(error);
                }
                Vec::new()
            }
        }
    }

    /// A failure is often told twice: by its op, and at the end for the whole.
    fn fail(&mut self, error: &Failure) {
        if !self.failures.iter().any(|known| known.message == error.message) {
            self.failures.push(error.clone());
        }
    }

    fn op(&self, op: OpId) -> Option<Op> {
        self.plan.ops.get(op).map(|planned| planned.op.clone())
    }

    fn begin(&mut self, plan: &Plan, now: Instant) -> Vec<News> {
        let first = self.plan.ops.is_empty() && self.lines.is_empty();
        let known = std::mem::replace(&mut self.plan, plan.clone());
        let new_warnings = plan.warnings.iter().filter(|text| !known.warnings.contains(text));
        let mut news: Vec<News> = new_warnings.map(|text| News::Warning(text.clone())).collect();
        if first && matches!(plan.verb.as_str(), "up" | "start") {
            for name in &plan.unchanged {
                news.extend(self.put(format!("Container {name}"), "Running", State::Done(None), now));
            }
        }
        news
    }

    fn step(&mut self, op: OpId, text: &str, current: Option<u64>, total: Option<u64>) -> Vec<News> {
        let Some(op) = self.op(op) else { return Vec::new() };
        if self.quiet_pull && matches!(op, Op::PullImage { .. }) {
            return Vec::new();
        }
        let Some(&line) = self.index.get(&self.names.title(&op)) else { return Vec::new() };
        let detail = Some(text.to_owned()).filter(|text| !text.is_empty());
        let told = std::mem::replace(&mut self.lines[line].detail, detail);
        if let Some(current) = current {
            self.lines[line].bytes = Some((current, total));
        }
        let same_words = told == self.lines[line].detail && current.is_some();
        vec![if same_words { News::Bytes(line) } else { News::Line(line) }]
    }

    fn change(&mut self, op: &Op, word: &'static str, state: State, now: Instant) -> Vec<News> {
        let title = self.names.title(op);
        self.put(title, word, state, now).into_iter().collect()
    }

    /// Nothing is news that the line says already: several services may await the same one.
    fn put(&mut self, title: String, word: &'static str, state: State, now: Instant) -> Option<News> {
        let Some(&index) = self.index.get(&title) else {
            self.index.insert(title.clone(), self.lines.len());
            self.lines.push(Line { title, word, state, began: now, bytes: None, detail: None });
            return Some(News::Line(self.lines.len() - 1));
        };
        let line = &mut self.lines[index];
        if line.word == word || matches!(line.state, State::Failed) && state == State::Skipped {
            return None;
        }
        (line.word, line.state, line.detail) = (word, state, None);
        if state != State::Working {
            line.bytes = None;
        }
        Some(News::Line(index))
    }
}

/// What an op is called while it goes on, and when it is done.
fn words(op: &Op) -> (&'static str, &'static str) {
    match op {
        Op::PullImage { .. } => ("Pulling", "Pulled"),
        Op::BuildImage { .. } => ("Building", "Built"),
        Op::LoadImage { .. } => ("Loading", "Loaded"),
        Op::PushImage { .. } => ("Pushing", "Pushed"),
        Op::CreateContainer { replaces: Some(_), .. } => ("Recreate", "Recreated"),
        Op::CreateNetwork { .. } | Op::CreateVolume { .. } | Op::CreateContainer { .. } => ("Creating", "Created"),
        Op::RemoveNetwork { .. } | Op::RemoveVolume { .. } | Op::RemoveImage { .. } | Op::RemoveContainer { .. } => {
            ("Removing", "Removed")
        }
        Op::StartContainer { .. } => ("Starting", "Started"),
        Op::StopContainer { .. } => ("Stopping", "Stopped"),
        Op::KillContainer { .. } => ("Killing", "Killed"),
        Op::AwaitCondition { condition, .. } => match condition {
            Condition::Started => ("Waiting", "Started"),
            Condition::Healthy => ("Waiting", "Healthy"),
            Condition::Completed => ("Waiting", "Exited"),
        },
    }
}
