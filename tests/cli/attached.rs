//! `up` in the foreground.

use crate::{
    apply::{done, plan, start_of},
    supervisor::{Answer, Supervisor},
    world::{Said, World, exited, log, running, write},
};
use muster::{api::Progress, model::intent::Intent, state::Layout};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
    time::Duration,
};

/// Starts `web` and `db`; after a moment `end` of them.
fn life(world: &World, end: impl Fn(&Layout) + Send + Clone + Sync + 'static) -> Supervisor {
    let (web, db) = (world.record("web", exited(9)), world.record("db", exited(9)));
    let layout = world.layout.clone();
    Supervisor::start(&world.layout.clone(), move |apply| {
        if let Intent::Stop { .. } | Intent::Kill { .. } = apply.intent {
            for record in [&web, &db] {
                let mut stopped = record.clone();
                stopped.status = exited(143);
                write(&layout, &stopped);
            }
            return Answer::Lines(vec![done()]);
        }
        for record in [&web, &db] {
            let mut started = record.clone();
            started.status = running();
            write(&layout, &started);
            log(&layout, &started, &format!("hello from {}", record.service));
        }
        let (layout, end) = (layout.clone(), end.clone());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(150));
            end(&layout);
        });
        Answer::Lines(vec![
            Progress::Plan { plan: plan(vec![start_of("web"), start_of("db")]) },
            Progress::Began { op: 0 },
            Progress::Finished { op: 0, milliseconds: 1, detail: None },
            done(),
        ])
    })
}

fn end_of(world: &World, service: &str, code: i32) -> impl Fn(&Layout) + Send + Clone + Sync + 'static {
    let record = world.record(service, exited(9));
    move |layout| {
        log(layout, &record, &format!("goodbye from {}", record.service));
        let mut ended = record.clone();
        ended.status = exited(code);
        write(layout, &ended);
    }
}

/// Lines in the order of their container.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_by_key(|line| line.split([' ', '-']).next().map(str::to_owned));
    lines
}

#[test]
fn logs_are_shown_until_everything_has_ended() {
    let world = World::new();
    let (web, db) = (end_of(&world, "web", 0), end_of(&world, "db", 3));
    life(&world, move |layout| {
        web(layout);
        db(layout);
    });
    let said = world.muster(&["up"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        sorted(&said.out),
        [
            "db-1   | hello from db",
            "db-1   | goodbye from db",
            "db-1 exited with code 3",
            "web-1  | hello from web",
            "web-1  | goodbye from web",
            "web-1 exited with code 0",
        ]
    );
    assert!(said.err.contains("Attaching to db-1, web-1"), "{}", said.err);
}

#[test]
fn the_first_end_ends_all_when_asked_and_gives_its_code() {
    let world = World::new();
    let supervisor = life(&world, end_of(&world, "db", 3));
    let said = world.muster(&["up", "--abort-on-container-exit"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("Aborting on container exit..."), "{}", said.err);
    assert!(said.out.contains("web-1 exited with code 143"), "{}", said.out);
    assert!(matches!(supervisor.heard()[1].intent, Intent::Stop { .. }));
}

#[test]
fn the_code_is_that_of_the_chosen_service() {
    let world = World::new();
    life(&world, end_of(&world, "db", 3));
    assert_eq!(world.muster(&["up", "--exit-code-from", "web"]).code, Some(143));
}

#[test]
fn an_end_without_failure_is_no_reason_to_stop_all() {
    let world = World::new();
    let (web, db) = (end_of(&world, "web", 0), end_of(&world, "db", 0));
    let supervisor = life(&world, move |layout| {
        db(layout);
        web(layout);
    });
    assert_eq!(world.muster(&["up", "--abort-on-container-failure"]).code, Some(0));
    assert_eq!(supervisor.heard().len(), 1);
}

#[test]
fn an_interrupt_stops_gracefully_and_ends_with_130() {
    let world = World::new();
    let supervisor = life(&world, |_| {});
    let mut child = world.command(&["up", "-t", "7"]).spawn().unwrap();
    let mut out = until_hello(&mut child);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let said = Said::of(child.wait_with_output().unwrap());
    assert_eq!(said.code, Some(130), "{said:?}");
    assert!(said.err.contains("Gracefully Stopping... press Ctrl+C again to force"), "{}", said.err);
    assert!(rest.contains("web-1 exited with code 143"), "{rest}");
    let stop = Intent::Stop { services: Vec::new(), timeout: Some(Duration::from_secs(7)) };
    assert_eq!(supervisor.heard()[1].intent, stop);
}

fn until_hello(child: &mut Child) -> BufReader<std::process::ChildStdout> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for _ in 0..2 {
        line.clear();
        out.read_line(&mut line).unwrap();
    }
    assert!(line.contains("hello"), "{line}");
    out
}

#[test]
fn only_what_is_attached_is_shown() {
    let world = World::new();
    let (web, db) = (end_of(&world, "web", 0), end_of(&world, "db", 0));
    life(&world, move |layout| {
        db(layout);
        web(layout);
    });
    let said = world.muster(&["up", "--no-attach", "db", "--no-log-prefix"]);
    assert_eq!(said.out, "hello from web\ngoodbye from web\nweb-1 exited with code 0\n");
}
