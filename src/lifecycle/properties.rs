//! What holds for every machine, whatever happens to it.

use super::{Action, Announcement, Config, Event, Exit, HealthConfig, Machine, Moment, ProbeResult, State};
use crate::model::RestartPolicy;
use proptest::prelude::*;
use std::time::Duration;

/// Something happens; what the world answers is left out, so that it may also be late, twice or wrong.
fn event() -> impl Strategy<Value = Event> {
    let exit = (0..3_i32, any::<bool>()).prop_map(|(code, oom)| Exit { code, signal: None, oom });
    let result = prop_oneof![
        Just(ProbeResult::Passed),
        Just(ProbeResult::TimedOut),
        Just(ProbeResult::Failed { output: String::new() })
    ];
    prop_oneof![
        2 => Just(Event::Start),
        4 => Just(Event::Started),
        1 => Just(Event::StartFailed { error: "no".into() }),
        3 => exit.prop_map(Event::Exited),
        1 => proptest::option::of(0..20_u64).prop_map(|s| Event::Stop { grace: s.map(Duration::from_secs) }),
        1 => prop_oneof![Just(1), Just(9), Just(15)].prop_map(|signal| Event::Kill { signal }),
        2 => (0..4_u32, result).prop_map(|(run, result)| Event::Probed { run, result }),
        4 => Just(Event::Tick),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let restart = prop_oneof![
        Just(RestartPolicy::No),
        Just(RestartPolicy::Always),
        Just(RestartPolicy::UnlessStopped),
        proptest::option::of(0..4_u32).prop_map(|max_retries| RestartPolicy::OnFailure { max_retries })
    ];
    let health =
        (1..100_u64, 1..4_u32, 0..100_u64, 1..20_u64).prop_map(|(interval, retries, period, start)| HealthConfig {
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(1),
            retries,
            start_period: Duration::from_secs(period),
            start_interval: Duration::from_secs(start),
        });
    (restart, 0..30_u64, proptest::option::of(health)).prop_map(|(restart, grace, health)| Config {
        restart,
        stop_signal: 15,
        grace: Duration::from_secs(grace),
        health,
    })
}

fn history() -> impl Strategy<Value = Vec<(u64, Event)>> {
    proptest::collection::vec((0..20_000_u64, event()), 0..60)
}

/// Plays the events at their times and shows each step to `look`.
fn play(
    config: &Config,
    events: Vec<(u64, Event)>,
    mut look: impl FnMut(&Machine, &Event, &[Action], Moment),
) -> (Machine, Moment) {
    let (mut machine, mut now) = (Machine::new(), Moment::default());
    for (wait, event) in events {
        now = now + Duration::from_millis(wait);
        let actions = machine.step(config, event.clone(), now);
        look(&machine, &event, &actions, now);
    }
    (machine, now)
}

fn launches(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Launch)).count()
}

proptest! {
    #[test]
    fn nothing_is_launched_twice_without_an_end_between(config in config(), events in history()) {
        let mut alive = false;
        play(&config, events, |_, event, actions, _| {
            if alive && matches!(event, Event::Exited(_) | Event::StartFailed { .. }) {
                // Of a launch under way, or of a run; a late report of an earlier run cannot be told apart and only
                // comes where the executor reports an end twice.
                alive = false;
            }
            let launched = launches(actions);
            assert!(launched <= 1 && !(alive && launched == 1), "{event:?} {actions:?}");
            alive |= launched == 1;
        });
    }

    #[test]
    fn on_failure_never_restarts_more_often_than_it_says(config in config(), events in history()) {
        let RestartPolicy::OnFailure { max_retries: Some(most) } = config.restart else { return Ok(()) };
        let mut since_command = 0;
        play(&config, events, |machine, event, actions, _| {
            match event {
                Event::Start if launches(actions) == 1 => since_command = 0,
                _ => since_command += launches(actions),
            }
            assert!(since_command <= most as usize, "{since_command} of {most}");
            assert!(machine.restarts <= most);
        });
    }

    #[test]
    fn a_stop_always_leads_down_and_no_policy_leads_up_again(config in config(), events in history()) {
        let (mut machine, mut now) = play(&config, events, |_, _, _, _| {});
        let mut actions = machine.step(&config, Event::Stop { grace: None }, now);
        // The world answers as it must: a launch ends somehow, and SIGKILL ends every process.
        for _ in 0..5 {
            let killed = actions.iter().any(|action| matches!(action, Action::Signal { signal: 9, .. }));
            let event = match &machine.state {
                State::Starting { .. } => Event::Started,
                State::Stopping { .. } if killed => Event::Exited(Exit { code: 137, signal: Some(9), oom: false }),
                State::Stopping { kill_at: None, .. } => Event::Exited(Exit { code: 137, signal: Some(9), oom: false }),
                _ => Event::Tick,
            };
            now = machine.deadline().unwrap_or(now).max(now);
            actions = machine.step(&config, event, now);
            prop_assert_eq!(launches(&actions), 0);
        }
        prop_assert!(machine.state.is_down(), "{:?}", machine.state);
        prop_assert!(machine.state == State::Created || machine.state.is_down_by_user());
        prop_assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn one_probe_at_a_time_and_none_without_a_run(config in config(), events in history()) {
        let mut probing = false;
        play(&config, events, |machine, event, actions, _| {
            let running = matches!(machine.state, State::Running { .. });
            if matches!(event, Event::Probed { .. } | Event::Started | Event::Exited(_)) || !running {
                probing = false;
            }
            let probes = actions.iter().filter(|action| matches!(action, Action::Probe { .. })).count();
            assert!(probes == 0 || running && config.health.is_some());
            assert!(!probing || probes == 0);
            probing |= probes > 0;
        });
    }

    #[test]
    fn a_tick_at_the_deadline_moves_the_deadline(config in config(), events in history()) {
        let (mut machine, now) = play(&config, events, |_, _, _, _| {});
        for _ in 0..100 {
            let Some(deadline) = machine.deadline() else { return Ok(()) };
            let at = deadline.max(now);
            let _ = machine.step(&config, Event::Tick, at);
            prop_assert!(machine.deadline() != Some(deadline), "the supervisor would spin");
        }
    }

    #[test]
    fn every_end_of_a_run_is_announced_once(config in config(), events in history()) {
        let mut before = State::Created;
        play(&config, events, |machine, event, actions, _| {
            let ends = actions.iter().filter(|action| matches!(action, Action::Announce(
                Announcement::Exited { .. } | Announcement::Stopped { .. }
                | Announcement::Restarting { .. } | Announcement::GaveUp { .. }
            ))).count();
            let had_process = matches!(before, State::Starting { .. } | State::Running { .. } | State::Stopping { .. });
            if matches!(event, Event::Exited(_)) {
                assert_eq!(ends, usize::from(had_process), "{before:?} {actions:?}");
            }
            before = machine.state.clone();
        });
    }
}
