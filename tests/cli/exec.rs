//! `exec` against a shim that does what a test says.

use crate::world::{Said, World, running};
use muster::{
    shim::wire::{Io, LogSpec, Request, Response, ShimSpec, Socket, StartFailure},
    state::{Durability, record, records::ContainerRecord},
    sys::seqpacket,
};
use std::{
    fs::{self, File},
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    process::Stdio,
    thread::JoinHandle,
};

/// Answers one connection.
fn shim(
    world: &World,
    act: impl FnOnce(Socket, Request, Vec<OwnedFd>) + Send + 'static,
) -> (ContainerRecord, JoinHandle<()>) {
    let web = world.record("web", running());
    record::write(&world.layout.container_spec(&web.id), &spec(world, &web), Durability::Volatile).unwrap();
    let path = world.layout.shim_socket(&web.id);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener = seqpacket::listen(&path, 8).unwrap();
    let served = std::thread::spawn(move || {
        let connection = loop {
            rustix::event::poll(&mut [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)], None)
                .unwrap();
            if let Some(connection) = seqpacket::accept(listener.as_fd()).unwrap() {
                break Socket::from(connection);
            }
        };
        connection.set_nonblocking(false).unwrap();
        let (request, fds) = connection.receive::<Request>().unwrap().unwrap();
        act(connection, request, fds);
    });
    (web, served)
}

fn spec(world: &World, record: &ContainerRecord) -> ShimSpec {
    let container = serde_json::json!({
        "id": record.id, "hostname": "web", "domainname": null,
        "root": {"lower": ["/"], "upper": "/u", "work": "/w", "read_only": false},
        "mounts": [], "net": "new", "cgroup": {"path": "muster/app/x", "limits": {}}, "shm_size": 1, "sysctls": {},
        "init": false, "oom_score_adj": null, "privileged": false,
        "process": {
            "args": ["serve"], "env": ["A=image", "B=b"], "cwd": "/srv", "user": "app", "additional_groups": [],
            "tty": false, "capabilities": [], "no_new_privileges": false, "seccomp": "default", "rlimits": {}
        }
    });
    ShimSpec {
        project: "app".into(),
        data: world.layout.data().to_owned(),
        run: world.layout.run().to_owned(),
        log: LogSpec { none: true, max_size: 1, max_file: 1 },
        stdin_open: false,
        hold: false,
        container: serde_json::from_value(container).unwrap(),
    }
}

#[test]
fn bytes_go_both_ways_and_the_exit_code_comes_back() {
    let world = World::new();
    let (_, served) = shim(&world, |connection, request, fds| {
        let Request::Exec { spec, io: Io::Fds } = request else { panic!("{request:?}") };
        assert_eq!(spec.process.args, ["cat", "-n"]);
        assert_eq!(spec.process.env, ["B=b", "A=flag"]);
        assert_eq!((spec.process.user.as_str(), spec.process.cwd.to_str()), ("root", Some("/tmp")));
        let [stdin, stdout, stderr]: [OwnedFd; 3] = fds.try_into().unwrap();
        connection.send(&Response::ExecStarted { pid: 1 }, &[]).unwrap();
        let mut text = String::new();
        File::from(stdin).read_to_string(&mut text).unwrap();
        File::from(stdout).write_all(text.to_uppercase().as_bytes()).unwrap();
        File::from(stderr).write_all(b"careful\n").unwrap();
        connection.send(&Response::ExecExited { code: 42 }, &[]).unwrap();
    });
    // A regular file is never handed on, so this goes through our pipes; the outputs of the test are pipes already.
    let input = world.project().join("input");
    fs::write(&input, "x".repeat(500_000)).unwrap();
    let words = ["exec", "-e", "A=flag", "-u", "root", "-w", "/tmp", "web", "cat", "-n"];
    let mut command = world.command(&words);
    let said = Said::of(command.stdin(Stdio::from(File::open(&input).unwrap())).output().unwrap());
    served.join().unwrap();
    assert_eq!((said.code, said.err.as_str()), (Some(42), "careful\n"));
    assert!(said.out == "X".repeat(500_000), "{}", said.out.len());
}

#[test]
fn no_descriptor_of_a_host_file_reaches_the_container() {
    let world = World::new();
    let (_, served) = shim(&world, |connection, _, fds| {
        for fd in &fds {
            let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(fd).unwrap().st_mode);
            assert!(matches!(kind, rustix::fs::FileType::Fifo | rustix::fs::FileType::Socket), "{kind:?}");
        }
        connection.send(&Response::ExecStarted { pid: 1 }, &[]).unwrap();
        File::from(fds.into_iter().nth(1).unwrap()).write_all(b"kept\n").unwrap();
        connection.send(&Response::ExecExited { code: 0 }, &[]).unwrap();
    });
    let output = world.project().join("output");
    let mut command = world.command(&["exec", "web", "x"]);
    command.stdout(File::create(&output).unwrap()).stderr(File::create(world.project().join("e")).unwrap());
    assert_eq!(command.status().unwrap().code(), Some(0));
    served.join().unwrap();
    assert_eq!(fs::read_to_string(output).unwrap(), "kept\n");
}

#[test]
fn a_command_that_is_not_there_is_127() {
    let world = World::new();
    let (_, served) = shim(&world, |connection, _, _| {
        let error = StartFailure { message: "no such file: nope".into(), code: 127 };
        connection.send(&Response::Failed { error }, &[]).unwrap();
    });
    let said = world.muster(&["exec", "web", "nope"]);
    served.join().unwrap();
    assert_eq!((said.code, said.err.as_str()), (Some(127), "error: no such file: nope\n"));
}

#[test]
fn a_shim_that_dies_is_an_error_and_not_a_hang() {
    let world = World::new();
    let (_, served) = shim(&world, |connection, _, _| {
        connection.send(&Response::ExecStarted { pid: 1 }, &[]).unwrap();
    });
    let said = world.muster(&["exec", "web", "x"]);
    served.join().unwrap();
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("went away"), "{}", said.err);
}

#[test]
fn what_does_not_run_takes_no_command() {
    let world = World::new();
    let said = world.muster(&["exec", "web", "true"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("service \"web\" is not running"), "{}", said.err);
    world.record("web", running());
    assert_eq!(world.muster(&["exec", "web", "true"]).code, Some(1));
    assert!(world.muster(&["exec", "wbe", "true"]).err.contains("did you mean web?"));
}
