//! Build contexts by URL: archives, also those that mean harm, and lone Dockerfiles.

use super::{
    contexts::{DOCKERFILE, build, compose, context, failure, file, kept, stack, steps},
    image_support::http::{Response, Server},
};
use std::{
    fs,
    process::{Command, Stdio},
};

/// One file after the other; names may be anything.
fn archive(members: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        let (kind, target) = match text.strip_prefix("-> ") {
            Some(target) => (tar::EntryType::Symlink, target),
            None => (tar::EntryType::Regular, ""),
        };
        header.set_entry_type(kind);
        if !target.is_empty() {
            header.set_link_name_literal(target).unwrap();
        }
        let bytes = if target.is_empty() { text.as_bytes() } else { b"" };
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn piped(program: &str, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, bytes) = (child.stdin.take().unwrap(), bytes.to_vec());
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn an_archive_and_a_lone_dockerfile_are_contexts() {
    let tar = archive(&[DOCKERFILE, ("sub/f", "archived\n"), (".dockerignore", "no\n"), ("no", "x"), ("l", "-> /etc")]);
    let gz = super::image_support::gzip(&tar);
    let zst = ruzstd::encoding::compress_to_vec(&tar[..], ruzstd::encoding::CompressionLevel::Fastest);
    let (bz2, xz) = (piped("bzip2", &tar), piped("xz", &tar));
    let server = Server::start(move |request| {
        let body: &[u8] = match request.path.as_str() {
            "/tar" => &tar,
            "/gz" => &gz,
            "/zst" => &zst,
            "/bz2" => &bz2,
            "/xz" => &xz,
            "/text" => b"FROM scratch\nCOPY context /copied\n",
            _ => return Response::new(404, ""),
        };
        match request.header("if-none-match") {
            Some("\"1\"") => Response::new(304, "").with("ETag", "\"1\""),
            _ => Response::ok(body).with("ETag", "\"1\""),
        }
    });
    let url = |name: &str| format!("http://{}/{name}", server.address);
    let kinds = ["tar", "gz", "zst", "bz2", "xz"];
    let mut contexts: Vec<(&str, String)> = kinds.iter().map(|kind| (*kind, context(url(kind)))).collect();
    contexts.push(("text", context(url("text"))));
    let inline = "dockerfile_inline: \"FROM scratch\\nCOPY --from=more . /\"";
    contexts.push(("more", format!("context: '.', {inline}, additional_contexts: {{more: '{}'}}", url("text"))));
    let stack = stack("tarctx", &contexts);
    build(&stack);
    for kind in kinds {
        assert_eq!(file(&stack, kind, "sub/f").as_deref(), Some("archived\n"), "{kind}");
        assert_eq!(file(&stack, kind, "no"), None);
    }
    assert!(file(&stack, "text", "copied").unwrap().starts_with("FROM scratch"));
    assert!(file(&stack, "more", "context").unwrap().starts_with("FROM scratch"));
    let (asked, bodies) = (server.count("/gz"), server.requests().len());
    let again = build(&stack);
    assert_eq!(steps(&again, " CACHED"), 7, "{again:#?}");
    assert_eq!(server.count("/gz"), asked + 1);
    assert!(server.requests()[bodies..].iter().all(|request| request.header("if-none-match").is_some()));

    compose(&stack, &[("a", context(url("gone")))]);
    let told = failure(&stack);
    assert!(told.contains("the server answers 404"), "{told}");
}

#[test]
fn an_archive_that_means_harm_stays_within_itself() {
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().display().to_string();
    let climbing = archive(&[DOCKERFILE, ("../../../../../../escaped", "x")]);
    let linked = archive(&[("l", &format!("-> {out}")), ("l/through", "x"), DOCKERFILE]);
    let stolen = archive(&[("Dockerfile", "-> /etc/passwd")]);
    let cut = archive(&[DOCKERFILE, ("big", &"x".repeat(5000))])[..3000].to_vec();
    let mut header = tar::Header::new_gnu();
    header.set_path("big").unwrap();
    header.set_size(1 << 50);
    header.set_cksum();
    let bomb = [archive(&[DOCKERFILE])[..1024].to_vec(), header.as_bytes().to_vec(), vec![0; 4096]].concat();
    let server = Server::start(move |request| match request.path.as_str() {
        "/climbing" => Response::ok(climbing.clone()),
        "/linked" => Response::ok(linked.clone()),
        "/stolen" => Response::ok(stolen.clone()),
        "/bomb" => Response::ok(bomb.clone()),
        "/endless" => Response {
            cut: Some(1000),
            ..Response::ok(vec![b'x'; 1000]).with("Content-Length", &(1u64 << 50).to_string())
        },
        _ => Response::ok(cut.clone()),
    });
    let stack = stack("tarharm", &[]);
    for (name, expected) in [
        ("climbing", "leads out of it"),
        ("stolen", "there is no Dockerfile in the build context"),
        ("cut", "the archive: "),
        ("bomb", "cannot unpack big: it would take more than"),
        ("endless", "it is larger than the"),
    ] {
        compose(&stack, &[("a", context(format!("http://{}/{name}", server.address)))]);
        let told = failure(&stack);
        assert!(told.contains(expected), "{name}: {told}");
        assert!(!told.contains("root:"), "{told}");
    }
    // A link is followed within the archive: the file lands there.
    compose(&stack, &[("a", context(format!("http://{}/linked", server.address)))]);
    build(&stack);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(!kept(&stack).contains(&"tmp".to_owned()));
}
