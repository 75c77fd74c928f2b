//! The smallest HTTP client that the tests need: one request a connection, bounded in time.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Body of `GET path`, whatever the status.
pub fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let answer = exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n"))?;
    Ok(answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

/// Sends a form; answers the whole response.
pub fn post(address: SocketAddr, path: &str, form: &str) -> io::Result<String> {
    let length = form.len();
    let kind = "Content-Type: application/x-www-form-urlencoded";
    exchange(
        address,
        &format!("POST {path} HTTP/1.0\r\nHost: test\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{form}"),
    )
}

fn exchange(address: SocketAddr, request: &str) -> io::Result<String> {
    let limit = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
