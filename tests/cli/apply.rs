//! Verbs that ask a supervisor.

use crate::{
    supervisor::{Answer, Supervisor},
    world::World,
};
use axum::http::StatusCode;
use muster::{
    api::{Failure, Progress},
    model::{
        PullPolicy,
        intent::{Intent, Recreate},
    },
    plan::{Cause, Op, Plan, Slot},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

pub fn start_of(service: &str) -> Op {
    let slot = Slot { service: service.into(), number: 1 };
    Op::StartContainer { slot, name: format!("app-{service}-1"), id: None }
}

pub fn plan(ops: Vec<Op>) -> Plan {
    let mut plan = Plan { project: "app".into(), verb: "up".into(), ..Plan::default() };
    for op in ops {
        plan.push(op, Cause::new("not there yet"), Vec::new());
    }
    plan
}

pub fn done() -> Progress {
    Progress::Done { failures: 0, error: None }
}

#[test]
fn up_sends_what_was_asked_and_shows_what_happens() {
    let world = World::new();
    let supervisor = Supervisor::start(&world.layout, |_| {
        Answer::Lines(vec![
            Progress::Plan { plan: plan(vec![start_of("web")]) },
            Progress::Began { op: 0 },
            Progress::Finished { op: 0, milliseconds: 120, detail: None },
            done(),
        ])
    });
    let words = "--parallel 3 up -d --force-recreate --no-deps --scale web=2 --pull always -t 4 --remove-orphans --wait --wait-timeout 9 web";
    let said = world.muster(&words.split(' ').filter(|word| *word != "-d").collect::<Vec<_>>());
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
    assert_eq!(said.err, " Container app-web-1  Starting\n Container app-web-1  Started  0.1s\n");
    let heard = supervisor.heard();
    let Intent::Up(up) = &heard[0].intent else { panic!("{heard:?}") };
    assert_eq!((up.recreate, up.no_deps, up.remove_orphans), (Recreate::Force, true, true));
    assert_eq!((up.pull, up.timeout), (Some(PullPolicy::Always), Some(Duration::from_secs(4))));
    assert_eq!(up.services, ["web"]);
    assert_eq!(heard[0].project.as_ref().unwrap().services["web"].scale, 2);
    assert_eq!(heard[0].wait.unwrap().timeout_seconds, Some(9));
    assert_eq!(heard[0].parallel, Some(3));
}

#[test]
fn a_failure_is_reported_with_its_cause_and_ends_with_1() {
    let world = World::new();
    Supervisor::start(&world.layout, |_| {
        let error = Failure {
            message: "container app-db-1 is unhealthy".into(),
            container: Some("app-db-1".into()),
            probe: Some("connection refused".into()),
            log: vec!["FATAL: no password".into()],
            ..Failure::default()
        };
        Answer::Lines(vec![
            Progress::Plan { plan: plan(vec![start_of("db"), start_of("web")]) },
            Progress::OpFailed { op: 0, error: error.clone() },
            Progress::Skipped { op: 1 },
            Progress::Done { failures: 1, error: Some(error) },
        ])
    });
    let said = world.muster(&["--progress", "quiet", "up", "-d"]);
    assert_eq!(said.code, Some(1));
    insta::assert_snapshot!(said.err, @r"
    error: container app-db-1 is unhealthy
      output of its last health check:
        | connection refused
      last lines of its log:
        | FATAL: no password
      because of it not done: start app-web-1
    ");
}

#[test]
fn a_refusal_is_an_error_with_its_hint() {
    let world = World::new();
    Supervisor::start(&world.layout, |_| {
        let failure =
            Failure { message: "port 80 is in use".into(), hint: Some("stop nginx".into()), ..Failure::default() };
        Answer::Refuse(StatusCode::UNPROCESSABLE_ENTITY, failure)
    });
    let said = world.muster(&["up", "-d"]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), "error: port 80 is in use\n  help: stop nginx\n"));
}

