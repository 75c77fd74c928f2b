//! Pulling: from Debian's `docker-registry`, as an honest registry, and from a server of our own that lies.
#![allow(clippy::unwrap_used)]

mod image_support;

use image_support::{
    debian::Registry,
    http::{Request, Response, Server, blob_path, honest, push},
    *,
};
use muster::{
    image::{Credentials, ImageError, Progress, Reference, ensure, progress},
    model::PullPolicy,
};
use serde_json::json;
use std::{
    fs,
    io::Write,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

// ---- an honest registry ----

#[tokio::test]
async fn an_image_is_pulled_whole_and_then_found_without_the_registry() {
    let registry = Registry::start(None);
    let layers = vec![
        layer(&[("etc/os", "base")], Packing::Gzip),
        layer(&[("etc/os", "patched")], Packing::Zstd),
        layer(&[("app", "app")], Packing::Plain),
    ];
    let made =
        Made::for_platform(host_architecture(), layers, json!({"Cmd": ["/app"], "ExposedPorts": {"80/tcp": {}}}));
    let other = Made::for_platform("s390x", vec![], json!({}));
    let platform = |image: &Made, architecture: &str| {
        image.entry(json!({"platform": {"os": "linux", "architecture": architecture}}))
    };
    let list = index(&[platform(&other, "s390x"), platform(&made, host_architecture())]);
    for image in [&made, &other] {
        let tag = digest(&image.manifest);
        push(&registry.address, "team/app", &tag, OCI_MANIFEST, &image.manifest, &image.blobs(), "");
    }
    push(&registry.address, "team/app", "1", OCI_INDEX, &list, &[], "");

    let host = Host::new();
    // By name, not address: names of loopback need no resolver.
    let name = format!("localhost:{}/team/app:1", registry.address.rsplit_once(':').unwrap().1);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let report: progress::Report = Arc::new(move |event| log.lock().unwrap().push(event));
    let reference = Reference::parse(&name).unwrap();
    let image = ensure(&host.store, &reference, PullPolicy::Missing, &Credentials::none(), report).await.unwrap();
    assert_eq!(image.id.as_str(), made.id());
    assert_eq!((read(&image, "etc/os"), read(&image, "app")), ("patched".into(), "app".into()));
    assert_eq!(image.config.exposed_ports, ["80/tcp"]);
    let repository = name.strip_suffix(":1").unwrap();
    assert_eq!(image.repo_digests, [format!("{repository}@{}", digest(&list))]);
    let events = seen.lock().unwrap().clone();
    assert!(matches!(events[1], Progress::Resolving | Progress::Started { .. }));
    assert_eq!(events.iter().filter(|event| matches!(event, Progress::Unpacked { .. })).count(), 3);

    let by_digest = host.get(&format!("{repository}@{}", digest(&list))).await.unwrap();
    assert_eq!(by_digest.id, image.id);
    drop(registry);
    assert_eq!(host.get(&name).await.unwrap(), image);
    let error = host.get_as(&name, PullPolicy::Always, &Credentials::none()).await.unwrap_err();
    assert!(matches!(error, ImageError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_registry_with_passwords_wants_the_right_one() {
    // bcrypt of `open sesame`
    let registry = Registry::start(Some("me:$2b$04$0xBgHolFlnTo9r/Qwhv.s.ZLU.Mif8riBwAvL8j9Gg5V3OFe7Nc0y\n"));
    let made = hello("secret");
    // base64 of `me:open sesame`, and of `me:wrong`
    let (right, wrong) = ("bWU6b3BlbiBzZXNhbWU=", "bWU6d3Jvbmc=");
    let auth = format!("Authorization: Basic {right}\r\n");
    push(&registry.address, "app", "1", OCI_MANIFEST, &made.manifest, &made.blobs(), &auth);
    let host = Host::new();
    let name = format!("{}/app:1", registry.address);
    let login = |auth: &str| {
        let path = host.path("config.json");
        fs::write(&path, json!({"auths": {&registry.address: {"auth": auth}}}).to_string()).unwrap();
        Credentials::from_docker_config(Some(&path))
    };
    let error = host.get(&name).await.unwrap_err();
    assert!(error.to_string().contains("muster login"), "{error}");
    let refused = host.get_as(&name, PullPolicy::Missing, &login(wrong)).await;
    assert!(matches!(refused, Err(ImageError::Unauthorized { .. })));
    let image = host.get_as(&name, PullPolicy::Missing, &login(right)).await.unwrap();
    assert_eq!(read(&image, "hello"), "secret");
}

#[tokio::test]
async fn a_tag_that_moves_is_followed_only_when_asked() {
    let registry = Registry::start(None);
    let push = |image: &Made| push(&registry.address, "app", "1", OCI_MANIFEST, &image.manifest, &image.blobs(), "");
    let host = Host::new();
    let name = format!("{}/app:1", registry.address);
    let nobody = Credentials::none();
    let always = || host.get_as(&name, PullPolicy::Always, &nobody);
    push(&hello("one"));
    let first = always().await.unwrap();
    assert_eq!(always().await.unwrap(), first);
    push(&hello("two"));
    assert_eq!(host.get(&name).await.unwrap(), first);
    let second = always().await.unwrap();
    assert_eq!(read(&second, "hello"), "two");
    // The first one has no name now; its files stay for those who run it.
    assert_eq!(read(&first, "hello"), "one");
    assert_eq!(host.store.list().unwrap().len(), 2);
    let error = host.get(&format!("{}/app:9", registry.address)).await.unwrap_err();
    assert!(error.to_string().contains("has no such image"), "{error}");
}

#[test]
fn config_pins_names_to_the_digests_that_the_registry_has() {
    let made = Arc::new(hello("pinned"));
    let server = {
        let made = made.clone();
        Server::start(move |request| honest(&made, request))
    };
    let dir = tempfile::tempdir().unwrap();
    let image = format!("{}/app:1", server.address);
    let pinned = format!("{image}@{}", digest(&made.manifest));
    let file = format!(
        "services: {{a: {{image: '{image}'}}, b: {{image: '{image}', user: u}}, c: {{build: .}}, d: {{image: 'oci:/x'}}}}\n"
    );
    fs::write(dir.path().join("compose.yaml"), file).unwrap();
    let config = |flag: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        let out = command.args(["config", "--format", "json", flag]).current_dir(dir.path()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()
    };
    let resolved = config("--resolve-image-digests");
    assert_eq!(resolved["services"]["a"]["image"], json!(pinned));
    assert_eq!(resolved["services"]["b"]["user"], json!("u"));
    assert_eq!(resolved["services"]["d"]["image"], json!("oci:/x"));
    // Two services with one name are one question, and the image itself stays where it is.
    assert_eq!(server.count("/v2/app/manifests/1"), 1);
    assert!(server.requests().iter().all(|request| !request.path.contains("/blobs/")));
    let locked = config("--lock-image-digests");
    assert_eq!(locked["services"]["b"]["image"], json!(pinned));
    assert_eq!(locked["services"]["b"]["user"], serde_json::Value::Null);
    assert!(locked["services"].get("c").is_none() && locked.get("networks").is_none());
}

// ---- a dishonest one ----

fn name_of(server: &Server) -> String {
    format!("{}/app:1", server.address)
}

/// A failed pull leaves neither layers nor work in progress.
fn assert_nothing_left(host: &Host) {
    assert_eq!(host.layers(), Vec::<String>::new());
    assert!(host.store.list().unwrap().is_empty());
    // A thread that is still unpacking removes its session when it ends.
    let gone = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        host.names("tmp").is_empty()
    });
    assert!(gone, "{:?}", host.names("tmp"));
}

async fn refused(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> ImageError {
    let server = Server::start(handler);
    let host = Host::new();
    let error = host.get(&name_of(&server)).await.unwrap_err();
    assert_nothing_left(&host);
    error
}

#[tokio::test]
async fn content_that_does_not_match_its_digest_is_thrown_away() {
    let made = hello("good");
    let evil = layer(&[("hello", "evil")], Packing::Gzip).blob;
    let target = blob_path(&made.layers[0].blob);
    // Of the same length, of another, and no archive at all.
    let mut flipped = made.layers[0].blob.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for body in [flipped, evil, b"<html>".to_vec(), Vec::new()] {
        let (made, target) = (made.clone(), target.clone());
        let shown = body.len();
        let error = refused(move |request| match request.path == target {
            true => Response::ok(body.clone()),
            false => honest(&made, request),
        })
        .await;
        let told = matches!(error, ImageError::DigestMismatch { .. })
            || error.to_string().contains("bytes, but the manifest says");
        assert!(told, "{shown}: {error}");
    }
    let config = blob_path(&made.config);
    let honest_image = made.clone();
    let error = refused(move |request| match request.path == config {
        true => Response::ok("{}"),
        false => honest(&honest_image, request),
    })
    .await;
    assert!(error.to_string().contains("its configuration has digest"), "{error}");
    // The manifest itself: against the digest that was asked for, and against the header.
    let honest_image = made.clone();
    let server = Server::start(move |request| match request.path.contains("/manifests/") {
        true => Response::ok(hello("other").manifest),
        false => honest(&honest_image, request),
    });
    let host = Host::new();
    let name = format!("{}/app@{}", server.address, digest(&made.manifest));
    let error = host.get(&name).await.unwrap_err().to_string();
    assert!(error.contains("its manifest has digest"), "{error}");
}

#[tokio::test]
async fn a_layer_must_be_what_the_configuration_says() {
    let mut made = hello("good");
    made = Made::with_config(vec![layer(&[("hello", "evil")], Packing::Gzip)], made.config);
    let error = refused(move |request| honest(&made, request)).await;
    assert!(error.to_string().contains("unpacked it has digest"), "{error}");
}

#[tokio::test]
async fn answers_without_end_are_cut_off() {
    let made = hello("x");
    let large = vec![b' '; 5 << 20];
    let (image, body) = (made.clone(), large.clone());
    let error = refused(move |request| match request.path.contains("/manifests/") {
        true => Response::ok(body.clone()),
        false => honest(&image, request),
    })
    .await;
    assert!(error.to_string().contains("a document of more than 4194304 bytes"), "{error}");
    let image = made.clone();
    let error = refused(move |request| match request.path == blob_path(&image.layers[0].blob) {
        true => Response::ok([&image.layers[0].blob[..], &large].concat()),
        false => honest(&image, request),
    })
    .await;
    assert!(error.to_string().contains("bytes, but the manifest says"), "{error}");
}

#[tokio::test]
async fn a_document_of_two_kinds_or_no_image_is_refused() {
    let both = json!({"schemaVersion": 2, "manifests": [], "layers": [], "config": {}}).to_string();
    let error = refused(move |_| Response::ok(both.clone())).await.to_string();
    assert!(error.contains("two kinds of document"), "{error}");
    let made = hello("x");
    let error = refused(move |request| honest(&made, request).with("content-type", "x").with_type_of_index()).await;
    assert!(error.to_string().contains("two kinds of document"), "{error}");
    let error = refused(|_| Response::ok("<html>Sign in to the hotel's network</html>")).await.to_string();
    assert!(error.contains("its manifest cannot be read"), "{error}");
    let mut listed = hello("x");
    listed = Made::for_platform("s390x", listed.layers, json!({}));
    let entry = listed.entry(json!({"platform": {"os": "linux", "architecture": "s390x"}}));
    let list = index(&[entry]);
    let error = refused(move |_| Response::ok(list.clone()).with("Content-Type", OCI_INDEX)).await;
    assert!(matches!(&error, ImageError::NoPlatform { available, .. } if available == "linux/s390x"), "{error}");
}

trait WithType {
    fn with_type_of_index(self) -> Self;
}

impl WithType for Response {
    fn with_type_of_index(mut self) -> Self {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        self.with("Content-Type", OCI_INDEX)
    }
}

#[tokio::test]
async fn a_token_is_fetched_with_the_credentials_and_sent_to_the_registry_alone() {
    for login in [json!({"auth": "bWU6b3BlbiBzZXNhbWU="}), json!({"identitytoken": "refresh me"}), json!({})] {
        let (made, anonymous, identity) = (hello("x"), login == json!({}), login.get("identitytoken").is_some());
        let tokens = Server::start(move |request| {
            let asked = format!("{}&{}", request.query, request.body);
            assert!(asked.contains("scope=repository%3Aapp%3Apull") && asked.contains("service=reg"), "{asked}");
            let said = request.header("authorization");
            match (anonymous, identity) {
                (true, _) => assert_eq!(said, None),
                (_, true) => assert!(request.method == "POST" && request.body.contains("refresh_token=refresh+me")),
                _ => assert_eq!(said, Some("Basic bWU6b3BlbiBzZXNhbWU=")),
            }
            Response::ok(r#"{"access_token":"abc"}"#)
        });
        // Layers come from another host, by redirect, as with the large registries.
        let image = made.clone();
        let storage = Server::start(move |request| {
            assert_eq!(request.header("authorization"), None);
            Response::ok(image.layers[0].blob.clone())
        });
        let realm =
            format!("Bearer realm=\"http://{}/token\",service=\"reg\",scope=\"repository:app:pull\"", tokens.address);
        let elsewhere = format!("http://{}/layer", storage.address);
        let image = made.clone();
        let server = Server::start(move |request| {
            if request.header("authorization") != Some("Bearer abc") {
                return Response::new(401, "").with("WWW-Authenticate", &realm);
            }
            match request.path == blob_path(&image.layers[0].blob) {
                true => Response::new(307, "").with("Location", &elsewhere),
                false => honest(&image, request),
            }
        });
        let host = Host::new();
        let config = host.path("config.json");
        fs::write(&config, json!({"auths": {server.address.to_string(): login}}).to_string()).unwrap();
        let credentials = Credentials::from_docker_config(Some(&config));
        let image = host.get_as(&name_of(&server), PullPolicy::Missing, &credentials).await.unwrap();
        assert_eq!(read(&image, "hello"), "x");
        assert_eq!((tokens.requests().len(), storage.requests().len()), (1, 1));
    }
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_to_another_machine() {
    // Documentation addresses: nobody may be asked there.
    let error =
        refused(|_| Response::new(401, "").with("WWW-Authenticate", r#"Bearer realm="http://192.0.2.1/token""#)).await;
    assert!(error.to_string().contains("its token server http://192.0.2.1 does not speak HTTPS"), "{error}");
    let error = refused(|_| Response::new(302, "").with("Location", "http://192.0.2.1/manifest")).await;
    assert!(error.to_string().contains("it redirects to http://192.0.2.1, which is not HTTPS"), "{error}");
    let error = refused(|request| Response::new(302, "").with("Location", &request.path)).await;
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[tokio::test]
async fn where_a_redirect_leads_gets_no_credentials_however_it_asks() {
    let tokens = Server::start(|_| Response::ok(r#"{"token":"abc"}"#));
    let challenge = format!("Bearer realm=\"http://{}/token\"", tokens.address);
    let thief = Server::start(move |_| Response::new(401, "").with("WWW-Authenticate", &challenge));
    let (made, elsewhere) = (hello("x"), format!("http://{}/layer", thief.address));
    let server = Server::start(move |request| match request.path == blob_path(&made.layers[0].blob) {
        true => Response::new(307, "").with("Location", &elsewhere),
        false => honest(&made, request),
    });
    let host = Host::new();
    let config = host.path("config.json");
    fs::write(&config, json!({"auths": {server.address.to_string(): {"auth": "bWU6cDp3"}}}).to_string()).unwrap();
    let credentials = Credentials::from_docker_config(Some(&config));
    let error = host.get_as(&name_of(&server), PullPolicy::Missing, &credentials).await.unwrap_err();
    assert!(matches!(error, ImageError::Unauthorized { .. }), "{error}");
    assert_eq!((tokens.requests().len(), thief.requests().len()), (0, 1));
    assert_nothing_left(&host);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let error = refused(|_| Response::new(403, r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#)).await;
    assert!(
        matches!(error, ImageError::Unauthorized { .. }) && error.to_string().ends_with("(not for you)"),
        "{error}"
    );
    let error = refused(|_| Response::new(404, "")).await;
    assert!(matches!(error, ImageError::NotFound { .. }), "{error}");
    let error = refused(|_| Response::new(418, "")).await;
    assert!(matches!(error, ImageError::Registry { status: 418, .. }), "{error}");
    let error = Host::new().get_as("localhost:1/app", PullPolicy::Never, &Credentials::none()).await.unwrap_err();
    assert!(matches!(error, ImageError::NotLocal { .. }), "{error}");
    let error = Host::new().get("localhost:1/app").await.unwrap_err();
    assert!(error.to_string().contains("cannot reach localhost:1: Connection refused"), "{error}");
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    let made = hello("x");
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |request| match calls.fetch_add(1, Ordering::Relaxed) {
        _ if request.path == "/v2/" => {
            calls.store(0, Ordering::Relaxed);
            Response::ok("{}")
        }
        0 => Response::new(503, ""),
        1 => Response::new(429, "").with("Retry-After", "1"),
        _ => honest(&made, request),
    });
    let host = Host::new();
    let begun = std::time::Instant::now();
    host.get(&name_of(&server)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(1250));
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke() {
    let text: String = (0..60_000).map(|n| format!("{n} ")).collect();
    for ranges in [true, false] {
        let made = hello(&text);
        let (image, target) = (made.clone(), blob_path(&made.layers[0].blob));
        let path = target.clone();
        let server = Server::start(move |request| {
            if request.path != path {
                return honest(&image, request);
            }
            let blob = &image.layers[0].blob;
            let range =
                request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            let from: usize = range.unwrap_or(0);
            if from > blob.len() / 2 {
                let body = if ranges { blob[from..].to_vec() } else { blob.clone() };
                return match ranges {
                    true => Response::new(206, body)
                        .with("Content-Range", &format!("bytes {from}-{}/{}", blob.len() - 1, blob.len())),
                    false => Response::ok(body),
                };
            }
            Response { cut: Some(blob.len() * 2 / 3), ..Response::ok(blob.clone()) }
        });
        let host = Host::new();
        let image = host.get(&name_of(&server)).await.unwrap();
        assert_eq!(read(&image, "hello"), text);
        assert_eq!(server.count(&target), 2);
    }
    // A server that answers with another part than was asked for.
    let made = hello(&text);
    let error = refused(move |request| {
        let blob = &made.layers[0].blob;
        match (request.path == blob_path(blob), request.header("range")) {
            (false, _) => honest(&made, request),
            (true, None) => Response { cut: Some(blob.len() / 2), ..Response::ok(blob.clone()) },
            (true, Some(_)) => Response::new(206, blob.clone()).with("Content-Range", "bytes 0-9/10"),
        }
    })
    .await;
    assert!(error.to_string().contains("another part of a layer"), "{error}");
}

#[tokio::test]
async fn two_who_want_one_image_fetch_it_once() {
    let made = hello("x");
    let target = blob_path(&made.layers[0].blob);
    let server = Server::start(move |request| honest(&made, request));
    let host = Host::new();
    let name = name_of(&server);
    let pulls: Vec<_> = (0..5)
        .map(|_| {
            let (store, name) = (host.again(), name.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let reference = Reference::parse(&name).unwrap();
                let nobody = Credentials::none();
                let work = ensure(&store, &reference, PullPolicy::Missing, &nobody, progress::silent());
                runtime.block_on(work).map(|image| image.id)
            })
        })
        .collect();
    let ids: Vec<_> = pulls.into_iter().map(|pull| pull.join().unwrap().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(server.count(&target), 1);
}

#[tokio::test]
async fn a_pull_that_is_dropped_leaves_nothing_and_can_be_repeated() {
    let made = hello("x");
    let (hold, gate) = mpsc::channel::<()>();
    let (image, gate) = (made.clone(), Mutex::new(gate));
    let server = Server::start(move |request| {
        if request.path == blob_path(&image.layers[0].blob) {
            // Until the other end is dropped.
            let _ = gate.lock().unwrap().recv();
        }
        honest(&image, request)
    });
    let host = Host::new();
    let name = name_of(&server);
    let cut = tokio::time::timeout(Duration::from_millis(300), host.get(&name)).await;
    assert!(cut.is_err());
    // While a pull is alive nothing is swept; it is over when its thread is.
    assert_nothing_left(&host);
    drop(hold);
    assert_eq!(read(&host.get(&name).await.unwrap(), "hello"), "x");
}

#[tokio::test]
async fn layers_that_arrived_before_a_failure_are_not_fetched_again() {
    let layers: Vec<Layer> = ["a", "b", "c"].iter().map(|name| layer(&[(name, name)], Packing::Gzip)).collect();
    let made = Made::for_platform(host_architecture(), layers, json!({}));
    let broken = Arc::new(AtomicUsize::new(1));
    let (image, switch) = (made.clone(), broken.clone());
    let server = Server::start(move |request| {
        if request.path == blob_path(&image.layers[2].blob) && switch.load(Ordering::Relaxed) == 1 {
            // Late enough for the others to be through.
            std::thread::sleep(Duration::from_millis(300));
            return Response::new(404, "");
        }
        honest(&image, request)
    });
    let host = Host::new();
    assert!(matches!(host.get(&name_of(&server)).await, Err(ImageError::NotFound { .. })));
    assert_eq!(host.layers().len(), 2);
    broken.store(0, Ordering::Relaxed);
    let image = host.get(&name_of(&server)).await.unwrap();
    assert_eq!((read(&image, "a"), read(&image, "c")), ("a".into(), "c".into()));
    assert_eq!(server.count(&blob_path(&made.layers[0].blob)), 1);
}

#[tokio::test]
async fn a_pull_that_is_killed_leaves_what_the_next_one_removes() {
    let host = Host::new();
    let left = host.images().join("tmp/session-killed/layer-0/usr");
    fs::create_dir_all(&left).unwrap();
    fs::File::create(left.join("half")).unwrap().write_all(b"half a file").unwrap();
    let made = hello("x");
    let server = Server::start(move |request| honest(&made, request));
    host.get(&name_of(&server)).await.unwrap();
    assert!(!Path::new(&left).exists());
    assert_eq!(host.names("tmp"), Vec::<String>::new());
}

/// Answers ranges of the one layer, the first `good` requests for it cut off after `cut` bytes.
fn breaking(made: Made, cut: usize, good: Arc<AtomicUsize>) -> Server {
    Server::start(move |request| {
        let blob = &made.layers[0].blob;
        if request.path != blob_path(blob) {
            return honest(&made, request);
        }
        if good.load(Ordering::Relaxed) == 0 {
            return Response { cut: Some(cut), ..Response::ok(blob.clone()) };
        }
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        let from: usize = range.map_or(0, |from| from.parse().unwrap());
        match from {
            0 => Response::ok(blob.clone()),
            _ if from >= blob.len() => Response::new(416, ""),
            _ => Response::new(206, blob[from..].to_vec())
                .with("Content-Range", &format!("bytes {from}-{}/{}", blob.len() - 1, blob.len())),
        }
    })
}

#[tokio::test]
async fn what_a_broken_off_pull_had_is_not_fetched_again_by_a_later_one() {
    let text = noise(4 << 20);
    let made = hello(&text);
    let (size, path) = (made.layers[0].blob.len(), blob_path(&made.layers[0].blob));
    assert!(size > 3 << 20);
    for (damage, expected) in [(false, 2 << 20), (true, 2 << 20)] {
        let good = Arc::new(AtomicUsize::new(0));
        // The registry's ranges do not work at first: every attempt ends at the same place.
        let server = breaking(made.clone(), 2 << 20, good.clone());
        let host = Host::new();
        let cut = tokio::time::timeout(Duration::from_millis(900), host.get(&name_of(&server))).await;
        assert!(!matches!(cut, Ok(Ok(_))));
        let partial = host.images().join("partial").join(&digest(&made.layers[0].blob)[7..]);
        let kept = (0..200)
            .find_map(|_| {
                std::thread::sleep(Duration::from_millis(10));
                fs::metadata(&partial).ok().map(|data| data.len()).filter(|_| host.names("tmp").is_empty())
            })
            .unwrap();
        assert_eq!(kept, expected);
        if damage {
            fs::write(&partial, vec![7; expected as usize]).unwrap();
        }
        good.store(1, Ordering::Relaxed);
        let before = server.count(&path);
        let image = host.get(&name_of(&server)).await.unwrap();
        assert_eq!(read(&image, "hello"), text);
        let asked = server.requests().into_iter().filter(|request| request.path == path).skip(before);
        let ranges: Vec<Option<String>> = asked.map(|request| request.header("range").map(str::to_owned)).collect();
        match damage {
            false => assert_eq!(ranges, [Some(format!("bytes={expected}-"))]),
            // It does not fit, which only the whole tells; then all of it is fetched.
            true => assert_eq!(ranges, [Some(format!("bytes={expected}-")), None]),
        }
        assert_eq!(host.names("partial"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_limit_of_requests_is_explained() {
    let error = refused(|_| {
        Response::new(
            429,
            r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#,
        )
        .with("ratelimit-limit", "100;w=21600")
        .with("Retry-After", "3600")
    })
    .await;
    assert!(matches!(error, ImageError::RateLimited { .. }), "{error}");
    let text = error.to_string();
    for part in ["100 in 6 hours", "again in 60 minutes", "You have reached", "muster login"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_the_next_place_when_it_fails() {
    let made = hello("mirrored");
    let image = made.clone();
    // Docker Hub's short names have `library/`.
    let mirror = Server::start(move |request| {
        honest(&image, &Request { path: request.path.replace("library/", ""), ..request.clone() })
    });
    let broken = Server::start(|_| Response::new(404, ""));
    let host = Host::new();
    let mirrors = [format!("http://{}", broken.address), format!("http://{}", mirror.address)];
    fs::write(host.path("daemon.json"), json!({"registry-mirrors": mirrors}).to_string()).unwrap();
    let credentials = Credentials::from_docker_config(Some(&host.path("config.json")));
    let image = host.get_as("app:1", PullPolicy::Missing, &credentials).await.unwrap();
    assert_eq!(read(&image, "hello"), "mirrored");
    assert_eq!(image.repo_digests, [format!("docker.io/library/app@{}", digest(&made.manifest))]);
    assert!(broken.count("/v2/library/app/manifests/1") > 0);
}

#[tokio::test]
async fn a_registry_with_its_own_authority_is_believed_and_one_without_is_not() {
    let host = Host::new();
    let registry = Registry::with_tls(&host.path("tls"));
    let made = hello("over TLS");
    registry.push_over_tls("app", "1", &made);
    let name = format!("localhost:{}/app:1", registry.port());
    // On loopback whoever answers is believed, as docker does.
    let config = host.path("config.json");
    let credentials = Credentials::from_docker_config(Some(&config));
    let certs = host.path(&format!("certs.d/localhost:{}", registry.port()));
    fs::create_dir_all(&certs).unwrap();
    // With an authority of its own it has to be that one.
    registry.other_authority(&certs.join("ca.crt"));
    let error = host.get_as(&name, PullPolicy::Missing, &credentials).await.unwrap_err();
    assert!(matches!(error, ImageError::Unreachable { .. }), "{error}");
    fs::copy(host.path("tls/ca.crt"), certs.join("ca.crt")).unwrap();
    let image = host.get_as(&name, PullPolicy::Missing, &credentials).await.unwrap();
    assert_eq!(read(&image, "hello"), "over TLS");
    fs::remove_dir_all(host.path("certs.d")).unwrap();
    let image = host.get_as(&name, PullPolicy::Always, &credentials).await.unwrap();
    assert_eq!(read(&image, "hello"), "over TLS");
}

#[tokio::test]
async fn a_policy_with_a_time_asks_when_that_has_passed() {
    let made = hello("x");
    let server = Server::start(move |request| honest(&made, request));
    let host = Host::new();
    let (name, nobody) = (name_of(&server), Credentials::none());
    let asked = || server.requests().iter().filter(|request| request.path == "/v2/app/manifests/1").count();
    for (policy, times) in [
        (PullPolicy::Every(3600), 1),
        (PullPolicy::Every(3600), 1),
        (PullPolicy::Missing, 1),
        (PullPolicy::Every(0), 2),
        (PullPolicy::Every(3600), 2),
    ] {
        host.get_as(&name, policy, &nobody).await.unwrap();
        assert_eq!(asked(), times, "{policy:?}");
    }
}
