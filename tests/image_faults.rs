//! Registries and networks that fail half-way: what can be had in the end is had, whole, and what cannot is told.
#![allow(clippy::unwrap_used)]

mod image_support;

use image_support::{
    http::{Request, Response, Server, blob_path, honest},
    *,
};
use muster::image::{Credentials, ImageError, Reference, progress, push};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

fn name_of(server: &Server) -> String {
    format!("{}/app:1", server.address)
}

/// Where a request wants the blob to begin.
fn from(request: &Request) -> usize {
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    range.unwrap_or(0)
}

fn part(blob: &[u8], from: usize) -> Response {
    match from {
        0 => Response::ok(blob),
        _ => Response::new(206, &blob[from..])
            .with("Content-Range", &format!("bytes {from}-{}/{}", blob.len() - 1, blob.len())),
    }
}

/// An image whose one layer is some 200 KiB on the wire.
fn large() -> (Made, String) {
    let text = noise(250_000);
    (hello(&text), text)
}

#[tokio::test]
async fn a_connection_may_break_after_every_part() {
    const PARTS: usize = 12;
    let (made, text) = large();
    let target = blob_path(&made.layers[0].blob);
    let path = target.clone();
    let server = Server::start(move |request| {
        if request.path != path {
            return honest(&made, request);
        }
        let blob = &made.layers[0].blob;
        let response = part(blob, from(request));
        let cut = (blob.len() / PARTS + 1).min(response.body.len());
        Response { cut: Some(cut), ..response }
    });
    let host = Host::new();
    let image = host.get(&name_of(&server)).await.unwrap();
    assert_eq!(read(&image, "hello"), text);
    assert_eq!(server.count(&target), PARTS);
}

#[tokio::test]
async fn a_server_that_fails_in_the_middle_of_a_layer_is_asked_again() {
    let (made, text) = large();
    let target = blob_path(&made.layers[0].blob);
    let (path, asked) = (target.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let blob = &made.layers[0].blob;
        match (request.path == path).then(|| asked.fetch_add(1, Ordering::Relaxed)) {
            None => honest(&made, request),
            Some(0) => Response { cut: Some(blob.len() / 2), ..part(blob, from(request)) },
            Some(1) => Response::new(500, "oops"),
            Some(2) => Response::new(429, "").with("Retry-After", "0"),
            Some(_) => part(blob, from(request)),
        }
    });
    let image = Host::new();
    assert_eq!(read(&image.get(&name_of(&server)).await.unwrap(), "hello"), text);
    let asked: Vec<bool> =
        server.requests().iter().filter(|r| r.path == target).map(|r| r.header("range").is_some()).collect();
    assert_eq!(asked, [false, true, true, true]);
}

#[tokio::test]
async fn a_token_that_grows_old_within_a_layer_is_renewed() {
    let (made, text) = large();
    let given = Arc::new(AtomicUsize::new(0));
    let count = given.clone();
    let tokens = Server::start(move |_| {
        Response::ok(json!({"token": format!("t{}", count.fetch_add(1, Ordering::Relaxed) + 1)}).to_string())
    });
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"r\"", tokens.address);
    let path = blob_path(&made.layers[0].blob);
    let newest = given.clone();
    let server = Server::start(move |request| {
        // Every token is good for what is asked until the next part of the layer.
        if request.header("authorization") != Some(&format!("Bearer t{}", newest.load(Ordering::Relaxed).max(1))) {
            return Response::new(401, "").with("WWW-Authenticate", &challenge);
        }
        if request.path != path {
            return honest(&made, request);
        }
        let blob = &made.layers[0].blob;
        let response = part(blob, from(request));
        let cut = (blob.len() / 3 + 1).min(response.body.len());
        // It expires while this is on its way.
        newest.fetch_add(1, Ordering::Relaxed);
        Response { cut: Some(cut), ..response }
    });
    let host = Host::new();
    assert_eq!(read(&host.get(&name_of(&server)).await.unwrap(), "hello"), text);
    assert!(tokens.requests().len() >= 3, "{}", tokens.requests().len());
}

/// The error of a pull, which leaves nothing of the image.
async fn refused(made: Made) -> String {
    let server = Server::start(move |request| honest(&made, request));
    let host = Host::new();
    let error = host.get(&name_of(&server)).await.unwrap_err().to_string();
    assert!(host.layers().is_empty() && host.store.list().unwrap().is_empty());
    error
}

