//! Images: their configuration, archives, and pulls from a registry on loopback (Debian's docker-registry).

use super::{
    ground::Ground,
    image,
    proc::eventually,
    stack::{Stack, free_port, loopback},
};
use serde_json::json;
use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

#[test]
fn the_images_configuration_is_honoured_and_the_file_wins() {
    let ground = Ground::shared();
    let stack = Stack::on(ground.clone(), "config", "services: {}");
    let image = image::Layout::busybox(&ground, &stack.directory().join("image")).finish(&json!({
        "Entrypoint": ["sh", "-c", "echo \"$0 $*\"; trap 'echo got USR1; exit 0' USR1; while :; do sleep 0.05; done"],
        "Cmd": ["from", "image"],
        "Env": ["PATH=/bin", "COLOUR=red"],
        "User": "alice",
        "WorkingDir": "/tmp",
        "StopSignal": "SIGUSR1",
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000_i64},
        "Labels": {"made": "here"},
    }));
    stack.compose(&format!(
        "
services:
  image: {{image: '{image}'}}
  file: {{image: '{image}', command: [of, the, file], environment: {{COLOUR: blue}}, user: root, working_dir: /}}
"
    ));
    stack.ok(&["up", "-d", "--wait"]);
    assert_eq!(stack.ps_of("image")["Health"], "healthy");
    assert_eq!(stack.ok(&["logs", "--no-log-prefix", "image"]), "from image\n");
    assert_eq!(stack.ok(&["logs", "--no-log-prefix", "file"]), "of the file\n");
    let shell = |service: &str| stack.shell(service, "echo $COLOUR $(id -un) $PWD").stdout;
    assert_eq!(shell("image"), "red alice /tmp\n");
    assert_eq!(shell("file"), "blue root /\n");
    stack.ok(&["stop"]);
    assert!(stack.ok(&["logs", "--no-log-prefix", "image"]).contains("got USR1"));
    assert_eq!(stack.ps_of("image")["ExitCode"], 0);
}

#[test]
fn archives_are_used_by_path_and_loaded_by_name() {
    let ground = Ground::shared();
    let stack = Stack::on(ground.clone(), "archive", "services: {}");
    let directory = stack.directory().join("image");
    image::Layout::busybox(&ground, &directory)
        .layer(&[("marker", "archived")])
        .finish(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]}));
    let archive = stack.directory().join("image.tar");
    let tar = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&directory).arg(".").status().unwrap();
    assert!(tar.success());
    stack.compose(&format!("services: {{x: {{image: 'oci-archive:{}', init: true}}}}", archive.display()));
    stack.up();
    assert_eq!(stack.exec("x", &["cat", "/marker"]), "archived");
}

#[test]
fn a_tampered_layer_is_refused() {
    let ground = Ground::shared();
    let stack = Stack::on(ground.clone(), "tampered", "services: {}");
    let directory = stack.directory().join("image");
    let image =
        image::Layout::busybox(&ground, &directory).layer(&[("extra", "as it was")]).finish(&json!({"Cmd": ["true"]}));
    let index: serde_json::Value = serde_json::from_slice(&fs::read(directory.join("index.json")).unwrap()).unwrap();
    let blob =
        |digest: &serde_json::Value| directory.join("blobs/sha256").join(&digest.as_str().unwrap()["sha256:".len()..]);
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(blob(&index["manifests"][0]["digest"])).unwrap()).unwrap();
    let layer = blob(&manifest["layers"][1]["digest"]);
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, bytes).unwrap();
    stack.compose(&format!("services: {{x: {{image: '{image}'}}}}"));
    let ran = stack.fails(&["up", "-d"]);
    let digest = manifest["layers"][1]["digest"].as_str().unwrap();
    assert!(ran.stderr.contains(&digest[..19]) || ran.stderr.contains("digest"), "{ran:#?}");
}

/// A docker-registry on loopback.
pub struct Registry {
    process: Child,
    pub port: u16,
    directory: tempfile::TempDir,
}

impl Registry {
    /// `None` where Debian's docker-registry is not there.
    pub fn start() -> Option<Self> {
        Self::serve(tempfile::tempdir_in("/var/tmp").unwrap(), "")
    }

