//! Beside Debian's docker.io: its firewall drops what is forwarded and not its own, and both work at once; images go
//! from one to the other.
//!
//! Everything of this test runs in a network namespace of its own, so that dockerd's rules touch no other test. The
//! test runs itself again inside of it.

use super::{
    ground::Ground,
    http, image,
    proc::eventually,
    registry::Registry,
    stack::{Stack, free_port, loopback},
};
use serde_json::json;
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
    if !inside("docker::ports_and_networks_work_beside_dockers_forward_drop") {
        return;
    }
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

#[test]
fn images_go_between_docker_and_muster_by_registry_and_by_archive() {
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("skipped: docker.io is not installed");
        return;
    }
    if !inside("docker::images_go_between_docker_and_muster_by_registry_and_by_archive") {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let docker = Docker::start();
    let ground = Ground::shared();
    let stack = Stack::on(ground.clone(), "between", "services: {}");
    let directory = stack.directory().join("image");
    image::Layout::busybox(&ground, &directory)
        .layer(&[("marker", "made here\n")])
        .finish(&json!({"Cmd": ["cat", "/marker"], "Env": ["PATH=/bin"]}));
    let archive = stack.directory().join("image.tar");
    let tar = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&directory).arg(".").status().unwrap();
    assert!(tar.success());
    let path = |name: &str| stack.directory().join(name).display().to_string();
    let said = |args: &[&str]| {
        let output = docker.client(args).output().unwrap();
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let runs = |image: &str| said(&["run", "--rm", "--network", "none", image]);

    // From muster to docker.
    let loaded = stack.ok(&["load", "-i", &path("image.tar")]);
    let id = loaded.trim().strip_prefix("Loaded image ID: ").unwrap();
    let ours = format!("127.0.0.1:{}/team/ours:1", registry.port);
    stack.ok(&["tag", id, &ours]);
    stack.ok(&["image", "push", "-q", &ours]);
    said(&["pull", "-q", &ours]);
    assert_eq!(runs(&ours), "made here\n");
    assert_eq!(said(&["image", "inspect", "-f", "{{.Id}}", &ours]).trim(), id);
    said(&["rmi", &ours]);
    stack.ok(&["save", "-o", &path("ours.tar"), &ours]);
    said(&["load", "-q", "-i", &path("ours.tar")]);
    assert_eq!(runs(&ours), "made here\n");

    // And the other way round.
    let theirs = format!("127.0.0.1:{}/team/theirs:1", registry.port);
    said(&["tag", &ours, &theirs]);
    said(&["push", "-q", &theirs]);
    stack.ok(&["image", "prune", "-a", "-f"]);
    stack.compose(&format!("services: {{x: {{image: '{theirs}'}}}}"));
    assert_eq!(stack.ok(&["run", "--rm", "-T", "x"]), "made here\n");
    stack.ok(&["rmi", &theirs]);
    said(&["save", "-o", &path("theirs.tar"), &theirs]);
    assert!(stack.ok(&["load", "-i", &path("theirs.tar")]).contains(&theirs));
    assert_eq!(stack.ok(&["run", "--rm", "-T", "--pull", "never", "x"]), "made here\n");
    stack.ok(&["down", "-t", "0"]);
}

/// Runs the named test again in network and mount namespaces of its own; true in there.
fn inside(name: &str) -> bool {
    if std::env::var_os("MUSTER_E2E_INSIDE").is_some() {
        assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        return true;
    }
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("MUSTER_E2E_INSIDE", "1")
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    false
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