#[tokio::test]
async fn what_a_manifest_says_of_a_size_must_hold() {
    for by in [-1i64, 1] {
        let mut made = hello("x");
        let mut manifest: Value = serde_json::from_slice(&made.manifest).unwrap();
        let size = manifest["layers"][0]["size"].as_i64().unwrap();
        manifest["layers"][0]["size"] = json!(size + by);
        made.manifest = manifest.to_string().into_bytes();
        let error = refused(made).await;
        assert!(error.contains("bytes, but the manifest says"), "{error}");
    }
}

#[tokio::test]
async fn rubbish_behind_a_compressed_layer_is_refused() {
    let mut good = layer(&[("hello", "x")], Packing::Gzip);
    good.blob.extend_from_slice(b"rubbish that nobody hashes when it is unpacked");
    let error = refused(Made::for_platform(host_architecture(), vec![good], json!({}))).await;
    assert!(error.contains("layer"), "{error}");
    let mut cut = layer(&[("hello", &noise(50_000))], Packing::Gzip);
    cut.blob.truncate(cut.blob.len() - 9);
    let error = refused(Made::for_platform(host_architecture(), vec![cut], json!({}))).await;
    assert!(error.contains("layer"), "{error}");
}

/// Takes uploads as `body` reads them: it is told how many bytes are to come, and answers whether all is well.
fn storage(body: impl Fn(&mut BufReader<&TcpStream>, usize) -> bool + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let body = Arc::new(body);
    thread::spawn(move || {
        for connection in listener.incoming() {
            let body = body.clone();
            thread::spawn(move || take(&connection.unwrap(), &*body));
        }
    });
    address
}

fn take(connection: &TcpStream, body: &(dyn Fn(&mut BufReader<&TcpStream>, usize) -> bool + Send + Sync)) {
    let mut reader = BufReader::new(connection);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
        }
        let answer = match head.split(' ').next().unwrap() {
            _ if head.contains(" /v2/ ") => "200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "HEAD" => "404 X\r\nContent-Length: 0\r\n\r\n",
            "POST" => "202 X\r\nLocation: /v2/app/blobs/uploads/1\r\nContent-Length: 0\r\n\r\n",
            _ if body(&mut reader, length) => "201 X\r\nContent-Length: 0\r\n\r\n",
            _ => return,
        };
        let mut writer = connection;
        if writer.write_all(format!("HTTP/1.1 {answer}").as_bytes()).is_err() {
            return;
        }
    }
}

async fn pushed(address: &str, made: &Made) -> Result<(), ImageError> {
    let host = Host::new();
    let name = format!("{address}/app:1");
    let archive = host.path("app.tar");
    std::fs::write(&archive, Made::docker_archive(&[(made, &[&name])])).unwrap();
    let file = std::fs::File::open(&archive).unwrap();
    muster::image::load(&host.store, file, &archive, progress::silent()).await.unwrap();
    let reference = Reference::parse(&name).unwrap();
    push(&host.store, &reference, &Credentials::none(), progress::silent()).await.map(drop)
}

#[tokio::test]
async fn an_upload_that_breaks_half_way_is_begun_again() {
    let breaks = AtomicUsize::new(0);
    let address = storage(move |reader, length| {
        let large = length > 100_000;
        let wanted = if large && breaks.fetch_add(1, Ordering::Relaxed) < 2 { length / 2 } else { length };
        reader.read_exact(&mut vec![0; wanted]).is_ok() && wanted == length
    });
    pushed(&address, &large().0).await.unwrap();
    let address = storage(|_, _| false);
    let error = pushed(&address, &large().0).await.unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");
}

/// Longer than a silence may last. With MUSTER_FAULTS=all alone: it takes what it says.
#[tokio::test]
async fn an_upload_may_take_longer_than_a_silence() {
    if std::env::var("MUSTER_FAULTS").as_deref() != Ok("all") {
        return;
    }
    let address = storage(|reader, length| {
        let piece = length.div_ceil(75).max(1000);
        let mut left = length;
        while left > 0 {
            let now = left.min(piece);
            reader.read_exact(&mut vec![0; now]).unwrap();
            left -= now;
            if length > 1 << 20 {
                thread::sleep(Duration::from_secs(1));
            }
        }
        true
    });
    // More than the buffers of both sides hold.
    let layers = vec![layer(&[("big", &noise(40 << 20))], Packing::Plain)];
    pushed(&address, &Made::for_platform(host_architecture(), layers, json!({}))).await.unwrap();
}
