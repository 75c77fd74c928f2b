//! Restart policies, with their back-off.

use super::{
    proc::{self, eventually},
    stack::Stack,
};
use std::time::Duration;

#[test]
fn on_failure_gives_up_after_its_count_and_says_so() {
    let stack = Stack::new(
        "onfailure",
        "services: {x: {image: '%IMAGE%', command: [sh, -c, 'echo try; exit 9'], restart: 'on-failure:3'}}",
    );
    stack.run(&["up", "-d"]);
    eventually("it has given up", Duration::from_secs(10), || {
        stack.ps_of("x")["State"] == "exited" && stack.record("x").restarts == 3
    });
    assert_eq!(stack.ps_of("x")["ExitCode"], 9);
    let table = stack.ok(&["ps", "-a"]);
    assert!(table.contains("gave up after 3 restarts"), "{table}");
    assert_eq!(stack.ok(&["logs", "--no-log-prefix", "x"]), "try\n".repeat(4));
    // From 100 ms, doubling.
    let events = stack.events();
    let time = |event: &muster::api::Event| event.time.parse::<jiff::Timestamp>().unwrap();
    let starts: Vec<_> = events.iter().filter(|event| event.action == "start").map(time).collect();
    let deaths: Vec<_> = events.iter().filter(|event| event.action == "die").map(time).collect();
    assert_eq!((starts.len(), deaths.len()), (4, 4), "{events:#?}");
    for (step, wanted) in [100, 200, 400].into_iter().enumerate() {
        let pause = starts[step + 1].duration_since(deaths[step]).as_millis();
        assert!(
            pause >= wanted - 5 && pause < wanted + 400 * i128::from(proc::patience()),
            "restart {}: {pause} ms",
            step + 1
        );
    }
}

#[test]
fn on_failure_leaves_a_success_alone_and_no_leaves_everything_alone() {
    let stack = Stack::new(
        "nopolicy",
        "
services:
  fine: {image: '%IMAGE%', command: ['true'], restart: on-failure}
  never: {image: '%IMAGE%', command: ['false']}
",
    );
    stack.run(&["up", "-d"]);
    eventually("both have ended", Duration::from_secs(5), || stack.ps().iter().all(|row| row["State"] == "exited"));
    std::thread::sleep(Duration::from_millis(400));
    assert!(stack.records().iter().all(|record| record.restarts == 0));
    assert_eq!(stack.ps_of("never")["ExitCode"], 1);
}

#[test]
fn always_brings_back_a_success_but_not_what_a_person_stopped() {
    let stack = Stack::new(
        "always",
        "
services:
  once: {image: '%IMAGE%', command: [sleep, '0.2'], restart: always}
  kept: {image: '%IMAGE%', command: [sleep, '1000'], init: true, restart: unless-stopped}
",
    );
    stack.up();
    eventually("it came back twice", Duration::from_secs(10), || stack.record("once").restarts >= 2);
    let kept = stack.pid("kept");
    proc::kill(kept, rustix::process::Signal::KILL);
    eventually("the killed one came back", Duration::from_secs(4), || {
        stack.running("kept").is_some_and(|pid| pid != kept)
    });
    stack.ok(&["stop", "-t", "0"]);
    std::thread::sleep(Duration::from_millis(600));
    assert!(stack.ps().iter().all(|row| row["State"] == "exited"), "{:#?}", stack.ps());
}
