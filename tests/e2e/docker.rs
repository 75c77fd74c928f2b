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
    fs,
    path::{Path, PathBuf},
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
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
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

/// What an archive of a layer can get wrong between one builder and another engine.
const BUILT: &str = "
FROM scratch AS base
COPY --from=root / /
FROM base
RUN echo first > /keep; echo second > /gone; ln /keep /hard; mkdir -p /dir/in; touch /dir/in/file
RUN rm /gone; rm -r /dir; mkdir /dir; chown 5:6 /keep; ln -s keep /link; chmod 4755 /bin/busybox
COPY --chown=7:8 --chmod=640 page /page
USER 7
WORKDIR /work
ENTRYPOINT [\"/bin/sh\", \"-c\", \"cat /keep /hard /link /page; ls -A /dir; test ! -e /gone; stat -c %u:%g:%a /keep /page; pwd; id -u\"]
";

#[test]
fn what_muster_builds_others_run_and_the_other_way_round() {
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("skipped: docker.io is not installed");
        return;
    }
    if !inside("docker::what_muster_builds_others_run_and_the_other_way_round") {
        return;
    }
    let Some(registry) = Registry::start() else { return };
    let docker = Docker::start();
    let stack = Stack::new("builds", "services: {}");
    let ours = format!("127.0.0.1:{}/team/built:1", registry.port);
    stack.write("src/Dockerfile", BUILT);
    stack.write("src/page", "page\n");
    let root = stack.ground.rootfs();
    stack.compose(&format!(
        "services: {{x: {{image: '{ours}', build: {{context: src, additional_contexts: {{root: '{}'}}}}}}}}",
        root.display()
    ));
    let expected = "first\nfirst\nfirst\npage\n5:6:644\n7:8:640\n/work\n7\n";
    stack.ok(&["build"]);
    assert_eq!(stack.ok(&["run", "--rm", "-T", "x"]), expected);
    stack.ok(&["push", "-q"]);
    let said = |mut command: Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    said(docker.client(&["pull", "-q", &ours]));
    assert_eq!(said(docker.client(&["run", "--rm", "--network", "none", &ours])), expected);
    match Podman::new() {
        Some(podman) => {
            said(podman.client(&["pull", "-q", "--tls-verify=false", &ours]));
            let limits = ["--ulimit", "nofile=256:256", "--ulimit", "nproc=256:256"];
            let run = [&["run", "--rm", "--network=none"], &limits[..], &[&ours]].concat();
            assert_eq!(said(podman.client(&run)), expected);
        }
        None => eprintln!("without podman, which is not installed"),
    }

    // A build of docker's upon ours, and one of ours upon that.
    let theirs = format!("127.0.0.1:{}/team/theirs:1", registry.port);
    stack.write("theirs/Dockerfile", &format!("FROM {ours}\nUSER 0\nRUN rm /link; echo third > /keep\n"));
    let context = stack.directory().join("theirs").display().to_string();
    let mut build = docker.client(&["build", "-q", "--network", "none", "-t", &theirs, &context]);
    build.env("DOCKER_BUILDKIT", "0");
    said(build);
    said(docker.client(&["push", "-q", &theirs]));
    stack.write("last/Dockerfile", &format!("FROM {theirs}\nRUN ln -s /hard /link; rm /page; echo last > /page\n"));
    stack.compose("services: {y: {build: last}}");
    stack.ok(&["build"]);
    assert_eq!(stack.ok(&["run", "--rm", "-T", "y"]), "third\nfirst\nfirst\nlast\n5:6:644\n0:0:644\n/work\n0\n");
    stack.ok(&["down", "-t", "0"]);
}

/// podman with images of its own.
struct Podman {
    storage: tempfile::TempDir,
    /// The host's cgroups before.
    cgroups: Vec<PathBuf>,
}

impl Podman {
    fn new() -> Option<Self> {
        let storage = tempfile::tempdir_in("/var/tmp").unwrap();
        Path::new("/usr/bin/podman").exists().then(|| Self { storage, cgroups: Self::cgroups() })
    }

    fn client(&self, args: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.storage.path().join("root"));
        command.arg("--runroot").arg(self.storage.path().join("run")).args(args);
        command
    }

    /// Those that it makes above its containers and leaves behind.
    fn cgroups() -> Vec<PathBuf> {
        let tops = fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path());
        let below = tops.chain(["/sys/fs/cgroup".into()]).map(|top: PathBuf| top.join("libpod_parent"));
        below.filter(|path| path.exists()).collect()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.client(&["rmi", "-af"]).output();
        for left in Self::cgroups().iter().filter(|path| !self.cgroups.contains(path)) {
            let within = fs::read_dir(left).into_iter().flatten().flatten().map(|entry| entry.path());
            for path in within.filter(|path| path.is_dir()).chain([left.clone()]) {
                let _ = fs::remove_dir(path);
            }
        }
    }
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
            .stderr(fs::File::create(path("log")).unwrap())
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
