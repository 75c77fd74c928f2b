//! Pushing, tagging, saving and pruning: what leaves the store is what came in, and what is needed stays.
#![allow(clippy::unwrap_used)]

mod image_support;

use image_support::{
    debian::Registry,
    http::{Request, Response, Server},
    *,
};
use muster::{
    image::{self, Credentials, Image, ImageError, Login, Progress, Reference, check_login, progress},
    model::{ImageId, PullPolicy},
};
use serde_json::json;
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

fn nobody(_: &ImageId) -> Option<String> {
    None
}

/// An image in the store under a name, by way of an archive of a layout.
async fn take_in(host: &Host, made: &Made, name: &str) -> Image {
    let dir = host.path("layout");
    let _ = fs::remove_dir_all(&dir);
    write_image(&dir, made, "x");
    let image = host.get(&format!("oci:{}:x", dir.display())).await.unwrap();
    let Reference::Registry(target) = Reference::parse(name).unwrap() else { panic!("{name}") };
    host.store.tag(&image, &target).unwrap();
    host.find(name).unwrap()
}

async fn push(host: &Host, name: &str, credentials: &Credentials) -> Result<(String, Vec<Progress>), ImageError> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let report: progress::Report = Arc::new(move |event| log.lock().unwrap().push(event));
    let pushed = image::push(&host.store, &Reference::parse(name).unwrap(), credentials, report).await?;
    let events = seen.lock().unwrap().clone();
    Ok((pushed.digest.to_string(), events))
}

fn two_layers() -> Made {
    let layers = vec![layer(&[("a", "base")], Packing::Gzip), layer(&[("b", "top")], Packing::Zstd)];
    Made::for_platform(host_architecture(), layers, json!({"Cmd": ["/a"]}))
}

#[tokio::test]
async fn what_is_pushed_is_pulled_with_the_same_digest() {
    let registry = Registry::start(None);
    let (host, made) = (Host::new(), two_layers());
    let name = format!("{}/team/app:1", registry.address);
    take_in(&host, &made, &name).await;
    let (pushed, events) = push(&host, &name, &Credentials::none()).await.unwrap();
    assert_eq!(pushed, digest(&made.manifest));
    assert!(matches!(events[0], Progress::Started { layers: 2, .. }), "{events:?}");
    let other = Host::new();
    let pulled = other.get(&name).await.unwrap();
    assert_eq!((pulled.id.as_str(), read(&pulled, "b")), (made.id().as_str(), "top".into()));
    assert_eq!(pulled.repo_digests, [format!("{}/team/app@{pushed}", registry.address)]);
    // Once more: nothing is sent, and the host knows what the registry has.
    let (_, events) = push(&host, &name, &Credentials::none()).await.unwrap();
    assert_eq!(events.iter().filter(|event| matches!(event, Progress::Exists { .. })).count(), 2);
    assert!(!events.iter().any(|event| matches!(event, Progress::Pushed { .. })));
    assert_eq!(host.find(&name).unwrap().repo_digests, pulled.repo_digests);
    // To another repository: the registry takes the layers over.
    let second = format!("{}/team/copy:1", registry.address);
    let Reference::Registry(target) = Reference::parse(&second).unwrap() else { panic!() };
    host.store.tag(&host.find(&name).unwrap(), &target).unwrap();
    let (_, events) = push(&host, &second, &Credentials::none()).await.unwrap();
    let mounted: Vec<&Progress> = events.iter().filter(|event| matches!(event, Progress::Mounted { .. })).collect();
    assert_eq!(mounted.len(), 2, "{events:?}");
    assert_eq!(Host::new().get(&second).await.unwrap().id, pulled.id);
}

