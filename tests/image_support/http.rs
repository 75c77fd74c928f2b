//! A registry that misbehaves as it is told to, and a client that fills an honest one. Both on loopback.

use super::{Made, digest};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Closes the connection after that much of the body.
    pub cut: Option<usize>,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

type Handler = dyn Fn(&Request) -> Response + Send + Sync;

/// Answers every request by the handler and remembers it. Ends with the test.
pub struct Server {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (log, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (handler, seen, ended): (Arc<Handler>, _, _) = (Arc::new(handler), log.clone(), stop.clone());
        thread::spawn(move || {
            for connection in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (handler, seen) = (handler.clone(), seen.clone());
                thread::spawn(move || serve(&connection.unwrap(), &*handler, &seen));
            }
        });
        Self { address, log, stop }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(connection: &TcpStream, handler: &Handler, log: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(connection);
    while let Some(request) = read_request(&mut reader) {
        log.lock().unwrap().push(request.clone());
        let response = handler(&request);
        let mut head = format!("HTTP/1.1 {} X\r\n", response.status);
        if !response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            head += &format!("Content-Length: {}\r\n", response.body.len());
        }
        for (name, value) in &response.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        let mut writer = connection;
        if writer.write_all(head.as_bytes()).is_err() || request.method == "HEAD" {
            continue;
        }
        let length = response.cut.unwrap_or(response.body.len());
        if writer.write_all(&response.body[..length]).is_err() || response.cut.is_some() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request = Request { method, path: path.replace("%3A", ":"), query: query.into(), ..Request::default() };
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Some(request)
}

/// What an honest registry answers about one image, tagged `1` in the repository `app`.
pub fn honest(image: &Made, request: &Request) -> Response {
    let tag = ["/v2/app/manifests/1".to_owned(), format!("/v2/app/manifests/{}", digest(&image.manifest))];
    if tag.contains(&request.path) {
        return Response::ok(image.manifest.clone())
            .with("Content-Type", super::OCI_MANIFEST)
            .with("Docker-Content-Digest", &digest(&image.manifest));
    }
    let blobs = image.blobs();
    match blobs.iter().find(|blob| request.path == blob_path(blob)) {
        Some(blob) => Response::ok(*blob),
        None => Response::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#),
    }
}

pub fn blob_path(blob: &[u8]) -> String {
    format!("/v2/app/blobs/{}", digest(blob))
}

/// One request to a server of ours; status and headers (names in lower case) of the answer.
pub fn send(address: &str, method: &str, target: &str, headers: &str, body: &[u8]) -> (u16, BTreeMap<String, String>) {
    let mut connection = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(body).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let mut lines = answer.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map_while(|line| line.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
    (status, headers.collect())
}

/// Uploads what has the media type of a manifest under a tag or digest, and its blobs before it.
pub fn push(
    address: &str,
    repository: &str,
    tag: &str,
    media_type: &str,
    manifest: &[u8],
    blobs: &[&[u8]],
    auth: &str,
) {
    for blob in blobs {
        let (status, headers) = send(address, "POST", &format!("/v2/{repository}/blobs/uploads/"), auth, b"");
        assert_eq!(status, 202);
        let location = &headers["location"];
        let location =
            location.split_once("://").map_or(location.as_str(), |(_, rest)| &rest[rest.find('/').unwrap()..]);
        let joint = if location.contains('?') { '&' } else { '?' };
        let target = format!("{location}{joint}digest={}", digest(blob));
        let headers = format!("{auth}Content-Type: application/octet-stream\r\n");
        assert_eq!(send(address, "PUT", &target, &headers, blob).0, 201);
    }
    let headers = format!("{auth}Content-Type: {media_type}\r\n");
    assert_eq!(send(address, "PUT", &format!("/v2/{repository}/manifests/{tag}"), &headers, manifest).0, 201);
}
