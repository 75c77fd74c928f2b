//! HTTP/1.1 over a supervisor's Unix socket: the words of `api`, one request a connection.

use crate::api::Failure;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use std::{io, marker::PhantomData};
use tokio::net::UnixStream;

/// Largest single line of an answer: a plan with some 100,000 ops.
const MAX_LINE: usize = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It ended before it answered; nothing was done, and asking again is right.
    #[error("it went away before it answered")]
    GoneBefore,
    /// It ended in the middle of its answer.
    #[error("it went away in the middle of its answer")]
    GoneAmid,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("its answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("{0}")]
    Http(#[from] hyper::http::Error),
    #[error("{}", .0.message)]
    Refused(Box<Failure>),
}

/// Sends `body` and waits for the head of the answer; what is not a success is an error.
pub async fn post<T: Serialize>(stream: UnixStream, path: &str, body: &T) -> Result<Response<Incoming>, ClientError> {
    let request = Request::post(path)
        .header(HOST, "muster")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(serde_json::to_vec(body)?)))?;
    send(stream, request).await
}

async fn send(stream: UnixStream, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| ClientError::GoneBefore)?;
    // It carries the bytes of the answer; its end shows in the answer's body.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|_| ClientError::GoneBefore)?;
    match response.status() {
        status if status.is_success() => Ok(response),
        StatusCode::SERVICE_UNAVAILABLE => Err(ClientError::GoneBefore),
        status => Err(ClientError::Refused(Box::new(refusal(status, response).await))),
    }
}

async fn refusal(status: StatusCode, response: Response<Incoming>) -> Failure {
    let text = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_else(|_| Failure {
        message: format!("the supervisor answers {status}: {}", String::from_utf8_lossy(&text).trim()),
        ..Failure::default()
    })
}

/// A whole answer as one value.
pub async fn value<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, ClientError> {
    let body = response.into_body().collect().await.map_err(|_| ClientError::GoneAmid)?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

/// An answer of one JSON object a line, as they come.
pub struct Lines<T> {
    body: Incoming,
    buffer: Vec<u8>,
    /// Up to here there is no newline.
    searched: usize,
    kind: PhantomData<T>,
}

impl<T: DeserializeOwned> Lines<T> {
    pub fn new(response: Response<Incoming>) -> Self {
        Self { body: response.into_body(), buffer: Vec::new(), searched: 0, kind: PhantomData }
    }

    /// The next object; `None` at the end of the answer. May be cancelled between two objects without loss.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(newline) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                let end = self.searched + newline;
                let value = serde_json::from_slice(&self.buffer[..end]);
                self.buffer.drain(..=end);
                self.searched = 0;
                return Ok(Some(value?));
            }
            self.searched = self.buffer.len();
            match self.body.frame().await {
                None if self.buffer.is_empty() => return Ok(None),
                None | Some(Err(_)) => return Err(ClientError::GoneAmid),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
            if self.buffer.len() > MAX_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of the answer is too long").into());
            }
        }
    }
}
