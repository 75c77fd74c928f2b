//! Who may die, and what must hold then.

use super::{
    http, proc,
    proc::eventually,
    stack::{Stack, free_port, loopback},
};
use muster::state::records::{Exit, Status};
use rustix::process::Signal;
use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

fn served(port: u16) -> String {
    format!(
        "
services:
  web:
    image: '%IMAGE%'
    command: [httpd, -f, -h, /www]
    ports: ['{port}:80']
    restart: always
  other:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    restart: always
"
    )
}

#[test]
fn a_killed_supervisor_costs_no_container_no_request_and_comes_back() {
    let port = free_port();
    let stack = Stack::new("supervisor", &served(port));
    stack.up();
    // `up` returns when the program runs, which is a little before it listens.
    eventually("the page is served", Duration::from_secs(5), || http::get(loopback(port), "/").is_ok());
    let before = [stack.pid("web"), stack.pid("other")];
    let (stop, asked, failed) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                asked.fetch_add(1, Ordering::Relaxed);
                if !http::get(loopback(port), "/").is_ok_and(|body| body == "busybox here\n") {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        // Whatever fails in here, the thread above must be told to stop.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..10 {
                let supervisor = stack.supervisor().unwrap_or_else(|| panic!("no supervisor in round {round}"));
                proc::kill(supervisor, Signal::KILL);
                eventually("the old supervisor is gone", Duration::from_secs(2), || !proc::alive(supervisor));
                let begin = Instant::now();
                let rows = stack.ps();
                assert!(begin.elapsed() < Duration::from_secs(2) * proc::patience(), "ps took {:?}", begin.elapsed());
                assert_eq!(rows.iter().filter(|row| row["State"] == "running").count(), 2, "{rows:#?}");
                eventually("a new supervisor answers", Duration::from_secs(2), || {
                    stack.supervisor().is_some_and(|pid| pid != supervisor)
                });
                assert_eq!([stack.pid("web"), stack.pid("other")], before);
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(asked.load(Ordering::Relaxed) > 20);
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {} requests", asked.load(Ordering::Relaxed));
    assert!(before.iter().all(|pid| proc::alive(*pid)));
    proc::kill(before[1], Signal::KILL);
    eventually("the policy brings it back", Duration::from_secs(3), || {
        stack.running("other").is_some_and(|pid| pid != before[1])
    });
    assert_eq!(stack.pid("web"), before[0]);
}

#[test]
fn a_supervisor_comes_back_without_anybody_asking() {
    let stack = Stack::new("byitself", &served(free_port()));
    stack.up();
    let supervisor = stack.supervisor().unwrap();
    proc::kill(supervisor, Signal::KILL);
    eventually("a shim has started a new one", Duration::from_secs(2), || {
        stack.supervisor().is_some_and(|pid| pid != supervisor)
    });
}

#[test]
fn a_container_that_ends_while_no_supervisor_lives_is_brought_back() {
    let stack = Stack::new("orphaned", &served(free_port()));
    stack.up();
    let (supervisor, other) = (stack.supervisor().unwrap(), stack.pid("other"));
    proc::kill(supervisor, Signal::KILL);
    proc::kill(other, Signal::KILL);
    eventually("another process runs", Duration::from_secs(4), || {
        stack.running("other").is_some_and(|pid| pid != other)
    });
}

/// A supervisor may be killed between the start of a process and the record of it: whatever the record says then, a shim
/// that lives is taken over, and nothing is started a second time.
#[test]
fn what_runs_is_taken_over_whatever_its_record_says() {
    let exit = Exit { code: 1, signal: None, oom: false, started_at: None, finished_at: String::new(), note: None };
    for (label, status, by_user) in [
        ("restarting", Status::Restarting { exit: exit.clone() }, false),
        ("exited", Status::Exited { exit }, true),
        ("dead", Status::Dead { error: "of before".into(), at: String::new() }, false),
    ] {
        let stack = Stack::new(label, "services: {x: {image: '%IMAGE%', command: [sleep, '1000'], restart: always}}");
        stack.up();
        let (pid, shim, supervisor) = (stack.pid("x"), stack.shim("x"), stack.supervisor().unwrap());
        // Nobody brings a new supervisor before the record is the one of an earlier moment.
        proc::kill(shim, Signal::STOP);
        proc::kill(supervisor, Signal::KILL);
        eventually("the supervisor is gone", Duration::from_secs(2), || !proc::alive(supervisor));
        let mut record = stack.record("x");
        record.status = status;
        record.stopped_by_user = by_user;
        let path = stack.ground.layout().container_record(&record.id);
        muster::state::record::write(&path, &record, muster::state::Durability::Volatile).unwrap();
        proc::kill(shim, Signal::CONT);
        eventually("it is known to run", Duration::from_secs(5), || stack.running("x") == Some(pid));
        assert_eq!(stack.shim("x"), shim, "{label}");
        assert!(!stack.record("x").stopped_by_user, "{label}");
        assert!(proc::alive(pid), "{label}");
        // The policy goes on as well.
        proc::kill(pid, Signal::KILL);
        eventually("it comes back", Duration::from_secs(5), || stack.running("x").is_some_and(|new| new != pid));
    }
}

#[test]
fn a_killed_shim_takes_its_container_along_and_the_policy_brings_it_back() {
    let port = free_port();
    let stack = Stack::new("shim", &served(port));
    stack.up();
    stack.exec("web", &["sh", "-c", "sleep 500 & exit 0"]);
    let (shim, web, other) = (stack.shim("web"), stack.pid("web"), stack.pid("other"));
    proc::kill(shim, Signal::KILL);
    let took = eventually("its container is gone", Duration::from_secs(1), || !proc::alive(web));
    eventually("it is back", Duration::from_secs(4), || stack.running("web").is_some_and(|pid| pid != web));
    eventually("the port answers again", Duration::from_secs(2), || {
        http::get(loopback(port), "/").is_ok_and(|body| body == "busybox here\n")
    });
    assert_eq!(stack.pid("other"), other);
    let events = stack.events();
    assert!(events.iter().any(|event| event.service == "web" && event.action == "die"), "{events:#?}");
    eprintln!("container gone {took:?} after its shim");
}

#[test]
fn after_everything_was_killed_down_leaves_nothing() {
    let stack = Stack::new("powercut", &served(free_port()));
    stack.up();
    kill_all(&stack);
    stack.ok(&["down", "-t", "0"]);
    assert_eq!(stack.ps().len(), 0);
}

#[test]
fn after_everything_was_killed_up_converges() {
    let stack = Stack::new("powerback", &served(free_port()));
    stack.up();
    kill_all(&stack);
    stack.up();
    assert!(stack.ps().iter().all(|row| row["State"] == "running"), "{:#?}", stack.ps());
    assert_eq!(stack.run(&["plan", "--detailed-exitcode"]).code, 0);
}

/// As a power cut would, for one project: the supervisor first, then shims and containers.
fn kill_all(stack: &Stack) {
    let mut victims = vec![stack.supervisor().unwrap()];
    for service in ["web", "other"] {
        victims.push(stack.shim(service));
        victims.push(stack.pid(service));
    }
    for pid in &victims {
        if proc::alive(*pid) {
            proc::kill(*pid, Signal::KILL);
        }
    }
    for pid in victims {
        eventually("a killed process is gone", Duration::from_secs(2), || !proc::alive(pid));
    }
}

#[test]
fn a_damaged_record_is_named_and_others_go_on() {
    let stack = Stack::new("damaged", &served(free_port()));
    let neighbour = Stack::new("neighbour", "services: {x: {image: '%IMAGE%', command: [sleep, '1000'], init: true}}");
    stack.up();
    neighbour.up();
    let path = stack.ground.layout().applied(&stack.name);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, b"{\"version\":1,\"na").unwrap();
    assert_eq!(neighbour.ps().len(), 1);
    let ran = stack.run(&["ps"]);
    assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
    fs::write(&path, whole).unwrap();
}