#[test]
fn a_supervisor_that_goes_down_is_asked_again() {
    let world = World::new();
    let attempts = AtomicUsize::new(0);
    let supervisor = Supervisor::start(&world.layout, move |_| match attempts.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::Refuse(StatusCode::SERVICE_UNAVAILABLE, Failure::default()),
        _ => Answer::Lines(vec![done()]),
    });
    assert_eq!(world.muster(&["stop"]).code, Some(0));
    assert_eq!(supervisor.heard().len(), 2);
}

#[test]
fn a_stream_that_ends_without_a_word_is_no_success() {
    let world = World::new();
    Supervisor::start(&world.layout, |_| Answer::Lines(vec![Progress::Warning { text: "w".into() }]));
    let said = world.muster(&["restart"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("it went away in the middle of its answer"), "{}", said.err);
}

#[test]
fn plan_prints_and_tells_by_its_exit_code() {
    let world = World::new();
    let supervisor = Supervisor::with_plan(&world.layout, plan(vec![start_of("web")]), |_| panic!());
    let said = world.muster(&["plan"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("app-web-1") && said.out.contains("not there yet"), "{}", said.out);
    assert_eq!(world.muster(&["plan", "--detailed-exitcode"]).code, Some(2));
    let json = world.muster(&["plan", "--format", "json", "--force-recreate"]);
    assert_eq!(serde_json::from_str::<Plan>(&json.out).unwrap(), plan(vec![start_of("web")]));
    assert!(matches!(&supervisor.heard()[2].intent, Intent::Up(up) if up.recreate == Recreate::Force));

    let idle = World::new();
    Supervisor::with_plan(&idle.layout, Plan::default(), |_| panic!());
    assert_eq!(idle.muster(&["plan", "--detailed-exitcode"]).code, Some(0));
}

#[test]
fn down_with_a_name_alone_needs_no_file() {
    let world = World::new();
    let supervisor = Supervisor::start(&world.layout, |_| Answer::Lines(vec![done()]));
    world.record("web", crate::world::exited(0));
    std::fs::remove_file(world.project().join("compose.yaml")).unwrap();
    assert_eq!(world.muster(&["-p", "app", "down", "-v", "-t", "0", "--rmi", "all"]).code, Some(0));
    let heard = supervisor.heard();
    let Intent::Down(down) = &heard[0].intent else { panic!("{heard:?}") };
    assert!(down.volumes && down.images.is_some() && heard[0].project.is_none());

    let said = world.muster(&["-p", "nobody", "down"]);
    assert_eq!(said.code, Some(0));
    assert!(said.err.contains("No resource found"), "{}", said.err);
    assert_eq!(world.muster(&["down"]).code, Some(1));
}

#[test]
fn a_wrong_file_asks_nobody_and_shows_the_line() {
    let world = World::new();
    let supervisor = Supervisor::start(&world.layout, |_| panic!());
    std::fs::write(world.project().join("compose.yaml"), "services:\n  web: {imag: a}\n").unwrap();
    let said = world.muster(&["up", "-d"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("compose.yaml:2:"), "{}", said.err);
    let said = world.muster(&["up", "-d", "wbe"]);
    assert_eq!(said.code, Some(1));
    assert!(supervisor.heard().is_empty());
}

#[test]
fn combinations_of_flag_and_variable_are_refused() {
    let world = World::new();
    Supervisor::start(&world.layout, |_| panic!());
    let mut command = world.command(&["up", "-d", "--remove-orphans"]);
    assert_eq!(command.env("COMPOSE_IGNORE_ORPHANS", "1").status().unwrap().code(), Some(1));
}

/// Here the supervisor is the real one: it makes nothing, so it leaves by itself.
#[test]
fn commands_that_come_at_once_share_the_supervisor_that_one_of_them_starts() {
    let world = World::new();
    let children: Vec<_> = (0..4).map(|_| world.command(&["plan"]).spawn().unwrap()).collect();
    for child in children {
        let said = crate::world::Said::of(child.wait_with_output().unwrap());
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.out.contains("app-web-1"), "{said:?}");
    }
}
