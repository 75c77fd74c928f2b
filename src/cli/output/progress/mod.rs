//! What a plan's execution looks like while it goes on: lines redrawn in place, a line a change, JSON, or nothing.
//!
//! `board` holds what is known; a view shows it. Times are arguments, so that the tests need no clock.

mod board;
pub mod build;
mod canvas;
mod json;
mod plain;
mod tty;

pub use json::{Message, diagnostics, error};

use super::{Writer, failure};
use crate::{api, model::Project, plan::Op};
use board::{Board, News};
use std::{
    collections::HashMap,
    io::{self, Write},
    time::Instant,
};

/// `--progress`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    #[default]
    Auto,
    Tty,
    Plain,
    Json,
    Quiet,
}

impl Mode {
    pub fn resolve(self, terminal: bool) -> Self {
        match self {
            Self::Auto if terminal => Self::Tty,
            Self::Auto => Self::Plain,
            chosen => chosen,
        }
    }
}

/// Real names of what a plan names by its key in the model.
#[derive(Clone, Debug, Default)]
pub struct Names {
    networks: HashMap<String, String>,
    volumes: HashMap<String, String>,
}

impl Names {
    pub fn of(project: Option<&Project>) -> Self {
        let Some(project) = project else { return Self::default() };
        Self {
            networks: project.networks.iter().map(|(key, network)| (key.clone(), network.name.clone())).collect(),
            volumes: project.volumes.iter().map(|(key, volume)| (key.clone(), volume.name.clone())).collect(),
        }
    }

    /// `Container app-web-1`
    fn title(&self, op: &Op) -> String {
        let name = match op {
            Op::CreateNetwork { key } => self.networks.get(key),
            Op::CreateVolume { key } => self.volumes.get(key),
            _ => None,
        };
        format!("{} {}", op.kind(), name.map_or(op.object(), String::as_str))
    }
}

/// Follows one `api::Progress` stream on standard error.
pub struct Progress {
    mode: Mode,
    board: Board,
    tty: tty::Screen,
}

impl Progress {
    /// `mode` is resolved. With `quiet_pull` a pull is told when it begins and ends, and no more.
    pub fn new(mode: Mode, names: Names, quiet_pull: bool) -> Self {
        Self { mode, board: Board::new(names, quiet_pull), tty: tty::Screen::default() }
    }

    pub fn take(&mut self, event: &api::Progress, now: Instant, err: &mut Writer) -> io::Result<()> {
        let news = self.board.take(event, now);
        for news in news {
            self.show(&news, now, err)?;
        }
        Ok(())
    }

    fn show(&mut self, news: &News, now: Instant, err: &mut Writer) -> io::Result<()> {
        match (self.mode, news) {
            (Mode::Quiet, News::Warning(text)) => warning(text, err),
            (Mode::Quiet, _) => Ok(()),
            (Mode::Json, news) => json::show(news, &self.board, err),
            (Mode::Tty, News::Line(_)) => self.tty.draw(&self.board, now, err),
            // The next tick shows them: a fast pull has hundreds of these a second.
            (Mode::Tty, News::Bytes(_)) => Ok(()),
            (Mode::Tty, news) => {
                self.tty.clear(err)?;
                plain::show(news, &self.board, err)?;
                self.tty.draw(&self.board, now, err)
            }
            (Mode::Plain | Mode::Auto, news) => plain::show(news, &self.board, err),
        }
    }

    /// Whether `tick` has anything to move.
    pub fn is_animated(&self) -> bool {
        self.mode == Mode::Tty
    }

    /// Moves the clocks of a redrawn view.
    pub fn tick(&mut self, now: Instant, err: &mut Writer) -> io::Result<()> {
        if self.is_animated() { self.tty.draw(&self.board, now, err) } else { Ok(()) }
    }

    /// From now on others write to the terminal as well: what is drawn stays, and changes become lines.
    pub fn stop_redrawing(&mut self) {
        if self.mode == Mode::Tty {
            self.mode = Mode::Plain;
        }
    }

    /// Whether an op that starts a container has begun.
    pub fn has_started_any(&self) -> bool {
        self.board.started_any
    }

    /// The end of the stream came with `Done`.
    pub fn is_done(&self) -> bool {
        self.board.done
    }

    /// After the last event: says what failed. True when nothing did.
    pub fn finish(&mut self, err: &mut Writer) -> io::Result<bool> {
        let word = err.paint("31;1", "error");
        for failure in &self.board.failures {
            if self.mode == Mode::Json {
                json::error(&failure.message, err)?;
            } else {
                err.write_all(failure::report(failure, &self.board.skipped, &word).as_bytes())?;
            }
        }
        Ok(self.board.failures.is_empty())
    }
}

