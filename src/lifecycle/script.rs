//! Lives as text in, text out: the files in `scenarios/`.
//!
//! ```text
//! === what must hold
//! life
//!   restart on-failure:3          grace 5s          stop-signal 2
//!   health interval=1s retries=3 start_period=10s start_interval=1s
//!   runs 50ms exit 1              each run ends by itself after so long
//!   ready 1300ms                  probes pass from then on, counted from the start of a run
//!   probe 10ms                    a probe takes so long
//!   launch fails                  each launch fails; `launch works` again; `launch hangs` is answered by hand
//!   at 2s stop 1s                 an event; ticks before it happen by themselves
//!   until 60s                     only ticks
//! log                             time, event, actions, state
//! ```
//!
//! `MUSTER_BLESS=1` writes what happens into the files instead of comparing.

use super::{
    Action, Announcement, Config, Event, Exit, HealthConfig, HealthStatus, Machine, Moment, ProbeResult, State,
};
use crate::model::{Healthcheck, RestartPolicy};
use std::{collections::VecDeque, fmt::Write, fs, path::Path, time::Duration};

struct Stage {
    config: Config,
    machine: Machine,
    now: Moment,
    log: String,
    /// What the world will say, and when.
    world: Vec<(Moment, Event)>,
    run_length: Option<(Duration, i32)>,
    ready: Option<Duration>,
    probe_length: Duration,
    launch: Launch,
    probes: usize,
    quiet_probes: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Launch {
    Works,
    Fails,
    Hangs,
}

#[test]
fn lives_go_as_their_files_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lifecycle/scenarios");
    let bless = std::env::var_os("MUSTER_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut blessed = String::new();
        for case in text.split("=== ").skip(1) {
            let (title, rest) = case.split_once('\n').unwrap();
            let (life, log) = rest.split_once("\nlog\n").unwrap_or((rest.trim_end(), ""));
            let life: Vec<&str> = life.lines().skip(1).map(str::trim).collect();
            let played = play(&life);
            let expected: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            if played.lines().collect::<Vec<_>>() != expected {
                wrong.push(format!("=== {title}\nexpected\n{}\nhappened\n{played}", expected.join("\n")));
            }
            let indented = played.lines().collect::<Vec<_>>().join("\n  ");
            let _ = writeln!(blessed, "=== {title}\nlife\n  {}\nlog\n  {indented}\n", life.join("\n  "));
        }
        if bless {
            fs::write(&file, format!("{}\n", blessed.trim_end())).unwrap();
        }
    }
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn play(life: &[&str]) -> String {
    let mut stage = Stage {
        config: Config { restart: RestartPolicy::No, stop_signal: 15, grace: Duration::from_secs(10), health: None },
        machine: Machine::new(),
        now: Moment::default(),
        log: String::new(),
        world: Vec::new(),
        run_length: None,
        ready: None,
        probe_length: Duration::from_millis(10),
        launch: Launch::Works,
        probes: 0,
        quiet_probes: false,
    };
    for line in life {
        stage.line(&line.split_whitespace().collect::<Vec<_>>());
    }
    if stage.probes > 0 {
        let _ = writeln!(stage.log, "{} probes", stage.probes);
    }
    stage.log
}

impl Stage {
    fn line(&mut self, words: &[&str]) {
        match words {
            ["restart", policy] => self.config.restart = restart(policy),
            ["grace", grace] => self.config.grace = duration(grace),
            ["stop-signal", signal] => self.config.stop_signal = signal.parse().unwrap(),
            ["health", settings @ ..] => self.config.health = Some(health(settings)),
            ["runs", length, "exit", code] => self.run_length = Some((duration(length), code.parse().unwrap())),
            ["runs", "on"] => self.run_length = None,
            ["ready", after] => self.ready = Some(duration(after)),
            ["sick"] => self.ready = None,
            ["probe", length] => self.probe_length = duration(length),
            ["quiet", "probes"] => self.quiet_probes = true,
            ["launch", "fails"] => self.launch = Launch::Fails,
            ["launch", "works"] => self.launch = Launch::Works,
            ["launch", "hangs"] => self.launch = Launch::Hangs,
            ["until", time] => self.advance(Moment(duration(time))),
            ["at", time, event @ ..] => {
                self.advance(Moment(duration(time)));
                self.happen(parse_event(event));
            }
            other => panic!("{other:?}"),
        }
    }

