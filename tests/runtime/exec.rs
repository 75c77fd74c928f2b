//! Further processes in a running container.

use super::{
    Test,
    fixture::{Fixture, field, read_to},
};
use muster::runtime::{self, Ended, Stdio, spec::ExecSpec};
use std::{fs, os::fd::AsFd};

pub const TESTS: &[Test] = &[
    ("an_exec_is_inside_in_every_way", inside),
    ("an_exec_stands_behind_the_same_fence", fence),
    ("an_exec_has_its_own_user_directory_and_environment", own_process),
    ("an_exec_that_cannot_run_says_why", failures),
    ("an_exec_has_a_terminal_of_the_container", terminal),
    ("an_exec_into_a_dead_container_is_refused", dead_container),
    ("further_children_go_where_they_went_before", restored),
];

fn sleeper() -> (Fixture, runtime::Started) {
    let fixture = Fixture::sh("echo kept > /marker; echo ready; exec sleep 30");
    let (running, output) = fixture.start().unwrap();
    read_to(&output, "ready\n");
    (fixture, running)
}

fn end(fixture: &Fixture, running: &runtime::Started) {
    fixture.cgroup().kill().unwrap();
    fixture.finish(running);
}

fn inside() {
    let (fixture, running) = sleeper();
    let script = "cat /marker; hostname; for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done; cut -d: -f3 /proc/self/cgroup | sort -u; exit 4";
    let (text, ended) = fixture.exec(&running, &["sh", "-c", script], |_| {});
    let names = ["mnt", "pid", "net", "ipc", "uts", "cgroup"];
    let links: Vec<String> = names
        .iter()
        .map(|name| fs::read_link(format!("/proc/{}/ns/{name}", running.pid)).unwrap().display().to_string())
        .collect();
    assert_eq!(text, format!("kept\nbox\n{}\n/\n", links.join("\n")));
    assert_eq!(ended, Ended::Code(4));
    end(&fixture, &running);
}

fn fence() {
    let (fixture, running) = sleeper();
    let (status, _) = fixture.exec(&running, &["cat", "/proc/self/status"], |_| {});
    assert_eq!(field(&status, "CapEff"), "00000000a80425fb");
    assert_eq!(field(&status, "CapBnd"), "00000000a80425fb");
    assert_eq!(field(&status, "Seccomp"), "2");
    let script = "cd /proc/self/fd; for f in *; do [ $f -gt 2 ] && readlink $f; done; true";
    let (text, _) = fixture.exec(&running, &["sh", "-c", script], |_| {});
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with("/proc/")), "{text}");
    let (status, _) = fixture.exec(&running, &["cat", "/proc/self/status"], |exec| exec.privileged = true);
    assert_eq!(field(&status, "Seccomp"), "0");
    assert_ne!(field(&status, "CapEff"), "00000000a80425fb");
    end(&fixture, &running);
}

fn own_process() {
    let (fixture, running) = sleeper();
    let (text, _) = fixture.exec(
        &running,
        &["sh", "-c", "id -u; id -G; pwd; echo $HOME $X; cat /proc/self/oom_score_adj"],
        |exec| {
            exec.process.user = "app".to_owned();
            exec.process.cwd = "/tmp".into();
            exec.process.env = vec!["X=y".to_owned()];
        },
    );
    assert_eq!(text, "1000\n1001 44\n/tmp\n/home/app y\n0\n");
    end(&fixture, &running);
}

fn failures() {
    let (fixture, running) = sleeper();
    let failure = |change: fn(&mut ExecSpec)| {
        let mut exec = ExecSpec { process: fixture.spec.process.clone(), privileged: false };
        change(&mut exec);
        let (_read, streams) = super::fixture::streams();
        runtime::exec(running.pidfd.as_fd(), &fixture.spec, &exec, streams).unwrap_err()
    };
    let error = failure(|exec| exec.process.args = vec!["nosuch".to_owned()]);
    assert_eq!((error.message.as_str(), error.code), ("exec: \"nosuch\": executable file not found in $PATH", 127));
    let error = failure(|exec| exec.process.cwd = "/nowhere".into());
    assert_eq!(error.message, "working directory: open /nowhere: No such file or directory");
    assert_eq!(failure(|exec| exec.process.user = "who".to_owned()).code, 125);
    assert_eq!(
        nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG)),
        Ok(nix::sys::wait::WaitStatus::StillAlive)
    );
    end(&fixture, &running);
}

fn terminal() {
    let (fixture, running) = sleeper();
    let mut exec = ExecSpec { process: fixture.spec.process.clone(), privileged: false };
    exec.process.args = vec!["sh".to_owned(), "-c".to_owned(), "tty; stty size; echo $TERM; echo end".to_owned()];
    let started = runtime::exec(running.pidfd.as_fd(), &fixture.spec, &exec, Stdio::Tty { rows: 9, cols: 8 }).unwrap();
    let text = read_to(started.console.as_ref().unwrap(), "end\r\n");
    assert_eq!(text, "/dev/pts/0\r\n9 8\r\nxterm\r\nend\r\n");
    assert_eq!(runtime::wait(started.pidfd.as_fd()).unwrap(), Ended::Code(0));
    end(&fixture, &running);
}

fn dead_container() {
    let (fixture, running) = sleeper();
    fixture.cgroup().kill().unwrap();
    runtime::wait(running.pidfd.as_fd()).unwrap();
    let exec = ExecSpec { process: fixture.spec.process.clone(), privileged: false };
    let (_read, streams) = super::fixture::streams();
    let error = runtime::exec(running.pidfd.as_fd(), &fixture.spec, &exec, streams).unwrap_err();
    assert_eq!(error.message, "exec: the container is not running");
    fixture.cgroup().remove().unwrap();
}

fn restored() {
    let (fixture, running) = sleeper();
    fixture.exec(&running, &["true"], |_| {});
    let own = fs::read_link("/proc/self/ns/pid").unwrap();
    let child = std::process::Command::new("readlink").arg("/proc/self/ns/pid").output().unwrap();
    assert_eq!(String::from_utf8(child.stdout).unwrap().trim(), own.to_str().unwrap());
    end(&fixture, &running);
}
