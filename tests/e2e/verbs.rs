//! The commands that fingers know, on a small stack.

use super::{
    proc::{self, eventually},
    stack::{Stack, code, free_port, run},
};
use serde_json::Value;
use std::{
    io::Read,
    process::Stdio,
    time::{Duration, Instant},
};

const TWO: &str = "
services:
  web:
    image: '%IMAGE%'
    command: [sh, -c, 'echo hello from web; echo and an error >&2; exec sleep 1000']
    init: true
  worker:
    image: '%IMAGE%'
    command: [sleep, '1000']
    stop_grace_period: 0s
    depends_on: [web]
";

#[test]
fn up_brings_a_stack_up_and_down_takes_all_of_it_away() {
    let stack = Stack::new("updown", TWO);
    stack.up();
    let rows = stack.ps();
    assert_eq!(rows.len(), 2, "{rows:#?}");
    for row in &rows {
        assert_eq!(row["State"], "running");
        assert_eq!(row["Project"], stack.name.as_str());
        assert_eq!(row["Name"], format!("{}-{}-1", stack.name, row["Service"].as_str().unwrap()));
    }
    let (web, worker) = (stack.pid("web"), stack.pid("worker"));
    assert!(proc::alive(web) && proc::alive(worker));
    stack.ok(&["down"]);
    assert!(!proc::alive(web) && !proc::alive(worker));
    assert_eq!(stack.ps().len(), 0);
    // Nothing to do is no error.
    stack.ok(&["down"]);
}