fn warning(text: &str, err: &mut Writer) -> io::Result<()> {
    let word = err.paint("33", "warning");
    writeln!(err, "{word}: {}", failure::printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{Failure, Progress as Event},
        cli::output::writer::capture,
        model::{Network, PullPolicy},
        plan::{Cause, Plan, Slot},
    };
    use std::time::Duration;

    fn slot(service: &str) -> Slot {
        Slot { service: service.into(), number: 1 }
    }

    fn events() -> Vec<Event> {
        let mut plan = Plan { project: "app".into(), verb: "up".into(), ..Plan::default() };
        plan.unchanged.push("app-cache-1".into());
        let cause = || Cause::new("not there yet");
        plan.push(Op::CreateNetwork { key: "back".into() }, cause(), vec![]);
        let create = Op::CreateContainer { slot: slot("db"), name: "app-db-1".into(), oneoff: false, replaces: None };
        plan.push(create, cause(), vec![0]);
        let start =
            |service: &str| Op::StartContainer { slot: slot(service), name: format!("app-{service}-1"), id: None };
        plan.push(start("db"), cause(), vec![1]);
        plan.push(start("web"), cause(), vec![2]);
        plan.push(Op::PullImage { image: "db:1".into(), policy: PullPolicy::Missing }, cause(), vec![]);
        let error = Failure { message: "container app-db-1 did not start".into(), ..Failure::default() };
        vec![
            Event::Plan { plan },
            Event::Warning { text: "orphan app-old-1".into() },
            Event::Waiting { holder: "muster down (pid 7)".into() },
            Event::Began { op: 0 },
            Event::Began { op: 4 },
            Event::Step { op: 4, text: "aabbcc".into(), current: Some(512), total: Some(1024) },
            Event::Finished { op: 4, milliseconds: 1234, detail: None },
            Event::Finished { op: 0, milliseconds: 20, detail: None },
            Event::Began { op: 1 },
            Event::Finished { op: 1, milliseconds: 3, detail: None },
            Event::Began { op: 2 },
            Event::OpFailed { op: 2, error: error.clone() },
            Event::Skipped { op: 3 },
            Event::Done { failures: 1, error: Some(error) },
        ]
    }

    fn shown(mode: Mode) -> String {
        let mut project = Project::default();
        project.networks.insert("back".into(), Network { name: "app_back".into(), ..Network::default() });
        let mut progress = Progress::new(mode, Names::of(Some(&project)), false);
        let (mut err, captured) = capture::writer(false);
        let start = Instant::now();
        for (index, event) in events().iter().enumerate() {
            progress.take(event, start + Duration::from_millis(100 * index as u64), &mut err).unwrap();
        }
        assert!(progress.is_done());
        assert!(!progress.finish(&mut err).unwrap());
        captured.text()
    }

    #[test]
    fn plain_progress_is_a_line_a_change() {
        insta::assert_snapshot!(shown(Mode::Plain), @r"
         Container app-cache-1  Running
        warning: orphan app-old-1
        waiting for muster down (pid 7)
         Network app_back  Creating
         Image db:1  Pulling
         Image db:1  Pulling  aabbcc  512B/1.02kB
         Image db:1  Pulled  1.2s
         Network app_back  Created  0.0s
         Container app-db-1  Creating
         Container app-db-1  Created  0.0s
         Container app-db-1  Starting
         Container app-db-1  Error
         Container app-web-1  Skipped
        error: container app-db-1 did not start
          because of it not done: start app-web-1
        ");
    }

    #[test]
    fn json_progress_is_an_object_a_change() {
        insta::assert_snapshot!(shown(Mode::Json), @r#"
        {"id":"Container app-cache-1","status":"Done","text":"Running"}
        {"warning":true,"message":"orphan app-old-1"}
        {"message":"waiting for muster down (pid 7)"}
        {"id":"Network app_back","status":"Working","text":"Creating"}
        {"id":"Image db:1","status":"Working","text":"Pulling"}
        {"id":"Image db:1","status":"Working","text":"Pulling","details":"aabbcc","current":512,"total":1024,"percent":50}
        {"id":"Image db:1","status":"Done","text":"Pulled"}
        {"id":"Network app_back","status":"Done","text":"Created"}
        {"id":"Container app-db-1","status":"Working","text":"Creating"}
        {"id":"Container app-db-1","status":"Done","text":"Created"}
        {"id":"Container app-db-1","status":"Working","text":"Starting"}
        {"id":"Container app-db-1","status":"Error","text":"Error"}
        {"id":"Container app-web-1","status":"Warning","text":"Skipped"}
        {"error":true,"message":"container app-db-1 did not start"}
        "#);
    }

    #[test]
    fn quiet_progress_still_warns_and_reports() {
        insta::assert_snapshot!(shown(Mode::Quiet), @r"
        warning: orphan app-old-1
        error: container app-db-1 did not start
          because of it not done: start app-web-1
        ");
    }

    #[test]
    fn drawn_progress_ends_with_every_line_in_its_last_state() {
        let text = shown(Mode::Tty);
        let last = text.rsplit("\x1b[J").next().unwrap();
        insta::assert_snapshot!(last, @r"
        [+] Running 5/5
         ✔ Container app-cache-1  Running
         ✔ Network app_back       Created        0.0s
         ✔ Image db:1             Pulled         1.2s
         ✘ Container app-db-1     Error
         ! Container app-web-1    Skipped
        error: container app-db-1 did not start
          because of it not done: start app-web-1
        ");
    }

    #[test]
    fn auto_is_drawn_on_a_terminal_only() {
        assert_eq!(Mode::Auto.resolve(true), Mode::Tty);
        assert_eq!(Mode::Auto.resolve(false), Mode::Plain);
        assert_eq!(Mode::Quiet.resolve(true), Mode::Quiet);
    }
}
