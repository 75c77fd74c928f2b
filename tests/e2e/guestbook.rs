//! The example, as a person would use it: PostgreSQL, a Python program and nginx, from Debian's packages.

use super::{
    http,
    proc::eventually,
    stack::{Stack, free_port, loopback},
};
use std::{fs, path::Path, process::Command, time::Duration};

#[test]
fn an_entry_stays_over_down_and_up_and_goes_with_down_v() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/guestbook");
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/guestbook/images.tar");
    let built = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guestbook-images.sh")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let port = free_port();
    let stack = Stack::new("guestbook", "services: {}");
    let yaml = fs::read_to_string(example.join("compose.yaml")).unwrap();
    stack.write("compose.yaml", &yaml);
    stack.write(".env", &format!("GUESTBOOK_PORT={port}\n"));
    stack.write("secrets/db_password", "a password of the tests\n");
    stack.ok(&["load", "-i", archive.to_str().unwrap()]);

    stack.ok(&["up", "-d", "--wait"]);
    for service in ["db", "app", "web"] {
        assert_eq!(stack.ps_of(service)["Health"], "healthy", "{service}");
    }
    let page = || http::get(loopback(port), "/").unwrap_or_default();
    assert!(page().contains("Nobody has signed yet"), "{}", page());
    let answer = http::post(loopback(port), "/", "name=Ada+%3CL%3E&text=It+stays").unwrap();
    assert!(answer.contains("303"), "{answer}");
    assert!(page().contains("Ada &lt;L&gt;") && page().contains("It stays"), "{}", page());

    // The gate between the database and the program was short.
    let gap = stack.event_time("app", "start").duration_since(stack.event_time("db", "health_status: healthy"));
    eprintln!("database healthy to program started: {} ms", gap.as_millis());
    assert!(!gap.is_negative());

    let count = stack.ok(&["exec", "-T", "db", "psql", "-U", "guestbook", "-Atc", "select count(*) from entries"]);
    assert_eq!(count, "1\n");

    // The database is on the internal network alone.
    assert_eq!(stack.record("db").networks.len(), 1);
    assert_ne!(stack.run(&["exec", "-T", "db", "bash", "-c", "exec 3<>/dev/tcp/198.51.100.1/80"]).code, 0);

    // A new program container, and nginx finds it.
    stack.ok(&["up", "-d", "--wait", "--force-recreate", "--no-deps", "app"]);
    eventually("the page is back", Duration::from_secs(10), || page().contains("It stays"));

    // A crash of the database: its policy brings it back with all entries.
    super::proc::kill(stack.pid("db"), rustix::process::Signal::KILL);
    eventually("the database is back", Duration::from_secs(30), || page().contains("It stays"));

    stack.ok(&["down"]);
    assert!(http::get(loopback(port), "/").is_err());
    stack.ok(&["up", "-d", "--wait"]);
    assert!(page().contains("It stays"), "{}", page());
    stack.ok(&["down", "-v"]);
    stack.ok(&["up", "-d", "--wait"]);
    assert!(page().contains("Nobody has signed yet"), "{}", page());
}
