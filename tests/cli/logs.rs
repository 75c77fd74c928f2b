//! `logs`, which needs nothing but files.

use crate::world::{Said, World, exited, log, log_at, running, write};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    time::{Duration, Instant},
};

#[test]
fn lines_of_all_come_in_the_order_of_time() {
    let world = World::new();
    let (web, db) = (world.record("web", exited(0)), world.record("db", exited(0)));
    log_at(&world.layout, &web, "2026-11-22T10:00:01.000000000Z", "one");
    log_at(&world.layout, &db, "2026-11-22T10:00:02.000000000Z", "two");
    log_at(&world.layout, &web, "2026-11-22T10:00:03.000000000Z", "three");
    let out = |words: &[&str]| world.muster(words).out;
    assert_eq!(out(&["logs"]), "web-1  | one\ndb-1   | two\nweb-1  | three\n");
    assert_eq!(out(&["logs", "-n", "1", "--no-log-prefix"]), "two\nthree\n");
    assert_eq!(out(&["logs", "db"]), "db-1  | two\n");
    assert_eq!(out(&["logs", "--since", "2026-11-22T10:00:02Z", "--until", "2026-11-22T10:00:02Z"]), "db-1   | two\n");
    assert_eq!(out(&["logs", "-t", "db"]), "db-1  | 2026-11-22T10:00:02.000000000Z two\n");
    assert_eq!(out(&["--ansi", "always", "logs", "db"]), "\x1b[36mdb-1  |\x1b[0m two\n");
    assert_eq!(out(&["--ansi", "always", "logs", "--no-color", "db"]), "db-1  | two\n");
    assert_eq!(world.muster(&["logs", "nobody"]).code, Some(1));
}

#[test]
fn following_shows_new_lines_new_containers_and_ends_with_the_last() {
    let world = World::new();
    let mut web = world.record("web", running());
    log(&world.layout, &web, "old");
    let mut child = world.command(&["logs", "-f"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(next(), "web-1  | old\n");
    log(&world.layout, &web, "new");
    assert_eq!(next(), "web-1  | new\n");

    let directory = world.layout.container_log(&web.id);
    fs::rename(directory.join("current.log"), directory.join("1.log")).unwrap();
    log(&world.layout, &web, "after the rotation");
    assert_eq!(next(), "web-1  | after the rotation\n");

    let mut db = world.record("db", running());
    log(&world.layout, &db, "late");
    assert_eq!(next(), "db-1   | late\n");

    web.status = exited(1);
    write(&world.layout, &web);
    assert_eq!(next(), "web-1 exited with code 1\n");
    db.status = exited(0);
    write(&world.layout, &db);
    assert_eq!(next(), "db-1 exited with code 0\n");
    assert_eq!(Said::of(child.wait_with_output().unwrap()).code, Some(0));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let world = World::new();
    let web = world.record("web", exited(0));
    let line = format!("2026-11-22T10:00:00.000000000Z stdout F {}\n", "x".repeat(100));
    fs::create_dir_all(world.layout.container_log(&web.id)).unwrap();
    fs::write(world.layout.container_log(&web.id).join("current.log"), line.repeat(20_000)).unwrap();
    let mut child = world.command(&["logs"]).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 100]).unwrap();
    drop(out);
    let said = Said::of(child.wait_with_output().unwrap());
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
}

/// A bound that only a mistake of kind (an allocation, a system call a line) passes by; the bench measures.
#[test]
fn a_million_lines_take_no_time() {
    let world = World::new();
    for (service, offset) in [("web", 0), ("db", 1)] {
        let record = world.record(service, exited(0));
        let directory = world.layout.container_log(&record.id);
        fs::create_dir_all(&directory).unwrap();
        let mut file = std::io::BufWriter::new(fs::File::create(directory.join("current.log")).unwrap());
        for n in 0..500_000 {
            let n = n * 2 + offset;
            let text = "x".repeat(100);
            writeln!(file, "2026-11-22T10:{:02}:{:02}.{n:09}Z stdout F {text}", n / 60_000, n / 1000 % 60).unwrap();
        }
    }
    let sink = tempfile::tempfile().unwrap();
    let began = Instant::now();
    let status = world.command(&["logs"]).stdout(sink.try_clone().unwrap()).status().unwrap();
    let took = began.elapsed();
    assert!(status.success());
    assert!(sink.metadata().unwrap().len() > 105_000_000);
    assert!(took < Duration::from_secs(10), "{took:?}");
}