#[tokio::test]
async fn a_registry_with_passwords_is_pushed_to_by_who_has_one() {
    // bcrypt of `open sesame`
    let registry = Registry::start(Some("me:$2b$04$0xBgHolFlnTo9r/Qwhv.s.ZLU.Mif8riBwAvL8j9Gg5V3OFe7Nc0y\n"));
    let host = Host::new();
    let name = format!("{}/app:1", registry.address);
    take_in(&host, &hello("x"), &name).await;
    let error = push(&host, &name, &Credentials::none()).await.unwrap_err();
    assert!(matches!(error, ImageError::Unauthorized { .. }), "{error}");
    let credentials = Credentials::from_docker_config(Some(&host.path("config.json")));
    let login = |password: &str| Login::Password { user: "me".into(), password: password.into() };
    let error = check_login(&registry.address, &login("wrong"), &credentials).await.unwrap_err();
    assert!(matches!(error, ImageError::LoginRefused { .. }), "{error}");
    check_login(&registry.address, &login("open sesame"), &credentials).await.unwrap();
    credentials.store(&registry.address, &login("open sesame")).unwrap();
    push(&host, &name, &credentials).await.unwrap();
    let other = Host::new();
    let image = other.get_as(&name, PullPolicy::Missing, &credentials).await.unwrap();
    assert_eq!(read(&image, "hello"), "x");
}

