//! Debian's docker-registry on a free port, with its files in a directory of its own.

use super::{Made, OCI_MANIFEST, digest};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

pub struct Registry {
    child: Child,
    pub address: String,
    dir: tempfile::TempDir,
    tls: Option<PathBuf>,
}

impl Registry {
    pub fn start(password_file: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let more = password_file.map(|text| {
            let path = dir.path().join("htpasswd");
            fs::write(&path, text).unwrap();
            format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path.display())
        });
        Self::serve(dir, "", &more.unwrap_or_default(), None)
    }

    /// With a certificate for `localhost` from an authority of its own, `ca.crt` in `files`.
    pub fn with_tls(files: &Path) -> Self {
        fs::create_dir_all(files).unwrap();
        authority(files, "ca");
        let at = |name: &str| files.join(name).display().to_string();
        fs::write(files.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &at("key.pem"),
            "-out",
            &at("request.pem"),
            "-subj",
            "/CN=localhost",
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &at("request.pem"),
            "-CA",
            &at("ca.crt"),
            "-CAkey",
            &at("ca.key"),
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            &at("names"),
            "-out",
            &at("cert.pem"),
        ]);
        let tls = format!(", tls: {{certificate: {}, key: {}}}", at("cert.pem"), at("key.pem"));
        Self::serve(tempfile::tempdir().unwrap(), &tls, "", Some(files.to_owned()))
    }

    fn serve(dir: tempfile::TempDir, http: &str, more: &str, tls: Option<PathBuf>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let root = dir.path().join("files");
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'{http}}}\n{more}",
            root.display()
        );
        let path = dir.path().join("config.yml");
        fs::write(&path, config).unwrap();
        // Where `make test` unpacks it, else an installed one.
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/tools/usr/bin/docker-registry");
        let program = if unpacked.exists() { unpacked } else { "docker-registry".into() };
        let child = Command::new(program)
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is not there; `make test` unpacks it");
        let address = format!("127.0.0.1:{port}");
        let up = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            TcpStream::connect(&address).is_ok()
        });
        assert!(up, "docker-registry does not answer at {address}");
        Self { child, address, dir, tls }
    }

    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }

    /// Another authority's certificate, which signed nothing here.
    pub fn other_authority(&self, to: &Path) {
        let files = self.dir.path();
        authority(files, "other");
        fs::copy(files.join("other.crt"), to).unwrap();
    }

    /// Puts an image there by way of the files: the small client of these tests speaks no TLS.
    pub fn push_over_tls(&self, repository: &str, tag: &str, image: &Made) {
        assert!(self.tls.is_some());
        let plain = Self::serve_files(self.dir.path());
        let blobs = image.blobs();
        super::http::push(&plain.address, repository, tag, OCI_MANIFEST, &image.manifest, &blobs, "");
        super::http::push(&plain.address, repository, &digest(&image.manifest), OCI_MANIFEST, &image.manifest, &[], "");
    }

    /// A second server without TLS on the same files.
    fn serve_files(dir: &Path) -> Self {
        let own = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.join("files"), own.path().join("files")).unwrap();
        fs::create_dir_all(dir.join("files")).unwrap();
        Self::serve(own, "", "", None)
    }
}

fn authority(files: &Path, name: &str) {
    let at = |end: &str| files.join(format!("{name}.{end}")).display().to_string();
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        &at("key"),
        "-out",
        &at("crt"),
        "-subj",
        &format!("/CN={name}"),
        "-addext",
        "basicConstraints=critical,CA:TRUE",
    ]);
}

fn openssl(args: &[&str]) {
    let output = Command::new("openssl").args(args).output().expect("openssl is not there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
