//! Beside Debian's docker.io, whose firewall drops what is forwarded and not its own: both work at once.
//!
//! Everything of this test runs in a network namespace of its own, so that dockerd's rules touch no other test. The
//! test runs itself again inside of it.

use super::{
    http,
    proc::eventually,
    stack::{Stack, free_port, loopback},
};
use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

#[test]
fn ports_and_networks_work_beside_dockers_forward_drop() {
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("skipped: docker.io is not installed");
        return;
    }
    if std::env::var_os("MUSTER_E2E_INSIDE").is_none() {
        let name = "docker::ports_and_networks_work_beside_dockers_forward_drop";
        let output = Command::new("unshare")
            .args(["--net", "--mount", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("MUSTER_E2E_INSIDE", "1")
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}");
        return;
    }
    assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
    // dockerd drops what is forwarded when it is the one who switched forwarding on.
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    let docker = Docker::start();
    let rules = Command::new("iptables-save").output().unwrap();
    let rules = String::from_utf8_lossy(&rules.stdout).into_owned();
    assert!(rules.contains(":FORWARD DROP"), "docker drops what is forwarded: {rules}");

    let (port, theirs) = (free_port(), free_port());
    let server = "image: '%IMAGE%', command: [httpd, -f, -h, /www], stop_grace_period: 0s";
    let stack =
        Stack::new("beside", &format!("services: {{web: {{{server}, ports: ['{port}:80']}}, other: {{{server}}}}}"));
    docker.run(&stack, theirs);
    stack.up();
    eventually("our port is answered", Duration::from_secs(5), || {
        http::get(loopback(port), "/").is_ok_and(|body| body == "busybox here\n")
    });
    assert_eq!(stack.exec("web", &["timeout", "3", "wget", "-q", "-O", "-", "http://other/"]), "busybox here");
    eventually("their port is answered", Duration::from_secs(10), || {
        http::get(loopback(theirs), "/").is_ok_and(|body| body == "busybox here\n")
    });
    stack.ok(&["down", "-t", "0"]);
    assert!(http::get(loopback(theirs), "/").is_ok(), "docker's goes on without us");
}

struct Docker {
    process: Child,
    directory: tempfile::TempDir,
}

impl Docker {
    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("muster-e2e-docker.").tempdir_in("/var/tmp").unwrap();
        let path = |name: &str| directory.path().join(name);
        let process = Command::new("/usr/sbin/dockerd")
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("--host")
            .arg(format!("unix://{}", path("sock").display()))
            .args(["--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        let docker = Self { process, directory };
        eventually("dockerd answers", Duration::from_secs(60), || {
            docker.client(&["version"]).output().is_ok_and(|output| output.status.success())
        });
        docker
    }

    fn client(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", format!("unix://{}", self.directory.path().join("sock").display())).args(args);
        command
    }

    /// The same httpd, as docker's own container.
    fn run(&self, stack: &Stack, port: u16) {
        let root = stack.ground.rootfs();
        let import = format!(
            "tar -C '{}' -c . | docker import - e2e-busybox && docker run -d -p {port}:80 e2e-busybox /bin/httpd -f -h /www",
            root.display()
        );
        let mut command = self.client(&[]);
        let environment: Vec<_> =
            command.get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect();
        command = Command::new("sh");
        for (key, value) in environment {
            command.env(key, value.unwrap());
        }
        let output = command.args(["-c", &import]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = self.client(&[]).arg("rm").arg("-f").args(self.ids()).output();
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

impl Docker {
    fn ids(&self) -> Vec<String> {
        let listed = self.client(&["ps", "-aq"]).output();
        listed
            .map(|output| String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
            .unwrap_or_default()
    }
}
