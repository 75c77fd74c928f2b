//! The shim on the real kernel, with the real runtime: these tests play its supervisor and its other peers.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // each test program uses its part
mod shim_bench;

use muster::{
    runtime::spec::ExecSpec,
    shim::wire::{Client, ClientError, Io, Request, Response, Socket, State},
    state::{Lock, record, records::Exit},
};

use shim_bench::*;
use std::{
    fs::{self, File},
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    time::{Duration, Instant},
};

fn exec(args: &[&str], io: Io) -> Request {
    Request::Exec { spec: ExecSpec { process: process(args), privileged: false }, io }
}

/// The next message, or a failure of the test: nothing here waits for ever.
fn next(client: &Client) -> Response {
    assert!(readable(client.socket().as_fd(), PATIENCE), "no message came");
    client.next().unwrap().0
}

/// Runs a command in the container; its output and exit code.
fn exec_output(bench: &Bench, args: &[&str]) -> (String, i32) {
    let client = bench.client();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let null = File::open("/dev/null").unwrap();
    let (answer, _) = client.call(&exec(args, Io::Fds), &[null.as_fd(), writer.as_fd(), writer.as_fd()]).unwrap();
    assert!(matches!(answer, Response::ExecStarted { .. }), "{answer:?}");
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    match next(&client) {
        Response::ExecExited { code } => (text, code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_runs_and_its_words_and_its_exit_code_come_back() {
    let mut bench = Bench::new("echo out; echo err >&2; printf rest; exit 3");
    let exit = bench.run();
    assert_eq!((exit.code, exit.signal, exit.oom), (3, None, false));
    let mut log = bench.log();
    log.sort();
    assert_eq!(log, ["stderr F err", "stdout F out", "stdout F rest"]);
    let written: Exit = record::read(&bench.layout.container_exit(&bench.id)).unwrap().unwrap();
    assert_eq!(written, exit);
    assert!(exit.started_at.unwrap() <= exit.finished_at);
    assert!(!bench.layout.shim_socket(&bench.id).exists());
    assert!(bench.cgroup().processes().unwrap().is_empty());
    assert_eq!(bench.quit(), Some(0));
}

#[test]
fn the_end_of_an_earlier_run_is_not_taken_for_this_ones() {
    let mut bench = Bench::new("sleep 1000");
    fs::create_dir_all(bench.layout.container(&bench.id)).unwrap();
    fs::write(bench.layout.container_exit(&bench.id), "{}").unwrap();
    bench.start();
    bench.started();
    assert!(!bench.layout.container_exit(&bench.id).exists());
}

#[test]
fn a_signal_ends_the_container_and_is_told() {
    let mut bench = Bench::new("trap 'exit 5' USR1; echo ready; while true; do sleep 0.05; done");
    bench.start();
    bench.started();
    assert!(eventually(PATIENCE, || bench.log_text().contains("ready")));
    bench.tell(&Request::Signal { signal: 10, all: false }, &[]);
    assert_eq!(bench.exited().code, 5);
}

#[test]
fn a_kill_of_all_is_a_137() {
    let mut bench = Bench::new("sleep 1000 & sleep 1000");
    bench.start();
    bench.started();
    bench.tell(&Request::Signal { signal: 9, all: true }, &[]);
    let exit = bench.exited();
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
}

#[test]
fn what_cannot_start_is_told_and_the_shim_leaves_with_its_supervisor() {
    let mut bench = Bench::new("");
    bench.spec.container.process.args = vec!["/nosuch".into()];
    bench.start();
    match bench.hear() {
        Response::Failed { error } => {
            assert_eq!(error.code, 127, "{error:?}");
            assert!(error.message.contains("/nosuch"), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    bench.supervisor = None;
    assert_eq!(bench.shim_exit(), Some(0));
    assert!(!bench.layout.shim_socket(&bench.id).exists());
}

#[test]
fn a_shim_that_was_told_nothing_leaves_with_its_supervisor() {
    let mut bench = Bench::new("");
    bench.spawn(env!("CARGO_BIN_EXE_muster").as_ref());
    bench.supervisor = None;
    assert_eq!(bench.shim_exit(), Some(0));
}

#[test]
fn the_shim_keeps_nothing_of_its_parent_and_the_container_nothing_of_the_shim() {
    let mut bench = Bench::new(
        "ls /proc/self/fd; readlink /proc/self/fd/0; cat /proc/self/oom_score_adj; umask; grep SigIgn /proc/self/status; sleep 1000",
    );
    let kept = File::open("/dev/zero").unwrap();
    rustix::io::fcntl_setfd(&kept, rustix::io::FdFlags::empty()).unwrap();
    bench.start();
    bench.started();
    drop(kept);
    assert!(eventually(PATIENCE, || bench.log().len() == 8), "{:?}", bench.log());
    // ls has its directory open besides.
    let log: Vec<String> = bench.log().iter().map(|line| line.replace("stdout F ", "")).collect();
    assert_eq!(log[..7], ["0", "1", "2", "3", "/dev/null", "0", "0022"], "{log:?}");
    // 32 and 33 are the C library's own.
    let ignored = u64::from_str_radix(log[7].split('\t').nth(1).unwrap(), 16).unwrap() & !(3 << 31);
    assert_eq!(ignored, 0, "{log:?}");

    let shim = bench.shim_pid();
    let stat = fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
    assert!(stat.contains("(muster-shim)"), "{stat}");
    assert_eq!(stat.split(' ').nth(5), Some(shim.to_string().as_str()), "a session of its own");
    assert_eq!(fs::read_link(format!("/proc/{shim}/cwd")).unwrap(), std::path::Path::new("/"));
    // Only who has CAP_SYS_RESOURCE may lower it.
    let capable = u64::from_str_radix(&status(shim, "CapEff"), 16).unwrap() & (1 << 24) != 0;
    let score = fs::read_to_string(format!("/proc/{shim}/oom_score_adj")).unwrap();
    assert!(!capable || score.trim() == "-999", "{score}");
    assert_eq!(status(shim, "Threads"), "1");
    for entry in fs::read_dir(format!("/proc/{shim}/fd")).unwrap() {
        let target = fs::read_link(entry.unwrap().path()).unwrap();
        assert_ne!(target, std::path::Path::new("/dev/zero"));
    }
    let socket = fs::metadata(bench.layout.shim_socket(&bench.id)).unwrap();
    assert_eq!(socket.permissions().mode() & 0o077, 0);
    assert_eq!(fs::metadata(bench.layout.run_containers()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn polite_signals_do_not_end_the_shim() {
    let mut bench = Bench::new("sleep 1000");
    bench.start();
    let pid = bench.started();
    for signal in [1, 2, 3, 15] {
        let target = rustix::process::Pid::from_raw(bench.shim_pid()).unwrap();
        rustix::process::kill_process(target, rustix::process::Signal::from_named_raw(signal).unwrap()).unwrap();
    }
    assert_eq!(exec_output(&bench, &["echo", "there"]), ("there\n".into(), 0));
    assert!(runs(pid));
}

#[test]
fn a_full_log_is_rotated() {
    let mut bench = Bench::new("seq 1 2000");
    bench.spec.log.max_size = 10_000;
    bench.spec.log.max_file = 3;
    assert_eq!(bench.run().code, 0);
    let directory = bench.layout.container_log(&bench.id);
    let mut names: Vec<String> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["1.log", "2.log", "current.log"]);
    for name in &names {
        assert!(fs::metadata(directory.join(name)).unwrap().len() <= 10_000);
    }
    assert_eq!(bench.log().last().unwrap(), "stdout F 2000");
}

#[test]
fn long_lines_come_in_parts() {
    let mut bench = Bench::new("head -c 20000 /dev/zero | tr '\\0' x; echo; echo end");
    assert_eq!(bench.run().code, 0);
    let log = bench.log();
    assert_eq!(log.len(), 3);
    assert!(log[0].starts_with("stdout P xxx") && log[0].len() == "stdout P ".len() + 16384);
    assert!(log[1].starts_with("stdout F xxx") && log[1].len() == "stdout F ".len() + 20000 - 16384);
    assert_eq!(log[2], "stdout F end");
}

#[test]
fn without_a_log_nothing_is_written_and_nothing_blocks() {
    let mut bench = Bench::new("seq 1 100000; exit 4");
    bench.spec.log.none = true;
    assert_eq!(bench.run().code, 4);
    assert!(!bench.layout.container_log(&bench.id).exists());
}

#[test]
fn a_million_lines_are_all_there() {
    let mut bench = Bench::new(
        "yes 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789 | head -n 200000",
    );
    let start = Instant::now();
    assert_eq!(bench.run().code, 0);
    let took = start.elapsed();
    assert_eq!(bench.log_text().lines().count(), 200_000);
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_process_left_behind_keeps_nobody_waiting() {
    let mut bench = Bench::new("sleep 1000 & echo done");
    let start = Instant::now();
    assert_eq!(bench.run().code, 0);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(bench.log(), ["stdout F done"]);
    assert!(bench.cgroup().processes().unwrap().is_empty());
}

#[test]
fn who_else_holds_the_pipe_keeps_nobody_waiting() {
    let mut bench = Bench::new("while [ ! -e /tmp/go ]; do sleep 0.02; done; echo last; exit 4");
    bench.start();
    let pid = bench.started();
    let held = fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/fd/1")).unwrap();
    assert_eq!(exec_output(&bench, &["sh", "-c", "echo > /tmp/go"]).1, 0);
    assert_eq!(bench.exited().code, 4);
    assert_eq!(bench.log(), ["stdout F last"]);
    drop(held);
}

#[test]
fn a_container_out_of_memory_says_so() {
    let mut bench = Bench::new("x=$(yes | head -c 200000000); echo survived");
    bench.spec.container.cgroup.limits.memory = Some(32 << 20);
    bench.spec.container.cgroup.limits.memory_swap = Some(32 << 20);
    let exit = bench.run();
    assert_eq!((exit.code, exit.signal, exit.oom), (137, Some(9), true), "{:?}", bench.log());
}

#[test]
fn execs_leave_no_descriptors_and_no_zombies() {
    let mut bench = Bench::new("sleep 1000");
    bench.start();
    bench.started();
    let shim = bench.shim_pid();
    let count = || fs::read_dir(format!("/proc/{shim}/fd")).unwrap().count();
    let before = count();
    for _ in 0..20 {
        assert_eq!(exec_output(&bench, &["true"]).1, 0);
    }
    assert!(eventually(PATIENCE, || count() == before), "{before} -> {}", count());
    let children = fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).unwrap();
    assert_eq!(children.split_whitespace().count(), 1, "{children}");
}

#[test]
fn standard_input_is_empty_or_open_as_asked() {
    let mut closed = Bench::new("cat; echo end");
    assert_eq!(closed.run().code, 0);
    let mut open = Bench::new("cat; echo end");
    open.spec.stdin_open = true;
    open.start();
    open.started();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(open.log_text(), "");
}

#[test]
fn an_exec_has_the_callers_descriptors_and_its_own_exit_code() {
    let mut bench = Bench::new("sleep 1000");
    bench.start();
    bench.started();
    assert_eq!(exec_output(&bench, &["sh", "-c", "echo hello; echo more >&2; exit 7"]), ("hello\nmore\n".into(), 7));
    assert_eq!(exec_output(&bench, &["sh", "-c", "kill -9 $$"]).1, 137);
    let (text, _) = exec_output(&bench, &["sh", "-c", "ls /proc/self/fd | wc -l"]);
    assert_eq!(text.trim(), "4", "ls has its directory open besides the three");
    assert_eq!(bench.log_text(), "");
}

#[test]
fn an_exec_of_no_command_is_a_127() {
    let mut bench = Bench::new("sleep 1000");
    bench.start();
    bench.started();
    match bench.client().call(&exec(&["nosuch"], Io::Null), &[]) {
        Err(ClientError::Failed { failure }) => assert_eq!(failure.code, 127, "{failure:?}"),
        other => panic!("{other:?}"),
    }
    // A failed one leaves the connection free, and no zombie.
    assert_eq!(exec_output(&bench, &["true"]), (String::new(), 0));
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", bench.shim_pid())).unwrap();
    assert_eq!(children.split_whitespace().count(), 1, "{children}");
}

#[test]
fn an_exec_on_a_terminal_gives_its_master_back() {
    let mut bench = Bench::new("sleep 1000");
    bench.start();
    bench.started();
    let client = bench.client();
    let mut request = exec(&["sh", "-c", "stty size; read line; echo got $line"], Io::Tty { rows: 33, cols: 77 });
    if let Request::Exec { spec, .. } = &mut request {
        spec.process.tty = true;
    }
    let (answer, fds) = client.call(&request, &[]).unwrap();
    assert!(matches!(answer, Response::ExecStarted { .. }), "{answer:?}");
    let mut master = File::from(fds.into_iter().next().unwrap());
    master.write_all(b"word\n").unwrap();
    let mut text = Vec::new();
    // The end of a terminal is EIO.
    let _ = master.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("33 77\r\n") && text.contains("got word\r\n"), "{text:?}");
    assert_eq!(next(&client), Response::ExecExited { code: 0 });
}

#[test]
fn an_exec_outlives_its_caller_and_can_be_signalled_by_it() {
    let mut bench = Bench::new("sleep 1000");
    bench.start();
    bench.started();
    let client = bench.client();
    let Response::ExecStarted { pid } = client.call(&exec(&["sleep", "999"], Io::Null), &[]).unwrap().0 else {
        panic!()
    };
    drop(client);
    assert_eq!(exec_output(&bench, &["true"]).1, 0);
    assert!(runs(pid));
    let Response::Processes { pids } = bench.client().call(&Request::Processes, &[]).unwrap().0 else { panic!() };
    assert!(pids.contains(&pid) && pids.len() == 2, "{pids:?}");

    let client = bench.client();
    client.call(&exec(&["sleep", "999"], Io::Null), &[]).unwrap();
    match client.call(&exec(&["true"], Io::Null), &[]) {
        Err(ClientError::Refused { why, .. }) => assert!(why.contains("has a process already"), "{why}"),
        other => panic!("{other:?}"),
    }
    client.send(&Request::SignalExec { signal: 15 }, &[]).unwrap();
    assert_eq!(next(&client), Response::ExecExited { code: 143 });
}

#[test]
fn execs_that_still_run_do_not_hold_up_the_end() {
    let mut bench = Bench::new("sleep 0.3; exit 6");
    bench.start();
    bench.started();
    let client = bench.client();
    client.call(&exec(&["sleep", "999"], Io::Null), &[]).unwrap();
    assert_eq!(bench.exited().code, 6);
    assert_eq!(next(&client), Response::ExecExited { code: 137 });
    assert_eq!(bench.quit(), Some(0));
}

#[test]
fn a_container_with_a_terminal_is_logged() {
    let mut bench = Bench::new("echo on a terminal; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo yes");
    bench.spec.container.process.tty = true;
    assert_eq!(bench.run().code, 0);
    assert_eq!(bench.log(), ["stdout F on a terminal\r", "stdout F yes\r"]);
}

#[test]
fn a_held_container_starts_with_the_descriptors_of_who_attaches() {
    let mut bench = Bench::new("read line; echo got $line; exit 9");
    bench.hold();
    let client = bench.client();
    let (out_reader, out) = std::io::pipe().unwrap();
    let (input, mut in_writer) = std::io::pipe().unwrap();
    let (answer, _) =
        client.call(&Request::Attach { io: Io::Fds }, &[input.as_fd(), out.as_fd(), out.as_fd()]).unwrap();
    let pid = bench.started();
    assert_eq!(answer, Response::Attached { pid });
    drop(out);
    in_writer.write_all(b"word\n").unwrap();
    let mut text = String::new();
    { out_reader }.read_to_string(&mut text).unwrap();
    assert_eq!(text, "got word\n");
    assert!(matches!(next(&client), Response::Exited { exit } if exit.code == 9));
    assert_eq!(bench.exited().code, 9);
    assert_eq!(bench.log_text(), "");
}

#[test]
fn a_held_container_can_have_a_terminal() {
    let mut bench = Bench::new("stty size; exit 2");
    bench.spec.container.process.tty = true;
    bench.hold();
    let client = bench.client();
    let (_, fds) = client.call(&Request::Attach { io: Io::Tty { rows: 11, cols: 22 } }, &[]).unwrap();
    let mut text = Vec::new();
    let _ = File::from(fds.into_iter().next().unwrap()).read_to_end(&mut text);
    assert_eq!(String::from_utf8(text).unwrap(), "11 22\r\n");
    assert!(matches!(next(&client), Response::Exited { exit } if exit.code == 2));
}

#[test]
fn an_attach_that_is_not_expected_is_refused() {
    let mut bench = Bench::new("sleep 1000");
    bench.start();
    bench.started();
    assert!(matches!(
        bench.client().call(&Request::Attach { io: Io::Null }, &[]),
        Err(ClientError::Refused { why, .. }) if why.contains("does not wait")
    ));
    for request in [Request::Start, Request::Quit, Request::Store { names: vec![] }] {
        assert!(matches!(bench.client().call(&request, &[]), Err(ClientError::Refused { .. })), "{request:?}");
    }
}

/// Connects as a new supervisor: state, names and descriptors.
fn adopt(bench: &mut Bench) -> (State, Vec<String>, Vec<OwnedFd>) {
    let socket = Socket::connect(&bench.layout.shim_socket(&bench.id)).unwrap();
    socket.send(&Request::Adopt, &[]).unwrap();
    let (answer, fds) = hear(&socket);
    bench.supervisor = Some(socket);
    match answer {
        Response::Adopted { state, names } => (state, names, fds),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_supervisor_finds_the_container_and_the_descriptors() {
    let mut bench = Bench::new("sleep 1000");
    bench.spawn(env!("CARGO_BIN_EXE_muster").as_ref());
    let stored = tempfile::tempfile().unwrap();
    bench.tell(&Request::Store { names: vec!["dns-udp".into()] }, &[stored.as_fd()]);
    bench.tell(&Request::Start, &[]);
    let pid = bench.started();
    // Another supervisor lives already, so the shim starts none.
    let lock = Lock::acquire(&bench.layout.supervisor_lock(&bench.spec.project)).unwrap();
    bench.supervisor = None;
    let (state, names, fds) = adopt(&mut bench);
    assert!(matches!(state, State::Running { pid: running, .. } if running == pid), "{state:?}");
    assert_eq!(names, ["dns-udp"]);
    let inode = |file: &File| file.metadata().unwrap().ino();
    assert_eq!(inode(&File::from(fds.into_iter().next().unwrap())), inode(&stored));
    bench.tell(&Request::Signal { signal: 9, all: false }, &[]);
    assert_eq!(bench.exited().code, 137);
    assert_eq!(bench.quit(), Some(0));
    assert!(!bench.layout.supervisor_log(&bench.spec.project).exists());
    drop(lock);
}

#[test]
fn an_end_without_a_supervisor_is_told_to_the_next_one() {
    let mut bench = Bench::new("read line < /tmp/fifo; exit 8");
    fs::create_dir_all(bench.spec.container.root.upper.join("tmp")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bench.spec.container.root.upper.join("tmp/fifo"),
        rustix::fs::FileType::Fifo,
        0o666.into(),
        0,
    )
    .unwrap();
    bench.start();
    let pid = bench.started();
    let lock = Lock::acquire(&bench.layout.supervisor_lock(&bench.spec.project)).unwrap();
    bench.supervisor = None;
    assert_eq!(exec_output(&bench, &["sh", "-c", "echo > /tmp/fifo"]).1, 0);
    assert!(eventually(PATIENCE, || !runs(pid)));
    let (state, ..) = adopt(&mut bench);
    assert!(matches!(state, State::Ended { exit } if exit.code == 8));
    assert!(!bench.layout.shim_socket(&bench.id).exists());
    assert_eq!(bench.quit(), Some(0));
    drop(lock);
}

#[test]
fn an_end_that_nobody_asks_for_is_on_disk_when_the_shim_leaves() {
    let mut bench = Bench::new("sleep 0.2; exit 8");
    bench.start();
    bench.started();
    let lock = Lock::acquire(&bench.layout.supervisor_lock(&bench.spec.project)).unwrap();
    bench.supervisor = None;
    assert_eq!(bench.shim_exit(), Some(0));
    let exit: Exit = record::read(&bench.layout.container_exit(&bench.id)).unwrap().unwrap();
    assert_eq!(exit.code, 8);
    assert!(!bench.layout.shim_socket(&bench.id).exists());
    drop(lock);
}

#[test]
fn a_supervisor_that_forgets_to_say_quit_does_not_keep_the_shim() {
    let mut bench = Bench::new("exit 1");
    assert_eq!(bench.run().code, 1);
    assert_eq!(bench.shim_exit(), Some(0));
}

#[test]
fn quit_ends_a_running_container() {
    let mut bench = Bench::new("sleep 1000");
    bench.start();
    let pid = bench.started();
    bench.tell(&Request::Quit, &[]);
    assert_eq!(bench.exited().code, 137);
    assert_eq!(bench.shim_exit(), Some(0));
    assert!(!runs(pid));
}

#[test]
fn the_container_dies_with_its_shim() {
    let mut bench = Bench::new("sleep 1000 & sleep 1000");
    bench.start();
    let pid = bench.started();
    let Response::Processes { pids } = bench.client().call(&Request::Processes, &[]).unwrap().0 else { panic!() };
    assert!(pids.contains(&pid));
    let mut shim = bench.shim.take().unwrap();
    shim.kill().unwrap();
    shim.wait().unwrap();
    assert!(eventually(Duration::from_secs(1), || !pids.iter().any(|pid| runs(*pid))));
}

#[test]
fn a_socket_of_a_killed_shim_is_replaced() {
    let mut bench = Bench::new("sleep 1000");
    let path = bench.layout.shim_socket(&bench.id);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    bench.start();
    bench.started();
    assert_eq!(exec_output(&bench, &["true"]).1, 0);
}

#[test]
fn a_shim_that_rests_has_less_than_a_mebibyte_of_its_own() {
    let mut bench = Bench::new("seq 1 50000; sleep 1000");
    bench.start();
    bench.started();
    assert_eq!(exec_output(&bench, &["true"]).1, 0);
    assert!(eventually(PATIENCE, || bench.log_text().contains(" 50000\n")));
    // The pages of the program's file are shared by all of its processes, but for the relocated ones, which a debug build
    // has three times as many of.
    let (limit, file) = if cfg!(debug_assertions) { (256, "/muster") } else { (1024, "no file") };
    let own = || {
        let text = fs::read_to_string(format!("/proc/{}/smaps", bench.shim_pid())).unwrap();
        let mut counts = true;
        let mut sum = 0;
        for line in text.lines() {
            match line.strip_prefix("Anonymous:") {
                Some(size) if counts => sum += size.trim().trim_end_matches(" kB").parse::<u64>().unwrap(),
                None if line.contains(" r--p ") || line.contains(" rw-p ") => counts = !line.ends_with(file),
                _ => {}
            }
        }
        sum
    };
    assert!(eventually(PATIENCE, || (1..limit).contains(&own())), "{} KiB", own());
    assert_eq!(bench.log().len(), 50_000);
    assert!(runs(bench.shim_pid()));
}

#[test]
fn nonsense_is_refused_and_does_no_harm() {
    let mut bench = Bench::new("sleep 1000");
    bench.start();
    bench.started();
    let socket = Socket::connect(&bench.layout.shim_socket(&bench.id)).unwrap();
    socket.send(&"nonsense", &[]).unwrap();
    assert!(matches!(hear(&socket).0, Response::Refused { .. }));
    assert_eq!(exec_output(&bench, &["true"]).1, 0);
}