    /// The same registry, which from now on wants to know who asks. `file` is for htpasswd(1).
    fn with_passwords(mut self, file: &str) -> Option<Self> {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir_in("/var/tmp").unwrap());
        let path = directory.path().join("htpasswd");
        fs::write(&path, file).unwrap();
        Self::serve(directory, &format!("auth: {{htpasswd: {{realm: test, path: '{}'}}}}\n", path.display()))
    }

    fn serve(directory: tempfile::TempDir, more: &str) -> Option<Self> {
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/tools/usr/bin/docker-registry");
        let Some(program) = [unpacked, "/usr/bin/docker-registry".into()].into_iter().find(|path| path.exists()) else {
            eprintln!("skipped: docker-registry is not there; `make test` unpacks it");
            return None;
        };
        let port = free_port();
        let configuration = directory.path().join("config.yml");
        let store = directory.path().join("store");
        fs::write(
            &configuration,
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n{more}",
                store.display()
            ),
        )
        .unwrap();
        let process = Command::new(program)
            .arg("serve")
            .arg(configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the registry listens", Duration::from_secs(10), || TcpStream::connect(loopback(port)).is_ok());
        Some(Self { process, port, directory })
    }

    /// Uploads the image of a layout directory as `name:tag`, as the distribution protocol says.
    pub fn push(&self, directory: &Path, name: &str, tag: &str) {
        let blob = |digest: &str| fs::read(directory.join("blobs/sha256").join(&digest["sha256:".len()..])).unwrap();
        let parse = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
        let index = parse(&fs::read(directory.join("index.json")).unwrap());
        let manifest_bytes = blob(index["manifests"][0]["digest"].as_str().unwrap());
        let manifest = parse(&manifest_bytes);
        let layers = manifest["layers"].as_array().unwrap().iter();
        for digest in layers.chain([&manifest["config"]]).map(|object| object["digest"].as_str().unwrap()) {
            let begun = self.send("POST", &format!("/v2/{name}/blobs/uploads/"), "application/octet-stream", &[]);
            let place = begun.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().trim().to_owned();
            let path =
                place.split_once("//").map_or(place.clone(), |(_, rest)| rest[rest.find('/').unwrap()..].to_owned());
            let joint = if path.contains('?') { '&' } else { '?' };
            let put =
                self.send("PUT", &format!("{path}{joint}digest={digest}"), "application/octet-stream", &blob(digest));
            assert!(put.starts_with("HTTP/1.1 201"), "{put}");
        }
        let kind = manifest["mediaType"].as_str().unwrap();
        let put = self.send("PUT", &format!("/v2/{name}/manifests/{tag}"), kind, &manifest_bytes);
        assert!(put.starts_with("HTTP/1.1 201"), "{put}");
    }

    pub fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(loopback(self.port)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_image_is_pulled_from_a_registry_and_kept() {
    let Some(registry) = Registry::start() else { return };
    let ground = Ground::shared();
    let stack = Stack::on(ground.clone(), "pull", "services: {}");
    let directory = stack.directory().join("image");
    image::Layout::busybox(&ground, &directory)
        .layer(&[("marker", "pulled")])
        .finish(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]}));
    registry.push(&directory, "team/app", "v1");
    let name = format!("127.0.0.1:{}/team/app:v1", registry.port);
    stack.compose(&format!("services: {{x: {{image: '{name}', init: true}}}}"));
    stack.ok(&["pull"]);
    assert!(stack.ok(&["images"]).contains("team/app") || stack.ps().is_empty());
    stack.up();
    assert_eq!(stack.exec("x", &["cat", "/marker"]), "pulled");
    stack.ok(&["down", "-t", "0"]);
    // From the store, without the registry.
    drop(registry);
    stack.up();
    assert_eq!(stack.exec("x", &["cat", "/marker"]), "pulled");
    let ran = stack.fails(&["up", "-d", "--pull", "always"]);
    assert!(ran.stderr.contains("127.0.0.1"), "{ran:#?}");
    stack.ok(&["down", "-t", "0", "--rmi", "all"]);
    assert_ne!(stack.run(&["up", "-d", "--pull", "never"]).code, 0);
}

#[test]
fn up_uses_the_logins_of_the_person_who_asks() {
    let Some(registry) = Registry::start() else { return };
    let ground = Ground::shared();
    let stack = Stack::on(ground.clone(), "login", "services: {}");
    let directory = stack.directory().join("image");
    image::Layout::busybox(&ground, &directory).finish(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]}));
    registry.push(&directory, "team/secret", "v1");
    // alice, wonderland
    let Some(registry) =
        registry.with_passwords("alice:$2b$04$ImaLnP.A2KiENPIU5.ACWeQ.K8ISL44XHR.npiDY6cjUzDmOdrqWa\n")
    else {
        return;
    };
    let host = format!("127.0.0.1:{}", registry.port);
    stack.compose(&format!("services: {{x: {{image: '{host}/team/secret:v1', init: true}}}}"));
    let up = |config: &Path| super::stack::run(stack.command(&["up", "-d"]).env("DOCKER_CONFIG", config));
    let (nobody, alice) = (stack.directory().join("nobody"), stack.directory().join("alice"));
    for directory in [&nobody, &alice] {
        fs::create_dir(directory).unwrap();
    }
    let refused = up(&nobody);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains(&host), "{refused:#?}");
    let config = json!({"auths": {&host: {"auth": "YWxpY2U6d29uZGVybGFuZA=="}}});
    fs::write(alice.join("config.json"), config.to_string()).unwrap();
    let ran = up(&alice);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(stack.running("x").is_some());
}

#[test]
fn a_name_the_registry_does_not_know_is_refused_with_it() {
    let Some(registry) = Registry::start() else { return };
    let name = format!("127.0.0.1:{}/no/such:thing", registry.port);
    let stack = Stack::new("unknown", &format!("services: {{x: {{image: '{name}'}}}}"));
    let ran = stack.fails(&["up", "-d"]);
    assert!(ran.stderr.contains("no/such"), "{ran:#?}");
}
