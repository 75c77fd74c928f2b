//! `run`: one container of a service, for one command.

use super::stack::Stack;
use std::process::Stdio;

const APP: &str = "
services:
  db:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
  app:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    environment: {A: '1'}
    restart: always
    depends_on: [db]
";

#[test]
fn run_hands_on_the_exit_code_and_the_streams() {
    let stack = Stack::new("run", APP);
    let ran = stack.run(&["run", "--rm", "-T", "app", "sh", "-c", "echo out; echo err >&2; exit 12"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (12, "out\n"), "{ran:#?}");
    assert!(ran.stderr.contains("err"));
    assert_eq!(stack.run(&["run", "--rm", "-T", "app", "no-such-program"]).code, 127);
    // What it depends on was started and stays; of the run itself nothing is left.
    let rows = stack.ps();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["Service"], "db");
}

#[test]
fn run_takes_its_own_environment_volumes_and_entrypoint() {
    let stack = Stack::new("runopts", APP);
    stack.write("share/file", "shared\n");
    let share = format!("{}:/share:ro", stack.directory().join("share").display());
    let run = |args: &[&str]| stack.ok(&[&["run", "--rm", "-T", "--no-deps"], args].concat());
    assert_eq!(run(&["-e", "A=2", "-e", "B=3", "app", "sh", "-c", "echo $A $B"]), "2 3\n");
    assert_eq!(run(&["-v", &share, "app", "cat", "/share/file"]), "shared\n");
    assert_eq!(run(&["--entrypoint", "echo", "app", "a", "b"]), "a b\n");
    assert_eq!(stack.ps().len(), 0, "--no-deps starts nothing else");
}

#[test]
fn run_reads_standard_input() {
    let stack = Stack::new("runin", APP);
    let mut command = stack.command(&["run", "--rm", "-T", "--no-deps", "app", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"typed\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"typed\n");
}

#[test]
fn a_detached_run_goes_on_and_down_takes_it_along() {
    let stack = Stack::new("rundetached", APP);
    let id = stack.ok(&["run", "-d", "--no-deps", "app", "sleep", "500"]).trim().to_owned();
    let record = stack.records().into_iter().find(|record| record.oneoff).unwrap();
    assert_eq!(record.id.as_str(), id);
    assert!(record.name.starts_with(&format!("{}-app-run-", stack.name)), "{}", record.name);
    stack.ok(&["down", "-t", "0", "--remove-orphans"]);
    assert_eq!(stack.records().len(), 0);
}

#[test]
fn a_run_that_is_interrupted_hands_the_signal_on() {
    let stack = Stack::new("runint", APP);
    let line = "trap 'echo caught; exit 33' INT; echo ready; while :; do sleep 0.05; done";
    let mut command = stack.command(&["run", "--rm", "-T", "--no-deps", "app", "sh", "-c", line]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut first = [0; 6];
    std::io::Read::read_exact(&mut out, &mut first).unwrap();
    super::proc::kill(child.id() as i32, rustix::process::Signal::INT);
    assert_eq!(super::stack::code(child.wait().unwrap()), 33);
}

#[test]
fn down_does_not_wait_for_a_run_to_end() {
    let stack = Stack::new("rundown", APP);
    let mut command = stack.command(&["run", "--rm", "-T", "--no-deps", "app", "sh", "-c", "echo ready; sleep 500"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    stack.ok(&["down", "-t", "0", "--remove-orphans"]);
    assert_eq!(super::stack::code(child.wait().unwrap()), 137);
    assert_eq!(stack.records().len(), 0);
}