#[test]
fn up_detached_lets_go_of_its_pipes() {
    let stack = Stack::new("pipes", TWO);
    let mut child = stack.command(&["up", "-d"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    // Reads to the end of both: a supervisor or shim that held them open would keep this for ever.
    let mut text = String::new();
    let mut stderr = child.stderr.take().unwrap();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    stderr.read_to_string(&mut text).unwrap();
    assert_eq!(code(child.wait().unwrap()), 0, "{text}");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn logs_show_both_streams_with_the_container_in_front() {
    let stack = Stack::new("logs", TWO);
    stack.up();
    eventually("the lines are in the log", Duration::from_secs(5), || {
        let logs = stack.ok(&["logs", "web"]);
        logs.contains("hello from web") && logs.contains("and an error")
    });
    let logs = stack.ok(&["logs", "--no-color", "web"]);
    let line = logs.lines().find(|line| line.contains("hello")).unwrap();
    assert!(line.starts_with("web-1") && line.contains("| hello from web"), "{line}");
    let bare = stack.ok(&["logs", "--no-log-prefix", "-n", "1", "web"]);
    assert_eq!(bare.lines().count(), 1, "{bare}");
    let stamped = stack.ok(&["logs", "--no-log-prefix", "--timestamps", "-n", "1", "web"]);
    let stamp = stamped.split(' ').next().unwrap();
    assert!(stamp.parse::<jiff::Timestamp>().is_ok(), "{stamped}");
}

#[test]
fn logs_outlive_a_stop_and_follow_ends_with_the_container() {
    let stack = Stack::new(
        "follow",
        "
services:
  talker:
    image: '%IMAGE%'
    command: [sh, -c, 'for i in 1 2 3 4 5; do echo line $$i; sleep 0.1; done']
",
    );
    stack.up();
    let followed = stack.ok(&["logs", "-f", "--no-log-prefix"]);
    let lines = "line 1\nline 2\nline 3\nline 4\nline 5\n";
    assert!(followed.starts_with(lines), "{followed}");
    assert_eq!(stack.ok(&["logs", "--no-log-prefix"]), lines);
}

#[test]
fn exec_hands_on_streams_and_exit_code() {
    let stack = Stack::new("exec", TWO);
    stack.up();
    assert_eq!(stack.exec("web", &["echo", "one two"]), "one two");
    let ran = stack.shell("web", "echo out; echo err >&2; exit 7");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (7, "out\n", "err\n"));
    assert_eq!(stack.shell("web", "kill -9 $$").code, 137);
    assert_eq!(stack.exec("web", &["id", "-u"]), "0");
    assert_eq!(stack.ok(&["exec", "-T", "-u", "alice", "web", "id", "-un"]), "alice\n");
    assert_eq!(stack.ok(&["exec", "-T", "-u", "1000:2000", "web", "id", "-g"]), "2000\n");
    assert_eq!(stack.ok(&["exec", "-T", "-w", "/tmp", "-e", "A=b", "web", "sh", "-c", "echo $PWD $A"]), "/tmp b\n");
    // Not there: 127; there but not to be run: 126; as shells say it.
    assert_eq!(stack.run(&["exec", "-T", "web", "no-such-program"]).code, 127);
    assert_eq!(stack.run(&["exec", "-T", "web", "/etc/passwd"]).code, 126);
    let mut command = stack.command(&["exec", "-T", "web", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"through and back").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"through and back");
}

#[test]
fn stop_start_and_restart_keep_the_container() {
    let stack = Stack::new("stopstart", TWO);
    stack.up();
    let (first, id) = (stack.pid("worker"), stack.record("worker").id);
    stack.ok(&["stop", "worker"]);
    assert!(!proc::alive(first));
    assert_eq!(stack.ps_of("worker")["State"], "exited");
    assert_eq!(stack.ps_of("web")["State"], "running");
    stack.ok(&["start", "worker"]);
    let second = stack.pid("worker");
    assert!(proc::alive(second) && second != first);
    stack.ok(&["restart", "-t", "0", "worker"]);
    let third = stack.pid("worker");
    assert!(proc::alive(third) && third != second && !proc::alive(second));
    assert_eq!(stack.record("worker").id, id, "the container is the same all along");
}

#[test]
fn what_a_container_wrote_stays_over_a_restart_and_goes_with_it() {
    let stack = Stack::new("upper", TWO);
    stack.up();
    stack.exec("web", &["sh", "-c", "echo kept > /kept; rm /www/index.html"]);
    stack.ok(&["restart", "-t", "0", "web"]);
    assert_eq!(stack.exec("web", &["cat", "/kept"]), "kept");
    assert_ne!(stack.shell("web", "test -e /www/index.html").code, 0);
    stack.ok(&["up", "-d", "--force-recreate", "-t", "0"]);
    assert_ne!(stack.shell("web", "test -e /kept").code, 0);
    assert_eq!(stack.exec("web", &["cat", "/www/index.html"]), "busybox here");
    // And the image itself never saw any of it.
    assert!(!stack.ground.rootfs().join("kept").exists());
}

#[test]
fn kill_sends_the_signal_and_rm_removes_what_has_ended() {
    let stack = Stack::new("killrm", TWO);
    stack.up();
    stack.ok(&["kill", "-s", "KILL", "worker"]);
    eventually("worker has ended", Duration::from_secs(2), || stack.ps_of("worker")["State"] == "exited");
    assert_eq!(stack.ps_of("worker")["ExitCode"], 137);
    stack.ok(&["rm", "-f", "worker"]);
    let rows = stack.ps();
    assert_eq!(rows.len(), 1, "{rows:#?}");
}

#[test]
fn stop_sends_the_stop_signal_waits_the_grace_and_then_kills() {
    let stack = Stack::new(
        "grace",
        "
services:
  polite:
    image: '%IMAGE%'
    command: [sh, -c, 'trap \"echo bye; exit 3\" USR1; while :; do sleep 0.05; done']
    stop_signal: SIGUSR1
    stop_grace_period: 20s
  stubborn:
    image: '%IMAGE%'
    command: [sh, -c, 'trap \"echo no\" TERM; while :; do sleep 0.05; done']
    stop_grace_period: 1s
",
    );
    stack.up();
    std::thread::sleep(Duration::from_millis(200));
    let begin = Instant::now();
    stack.ok(&["stop"]);
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
    assert_eq!(stack.ps_of("polite")["ExitCode"], 3);
    assert_eq!(stack.ps_of("stubborn")["ExitCode"], 137);
    assert!(stack.ok(&["logs", "--no-log-prefix", "polite"]).contains("bye"));
}

#[test]
fn ls_port_top_images_and_config_tell_what_is_there() {
    let port = free_port();
    let stack = Stack::new(
        "tell",
        &format!(
            "
services:
  web:
    image: '%IMAGE%'
    command: [httpd, -f, -h, /www]
    ports: ['127.0.0.1:{port}:80']
"
        ),
    );
    stack.up();
    let projects: Vec<Value> = serde_json::from_str(&stack.ok(&["ls", "--format", "json"])).unwrap();
    let own = projects.iter().find(|project| project["Name"] == stack.name.as_str()).unwrap();
    assert_eq!(own["Status"], "running(1)");
    assert!(own["ConfigFiles"].as_str().unwrap().ends_with("compose.yaml"));
    assert_eq!(stack.ok(&["port", "web", "80"]).trim(), format!("127.0.0.1:{port}"));
    assert!(stack.ok(&["top"]).contains("httpd"));
    assert_eq!(stack.ok(&["config", "--services"]).trim(), "web");
    assert!(stack.ok(&["config"]).contains("services:"));
    let config: Value = serde_json::from_str(&stack.ok(&["config", "--format", "json"])).unwrap();
    assert_eq!(config["name"], stack.name.as_str());
    assert_eq!(config["services"]["web"]["ports"][0]["target"], 80);
    stack.ok(&["config", "-q"]);
    stack.ok(&["images"]);
    assert!(run(stack.ground.muster().arg("version")).stdout.contains(env!("CARGO_PKG_VERSION")));
    let publishers = &stack.ps_of("web")["Publishers"][0];
    assert_eq!((&publishers["PublishedPort"], &publishers["TargetPort"]), (&port.into(), &80.into()));
}

#[test]
fn attached_up_shows_the_logs_and_ends_as_asked() {
    let stack = Stack::new(
        "attached",
        "
services:
  job:
    image: '%IMAGE%'
    command: [sh, -c, 'echo working; sleep 0.3; exit 5']
  server:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
",
    );
    let ran = stack.run(&["up", "--abort-on-container-exit"]);
    assert_eq!(ran.code, 5, "{ran:#?}");
    assert!(ran.stdout.contains("working"), "{ran:#?}");
    let ran = stack.run(&["up", "--exit-code-from", "job"]);
    assert_eq!(ran.code, 5, "{ran:#?}");
    assert!(stack.ps().iter().all(|row| row["State"] == "exited"), "{:#?}", stack.ps());
}

#[test]
fn wait_returns_when_all_is_healthy_and_fails_when_something_is_not() {
    let stack = Stack::new(
        "wait",
        "
services:
  good:
    image: '%IMAGE%'
    command: [sh, -c, 'sleep 0.5; touch /tmp/ready; exec sleep 1000']
    init: true
    healthcheck: {test: [CMD, test, -e, /tmp/ready], interval: 100ms, retries: 50}
",
    );
    stack.ok(&["up", "-d", "--wait"]);
    assert_eq!(stack.ps_of("good")["Health"], "healthy");
    stack.compose(
        "
services:
  bad:
    image: '%IMAGE%'
    command: [sh, -c, 'echo starting; sleep 0.2; echo broken configuration >&2; exit 4']
    healthcheck: {test: [CMD, 'false'], interval: 1s}
",
    );
    let ran = stack.fails(&["up", "-d", "--wait", "--remove-orphans"]);
    assert_eq!(ran.code, 1);
    let text = ran.stdout + &ran.stderr;
    assert!(text.contains("exited (4)"), "{text}");
}

#[test]
fn a_program_that_is_not_there_fails_up_with_its_name() {
    let stack = Stack::new("noprogram", "services: {x: {image: '%IMAGE%', command: [/no/such/program]}}");
    let ran = stack.fails(&["up", "-d"]);
    assert!(ran.stderr.contains("/no/such/program"), "{ran:#?}");
    assert!(stack.ps().iter().all(|row| row["State"] != "running"));
}