/// The binary with a configuration of its own, and what it reads on standard input.
fn muster(host: &Host, path: &str, args: &[&str], input: &str) -> std::process::Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_muster"))
        .args(args)
        .env("MUSTER_DATA_ROOT", host.path("data"))
        .env("MUSTER_RUN_ROOT", host.path("run"))
        .env("DOCKER_CONFIG", host.path("docker"))
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn login_and_logout_use_the_file_or_its_helper() {
    let registry = Registry::start(Some("me:$2b$04$0xBgHolFlnTo9r/Qwhv.s.ZLU.Mif8riBwAvL8j9Gg5V3OFe7Nc0y\n"));
    let host = Host::new();
    let path = std::env::var("PATH").unwrap();
    let login = ["login", "-u", "me", "--password-stdin", &registry.address];
    let config = host.path("docker/config.json");
    let refused = muster(&host, &path, &login, "wrong\n");
    assert!(!refused.status.success() && !config.exists());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not take this user and password"));
    let output = muster(&host, &path, &login, "open sesame\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Login Succeeded\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("unencrypted"));
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("bWU6b3BlbiBzZXNhbWU="), "{text}");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    // A helper keeps its logins in a file of its own, a line each.
    let (bin, kept) = (host.path("bin"), host.path("kept"));
    fs::create_dir(&bin).unwrap();
    let helper = bin.join("docker-credential-drawer");
    let script = format!(
        "#!/bin/sh\nread -r line\ncase $1 in\nstore) echo \"$line\" >'{kept}' ;;\nget) [ -e '{kept}' ] && cat '{kept}' || {{ echo credentials not found in native keychain; exit 1; }} ;;\nerase) rm '{kept}' ;;\nesac\n",
        kept = kept.display()
    );
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&config, r#"{"credsStore":"drawer","detachKeys":"ctrl-e"}"#).unwrap();
    let path = format!("{}:{path}", bin.display());
    let output = muster(&host, &path, &login, "open sesame");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read_to_string(&kept).unwrap().contains(r#""Secret":"open sesame""#));
    let text = fs::read_to_string(&config).unwrap();
    assert!(!text.contains("sesame") && text.contains("ctrl-e") && text.contains(&registry.address), "{text}");
    let name = format!("{}/app:1", registry.address);
    let pull = muster(&host, &path, &["image", "pull", &name], "");
    // The login is good: there is no such image, and the registry says so.
    assert!(
        String::from_utf8_lossy(&pull.stderr).contains("no such image"),
        "{}",
        String::from_utf8_lossy(&pull.stderr)
    );
    let output = muster(&host, &path, &["logout", &registry.address], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("Removed the login for {}\n", registry.address));
    assert!(!kept.exists());
    let pull = muster(&host, &path, &["image", "pull", &name], "");
    assert!(String::from_utf8_lossy(&pull.stderr).contains("muster login"));
    let lost = muster(&host, &path, &["login", "-u", "me", "--password-stdin", "127.0.0.1:1"], "x");
    let said = String::from_utf8_lossy(&lost.stderr).into_owned();
    assert!(said.contains("cannot log in to 127.0.0.1:1: cannot reach it"), "{said}");
}

/// Takes an upload, at `location` where there is one.
fn takes(request: &Request, location: &str) -> Response {
    match (request.method.as_str(), request.path.as_str()) {
        (_, "/v2/") => Response::ok("{}"),
        ("HEAD", _) => Response::new(404, ""),
        ("POST", _) => Response::new(202, "").with("Location", location),
        ("PUT", _) => Response::new(201, ""),
        _ => Response::new(405, ""),
    }
}

#[tokio::test]
async fn where_an_upload_leads_gets_no_credentials() {
    let storage = Server::start(|_| Response::new(201, ""));
    let elsewhere = format!("http://{}/bucket/1?sig=x", storage.address);
    let server = Server::start(move |request| match request.header("authorization") {
        None if request.path != "/v2/" => Response::new(401, "").with("WWW-Authenticate", "Basic realm=\"r\""),
        _ => takes(request, &elsewhere),
    });
    let host = Host::new();
    let name = format!("{}/app:1", server.address);
    let made = hello("x");
    take_in(&host, &made, &name).await;
    let credentials = Credentials::from_docker_config(Some(&host.path("config.json")));
    let login = Login::Password { user: "me".into(), password: "pw".into() };
    credentials.store(&server.address.to_string(), &login).unwrap();
    push(&host, &name, &credentials).await.unwrap();
    let seen = storage.requests();
    assert_eq!(seen.len(), 2, "layer and configuration");
    for request in &seen {
        assert_eq!(request.header("authorization"), None);
        assert!(request.query.starts_with("sig=x&digest=sha256%3A"), "{}", request.query);
    }
    // In the clear to another machine (a documentation address) nothing is sent at all.
    let server = Server::start(|request| takes(request, "http://192.0.2.1/x"));
    let name = format!("{}/app:1", server.address);
    take_in(&host, &made, &name).await;
    let error = push(&host, &name, &Credentials::none()).await.unwrap_err().to_string();
    assert!(error.contains("wants an upload to go to http://192.0.2.1, which is not HTTPS"), "{error}");
}

#[tokio::test]
async fn an_upload_that_breaks_is_begun_again() {
    let puts = AtomicUsize::new(0);
    let server = Server::start(move |request| match request.method.as_str() {
        "PUT" if request.path.contains("/uploads/") && puts.fetch_add(1, Ordering::Relaxed) == 0 => {
            Response::new(503, "")
        }
        _ => takes(request, "/v2/app/blobs/uploads/1"),
    });
    let host = Host::new();
    let name = format!("{}/app:1", server.address);
    let made = hello("x");
    take_in(&host, &made, &name).await;
    push(&host, &name, &Credentials::none()).await.unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("PUT", "/v2/app/manifests/1"));
    assert_eq!(last.body.as_bytes(), made.manifest);
    // Somebody else's word for the manifest is not taken.
    let server = Server::start(|request| match request.path.contains("/manifests/") {
        true => Response::new(201, "").with("Docker-Content-Digest", &digest(b"another")),
        false => takes(request, "/v2/app/blobs/uploads/1"),
    });
    let name = format!("{}/app:1", server.address);
    take_in(&host, &made, &name).await;
    assert!(matches!(push(&host, &name, &Credentials::none()).await, Err(ImageError::DigestMismatch { .. })));
}

