//! One plan for every verb: what is as it should be is left alone, what differs is replaced, in order.

use super::{
    proc::{eventually, patience},
    stack::{Ran, Stack},
};
use serde_json::Value;
use std::time::Duration;

const THREE: &str = "
services:
  db:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
  app:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    environment: {LEVEL: info}
    depends_on: [db]
  web:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    depends_on: [app]
";

fn pids(stack: &Stack) -> [i32; 3] {
    ["db", "app", "web"].map(|service| stack.pid(service))
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
}

#[test]
fn up_again_with_nothing_changed_touches_nothing() {
    let stack = Stack::new("noop", THREE);
    stack.up();
    let (before, events) = (pids(&stack), stack.events().len());
    for _ in 0..3 {
        stack.up();
    }
    assert_eq!(pids(&stack), before);
    assert_eq!(stack.events().len(), events, "{:#?}", &stack.events()[events..]);
    assert_eq!(stack.run(&["plan", "--detailed-exitcode"]).code, 0);
}

#[test]
fn only_the_changed_service_is_replaced_and_the_plan_says_why() {
    let stack = Stack::new("changed", THREE);
    stack.up();
    let before = pids(&stack);
    stack.compose(&THREE.replace("LEVEL: info", "LEVEL: debug"));
    let plan = stack.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{plan:#?}");
    assert!(plan.stdout.contains("environment.LEVEL info -> debug"), "{}", plan.stdout);
    assert_eq!(stack.run(&["plan"]).code, 0, "without the flag a plan is no failure");
    assert!(json(&stack.run(&["plan", "--format", "json"])).is_object());
    assert_eq!(pids(&stack), before, "a plan changes nothing");
    stack.up();
    let after = pids(&stack);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_ne!(after[1], before[1]);
    assert_eq!(stack.exec("app", &["sh", "-c", "echo $LEVEL"]), "debug");
}

#[test]
fn dependents_that_asked_with_restart_true_are_restarted_with_the_changed_one() {
    let yaml = "
services:
  db: {image: '%IMAGE%', command: [sleep, '1000'], init: true, environment: {A: '1'}}
  follower:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    depends_on: {db: {condition: service_started, restart: true}}
  bystander:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    depends_on: [db]
";
    let stack = Stack::new("follow", yaml);
    stack.up();
    let before = ["db", "follower", "bystander"].map(|service| stack.pid(service));
    stack.compose(&yaml.replace("A: '1'", "A: '2'"));
    stack.up();
    let after = ["db", "follower", "bystander"].map(|service| stack.pid(service));
    assert_ne!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    assert_eq!(after[2], before[2]);
}

#[test]
fn force_recreate_and_no_recreate_do_as_they_say() {
    let stack = Stack::new("force", THREE);
    stack.up();
    let before = pids(&stack);
    stack.ok(&["up", "-d", "--force-recreate", "--no-deps", "app"]);
    let after = pids(&stack);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_ne!(after[1], before[1]);
    stack.compose(&THREE.replace("LEVEL: info", "LEVEL: debug"));
    stack.ok(&["up", "-d", "--no-recreate"]);
    assert_eq!(pids(&stack), after);
}

#[test]
fn scale_adds_and_removes_from_the_end() {
    let stack = Stack::new("scale", "services: {x: {image: '%IMAGE%', command: [sleep, '1000'], init: true}}");
    stack.ok(&["up", "-d", "--scale", "x=3"]);
    let numbers = |stack: &Stack| stack.records().iter().map(|record| record.number).collect::<Vec<_>>();
    assert_eq!(numbers(&stack), [1, 2, 3]);
    let first = stack.records()[0].id.clone();
    stack.ok(&["up", "-d", "--scale", "x=1", "-t", "0"]);
    assert_eq!(numbers(&stack), [1]);
    assert_eq!(stack.records()[0].id, first);
}

#[test]
fn orphans_are_named_and_removed_when_asked() {
    let stack = Stack::new("orphans", THREE);
    stack.up();
    stack.compose("services: {db: {image: '%IMAGE%', command: [sleep, '1000'], init: true}}");
    let ran = stack.run(&["up", "-d"]);
    assert!(ran.stderr.contains("orphan"), "{ran:#?}");
    assert_eq!(stack.ps().len(), 3, "{:#?}", stack.ps());
    stack.ok(&["up", "-d", "--remove-orphans", "-t", "0"]);
    assert_eq!(stack.ps().len(), 1, "{:#?}", stack.ps());
}

#[test]
fn a_healthy_gate_opens_in_the_moment_it_may() {
    let stack = Stack::new(
        "gate",
        "
services:
  db:
    image: '%IMAGE%'
    command: [sh, -c, 'sleep 0.3; touch /tmp/ready; exec sleep 1000']
    init: true
    healthcheck: {test: [CMD, test, -e, /tmp/ready], interval: 50ms, retries: 100}
  app:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    depends_on: {db: {condition: service_healthy}}
",
    );
    // The machine is shared: the best of a few is what the product does, the others what its neighbours do.
    let mut gaps = Vec::new();
    for _ in 0..5 {
        stack.ok(&["down", "-t", "0"]);
        let known = stack.events().len();
        stack.up();
        let events = stack.events();
        let at = |service: &str, action: &str| -> jiff::Timestamp {
            let found = events[known..].iter().find(|event| event.service == service && event.action == action);
            found.unwrap_or_else(|| panic!("no {action} of {service}: {events:#?}")).time.parse().unwrap()
        };
        let gap = at("app", "start").duration_since(at("db", "health_status: healthy"));
        assert!(!gap.is_negative(), "app started before db was healthy: {gap:?}");
        gaps.push(Duration::try_from(gap).unwrap());
    }
    eprintln!("healthy to started: {gaps:?}");
    // A debug build computes ten times slower.
    let debug = cfg!(debug_assertions) && std::env::var_os("MUSTER_TEST_BINARY").is_none();
    let limit = Duration::from_millis(if debug { 60 } else { 20 }) * patience();
    assert!(gaps.iter().min().unwrap() < &limit, "{gaps:?}");
}

#[test]
fn completed_and_started_conditions_hold_their_dependents() {
    let stack = Stack::new(
        "completed",
        "
services:
  migrate:
    image: '%IMAGE%'
    command: [sh, -c, 'sleep 0.4; touch /shared/done']
    volumes: [shared:/shared]
  app:
    image: '%IMAGE%'
    command: [sh, -c, 'test -e /shared/done && echo after || echo before; exec sleep 1000']
    init: true
    volumes: [shared:/shared]
    depends_on: {migrate: {condition: service_completed_successfully}}
volumes: {shared: {}}
",
    );
    stack.up();
    eventually("app has spoken", Duration::from_secs(2), || {
        stack.ok(&["logs", "--no-log-prefix", "app"]).contains("after")
    });
}

#[test]
fn a_failed_dependency_fails_up_and_its_dependents_do_not_start() {
    let stack = Stack::new(
        "failed",
        "
services:
  migrate: {image: '%IMAGE%', command: [sh, -c, 'echo no table >&2; exit 3']}
  app:
    image: '%IMAGE%'
    command: [sleep, '1000']
    depends_on: {migrate: {condition: service_completed_successfully}}
  sick:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    healthcheck: {test: [CMD-SHELL, 'echo cannot open; exit 1'], interval: 100ms, retries: 2}
  waits:
    image: '%IMAGE%'
    command: [sleep, '1000']
    depends_on: {sick: {condition: service_healthy}}
",
    );
    let ran = stack.fails(&["up", "-d"]);
    let text = ran.stdout + &ran.stderr;
    assert!(text.contains("didn't complete successfully: exit 3") || text.contains("exit 3"), "{text}");
    assert!(text.contains("unhealthy"), "{text}");
    for service in ["app", "waits"] {
        assert!(stack.ps().iter().all(|row| row["Service"] != service || row["State"] == "created"), "{text}");
    }
}

#[test]
fn two_ups_at_once_end_in_one_stack() {
    let stack = Stack::new("twice", THREE);
    let mut commands: Vec<_> = (0..3).map(|_| stack.command(&["up", "-d"]).spawn().unwrap()).collect();
    for child in &mut commands {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(stack.ps().len(), 3);
    assert_eq!(stack.run(&["plan", "--detailed-exitcode"]).code, 0);
}

#[test]
fn profiles_switch_services_on() {
    let stack = Stack::new(
        "profiles",
        "
services:
  always: {image: '%IMAGE%', command: [sleep, '1000'], init: true}
  debug: {image: '%IMAGE%', command: [sleep, '1000'], init: true, profiles: [debug]}
",
    );
    stack.up();
    assert_eq!(stack.ps().len(), 1);
    stack.ok(&["--profile", "debug", "up", "-d"]);
    assert_eq!(stack.ps().len(), 2);
    stack.ok(&["--profile", "debug", "down", "-t", "0"]);
}