    /// Ticks and what the world says, in the order of time.
    fn advance(&mut self, to: Moment) {
        for _ in 0..10_000 {
            let said = self.world.iter().map(|(at, _)| *at).min();
            let next = [said, self.machine.deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= to) else { break };
            self.now = self.now.max(next);
            match self.world.iter().position(|(at, _)| said == Some(*at) && *at <= next) {
                Some(place) => {
                    let (_, event) = self.world.remove(place);
                    self.happen(event);
                }
                None => self.happen(Event::Tick),
            }
        }
        self.now = to;
    }

    fn happen(&mut self, event: Event) {
        let probe = matches!(event, Event::Probed { .. });
        let mut line = format!("{:?} {}", self.now.0, show_event(&event));
        if matches!(event, Event::Exited(_)) {
            self.world.clear();
        }
        let actions: VecDeque<Action> = self.machine.step(&self.config, event, self.now).into();
        let shown: Vec<String> = actions.iter().map(show_action).collect();
        let only_probes = !shown.is_empty() && actions.iter().all(|action| matches!(action, Action::Probe { .. }));
        if !shown.is_empty() {
            let _ = write!(line, ": {}", shown.join(", "));
        }
        let _ = write!(line, " -> {}", show_state(&self.machine));
        if !(self.quiet_probes && (only_probes || probe && shown.is_empty())) {
            let _ = writeln!(self.log, "{line}");
        }
        for action in actions {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Launch => match self.launch {
                Launch::Works => self.happen(Event::Started),
                Launch::Fails => self.happen(Event::StartFailed { error: "no".into() }),
                Launch::Hangs => {}
            },
            Action::Probe { run } => {
                self.probes += 1;
                let State::Running { since, .. } = self.machine.state else { panic!("a probe of nothing") };
                let ready = self.ready.is_some_and(|ready| self.now - since >= ready);
                let failed = || ProbeResult::Failed { output: "no".into() };
                let result = if ready { ProbeResult::Passed } else { failed() };
                self.world.push((self.now + self.probe_length, Event::Probed { run, result }));
            }
            Action::Announce(Announcement::Started) => {
                if let Some((length, code)) = self.run_length {
                    let exit = Exit { code, signal: None, oom: false };
                    self.world.push((self.now + length, Event::Exited(exit)));
                }
            }
            Action::Signal { .. } | Action::Announce(_) => {}
        }
    }
}

fn duration(word: &str) -> Duration {
    let (number, unit) = word.split_at(word.find(|c: char| c.is_alphabetic()).unwrap());
    let number: f64 = number.parse().unwrap();
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        other => panic!("{other}"),
    };
    Duration::from_micros((seconds * 1_000_000.0).round() as u64)
}

fn restart(word: &str) -> RestartPolicy {
    match word {
        "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        word => {
            let most = word.strip_prefix("on-failure").unwrap().strip_prefix(':');
            RestartPolicy::OnFailure { max_retries: most.map(|most| most.parse().unwrap()) }
        }
    }
}

fn health(settings: &[&str]) -> HealthConfig {
    let test = Some(crate::model::HealthTest::Shell("true".into()));
    let mut check = Healthcheck { test, ..Healthcheck::default() };
    for setting in settings {
        match setting.split_once('=').unwrap() {
            ("interval", value) => check.interval = Some(duration(value)),
            ("retries", value) => check.retries = value.parse().ok(),
            ("start_period", value) => check.start_period = Some(duration(value)),
            ("start_interval", value) => check.start_interval = Some(duration(value)),
            other => panic!("{other:?}"),
        }
    }
    HealthConfig::resolve(Some(&check), None).unwrap()
}