#[tokio::test]
async fn an_archive_has_what_the_store_has_and_is_loaded_as_such() {
    let (host, made, second) = (Host::new(), two_layers(), hello("second"));
    take_in(&host, &made, "team/app:1").await;
    take_in(&host, &second, "other:2").await;
    let Reference::Registry(target) = Reference::parse("team/app:2").unwrap() else { panic!() };
    host.store.tag(&host.find("team/app:1").unwrap(), &target).unwrap();
    let references: Vec<Reference> =
        ["team/app:1", "team/app:2", "other:2"].iter().map(|name| Reference::parse(name).unwrap()).collect();
    let mut bytes = Vec::new();
    image::save(&host.store, &references, &mut bytes).unwrap();
    let mut again = Vec::new();
    image::save(&host.store, &references, &mut again).unwrap();
    assert!(bytes == again, "the same images give the same bytes");
    let path = host.path("saved.tar");
    fs::write(&path, &bytes).unwrap();
    let other = Host::new();
    let loaded = image::load(&other.store, fs::File::open(&path).unwrap(), &path, progress::silent()).await.unwrap();
    let mut names: Vec<String> = loaded.iter().map(|image| image.reference.familiar()).collect();
    names.sort();
    assert_eq!(names, ["other:2", "team/app:1", "team/app:2"]);
    assert_eq!(other.find("team/app:2").unwrap().id.as_str(), made.id());
    // The manifest came along: a push would send the very image.
    let blob = other.images().join("blobs/sha256").join(&digest(&made.manifest)[7..]);
    assert_eq!(fs::read(blob).unwrap(), made.manifest);
    // By its id it has no name.
    let mut bytes = Vec::new();
    let id = Reference::parse(&second.id()).unwrap();
    image::save(&host.store, std::slice::from_ref(&id), &mut bytes).unwrap();
    fs::write(&path, &bytes).unwrap();
    let third = Host::new();
    let loaded = image::load(&third.store, fs::File::open(&path).unwrap(), &path, progress::silent()).await.unwrap();
    assert_eq!(loaded[0].reference, id);
}

#[tokio::test]
async fn prune_takes_what_nobody_uses_and_nothing_else() {
    let host = Host::new();
    let images: Vec<Image> = [
        take_in(&host, &hello("a"), "a:1").await,
        take_in(&host, &hello("b"), "b:1").await,
        take_in(&host, &two_layers(), "c:1").await,
    ]
    .into();
    for transport in host.store.list().unwrap() {
        if !matches!(transport.reference, Reference::Registry(_)) {
            host.store.remove(&transport.reference, false, &nobody).unwrap();
        }
    }
    let Reference::Registry(moved) = Reference::parse("a:1").unwrap() else { panic!() };
    // `a:1` goes to another image: the first one has no name any more.
    host.store.tag(&images[1], &moved).unwrap();
    let nameless = |_: Option<&Image>, named: bool| !named;
    let all = |_: Option<&Image>, _: bool| true;
    let used = |id: &ImageId| (*id == images[0].id).then(|| "container x".to_owned());
    assert!(host.store.prune(&nameless, &used).unwrap().images.is_empty(), "in use");
    // Whoever is about to use an image keeps everything.
    let hold = host.store.hold().unwrap();
    assert!(host.store.prune(&nameless, &nobody).unwrap().images.is_empty());
    let pruned = host.store.prune(&all, &|id| (*id != images[2].id).then(|| "container x".to_owned())).unwrap();
    assert_eq!(
        (&pruned.images[0].untagged[..], &pruned.images[0].deleted, pruned.bytes),
        (&["c:1".to_owned()][..], &None, 0)
    );
    assert!(host.find(images[2].id.as_str()).is_some(), "only its name is gone");
    drop(hold);
    let pruned = host.store.prune(&nameless, &nobody).unwrap();
    let mut deleted: Vec<_> = pruned.images.iter().map(|image| image.deleted.clone().unwrap()).collect();
    deleted.sort();
    let mut expected = vec![images[0].id.clone(), images[2].id.clone()];
    expected.sort();
    assert_eq!(deleted, expected);
    assert!(pruned.bytes > 0);
    assert_eq!(read(&host.find("b:1").unwrap(), "hello"), "b");
    let usage = host.store.usage().unwrap();
    assert_eq!(usage.images.len(), 1);
    assert_eq!(host.layers().len(), 1);
}