fn parse_event(words: &[&str]) -> Event {
    match words {
        ["start"] => Event::Start,
        ["started"] => Event::Started,
        ["start-failed"] => Event::StartFailed { error: "no".into() },
        ["exited", code] => Event::Exited(Exit { code: code.parse().unwrap(), signal: None, oom: false }),
        ["exited", code, signal] => {
            Event::Exited(Exit { code: code.parse().unwrap(), signal: signal.parse().ok(), oom: false })
        }
        ["stop"] => Event::Stop { grace: None },
        ["stop", grace] => Event::Stop { grace: Some(duration(grace)) },
        ["kill", signal] => Event::Kill { signal: signal.parse().unwrap() },
        ["probed", run, "passed"] => Event::Probed { run: run.parse().unwrap(), result: ProbeResult::Passed },
        ["tick"] => Event::Tick,
        other => panic!("{other:?}"),
    }
}

fn show_event(event: &Event) -> String {
    match event {
        Event::Start => "start".into(),
        Event::Started => "started".into(),
        Event::StartFailed { .. } => "start failed".into(),
        Event::Exited(exit) => format!("exited {}", exit.code),
        Event::Stop { grace: None } => "stop".into(),
        Event::Stop { grace: Some(grace) } => format!("stop {grace:?}"),
        Event::Kill { signal } => format!("kill {signal}"),
        Event::Probed { result: ProbeResult::Passed, .. } => "probe passed".into(),
        Event::Probed { result: ProbeResult::Failed { .. }, .. } => "probe failed".into(),
        Event::Probed { result: ProbeResult::TimedOut, .. } => "probe timed out".into(),
        Event::Tick => "tick".into(),
    }
}

fn show_action(action: &Action) -> String {
    match action {
        Action::Launch => "launch".to_owned(),
        Action::Signal { signal, all } => format!("signal {signal}{}", if *all { " to all" } else { "" }),
        Action::Probe { .. } => "probe".to_owned(),
        Action::Announce(announcement) => match announcement {
            Announcement::Restarting { attempt, delay, .. } => format!("RESTARTING {attempt} in {delay:?}"),
            Announcement::GaveUp { restarts, .. } => format!("GAVE UP after {restarts}"),
            Announcement::Stopping { signal, grace } => format!("STOPPING with {signal}, {grace:?}"),
            Announcement::Exited { exit } => format!("EXITED {}", exit.code),
            Announcement::Stopped { exit } => format!("STOPPED {}", exit.code),
            Announcement::Killed { signal } => format!("KILLED {signal}"),
            Announcement::StartFailed { .. } => "START FAILED".to_owned(),
            Announcement::GraceOver => "GRACE OVER".to_owned(),
            Announcement::Started => "STARTED".to_owned(),
            Announcement::Healthy => "HEALTHY".to_owned(),
            Announcement::Unhealthy => "UNHEALTHY".to_owned(),
        },
    }
}

fn show_state(machine: &Machine) -> String {
    match &machine.state {
        State::Created => "created".into(),
        State::Starting { .. } => "starting".into(),
        State::Running { .. } => match machine.health() {
            None => "running".into(),
            Some(HealthStatus::Starting) => "running (starting)".into(),
            Some(HealthStatus::Healthy) => "running (healthy)".into(),
            Some(HealthStatus::Unhealthy) => "running (unhealthy)".into(),
        },
        State::Stopping { .. } => "stopping".into(),
        State::BackingOff { .. } => "backing off".into(),
        State::Exited { exit, by_user } => format!("exited {}{}", exit.code, if *by_user { " by user" } else { "" }),
        State::Dead { by_user, .. } => format!("dead{}", if *by_user { " by user" } else { "" }),
    }
}
