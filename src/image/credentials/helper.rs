//! Credential helpers: programs `docker-credential-NAME` that take `get`, `store` or `erase` as argument, the registry
//! or a JSON document on standard input, and answer on standard output (docker-credential-helpers, README).

use super::Login;
use serde::{Deserialize, Serialize};
use std::{
    io::{self, Read, Write},
    process::{Command, Stdio},
};

/// The user name that stands for a refresh token.
const TOKEN_USER: &str = "<token>";
/// The helpers' text for it (docker-credential-helpers, `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found";
/// Of an answer.
const MAX_ANSWER: u64 = 1 << 20;

/// What a helper prints may hold secrets, so it stays out of all of these.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelperError {
    #[error("cannot run `{program}`, the credential helper that it names: {source}")]
    Run { program: String, source: io::Error },
    #[error("`{0}` is not the name of a credential helper")]
    Name(String),
    #[error("the credential helper `{program} {verb}` failed")]
    Failed { program: String, verb: &'static str },
    #[error("the answer of the credential helper `{0}` cannot be read")]
    Answer(String),
}

pub(super) struct Helper<'a> {
    name: &'a str,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default, rename = "ServerURL")]
    server: String,
    username: String,
    secret: String,
}

impl<'a> Helper<'a> {
    pub fn new(name: &'a str) -> Self {
        Self { name }
    }

    pub fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    /// `None` where the helper has nothing for the registry.
    pub fn get(&self, key: &str) -> Result<Option<Login>, HelperError> {
        let (success, answer) = self.call("get", key.as_bytes())?;
        if !success {
            let none = String::from_utf8_lossy(&answer).contains(NOT_FOUND);
            return if none { Ok(None) } else { Err(HelperError::Failed { program: self.program(), verb: "get" }) };
        }
        let entry: Entry = serde_json::from_slice(&answer).map_err(|_| HelperError::Answer(self.program()))?;
        Ok(match entry.username.as_str() {
            TOKEN_USER => Some(Login::IdentityToken(entry.secret)),
            "" if entry.secret.is_empty() => None,
            _ => Some(Login::Password { user: entry.username, password: entry.secret }),
        })
    }

    pub fn store(&self, key: &str, login: &Login) -> Result<(), HelperError> {
        let (username, secret) = match login {
            Login::Anonymous => return Ok(()),
            Login::Password { user, password } => (user.clone(), password.clone()),
            Login::IdentityToken(token) => (TOKEN_USER.to_owned(), token.clone()),
        };
        let entry = serde_json::to_vec(&Entry { server: key.to_owned(), username, secret })
            .map_err(|_| HelperError::Answer(self.program()))?;
        match self.call("store", &entry)? {
            (true, _) => Ok(()),
            (false, _) => Err(HelperError::Failed { program: self.program(), verb: "store" }),
        }
    }

    /// `false` where the helper had nothing.
    pub fn erase(&self, key: &str) -> Result<bool, HelperError> {
        match self.call("erase", key.as_bytes())? {
            (true, _) => Ok(true),
            (false, answer) if String::from_utf8_lossy(&answer).contains(NOT_FOUND) => Ok(false),
            (false, _) => Err(HelperError::Failed { program: self.program(), verb: "erase" }),
        }
    }

    /// Whether it succeeded, and what it printed.
    fn call(&self, verb: &str, input: &[u8]) -> Result<(bool, Vec<u8>), HelperError> {
        if self.name.contains('/') {
            return Err(HelperError::Name(self.name.to_owned()));
        }
        let wrong = |source| HelperError::Run { program: self.program(), source };
        let mut child = Command::new(self.program())
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(wrong)?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input) {
                // It may know enough before it has read all.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(wrong(error)),
                _ => drop(stdin),
            }
        }
        let mut answer = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MAX_ANSWER).read_to_end(&mut answer).map_err(wrong)?;
        }
        Ok((child.wait().map_err(wrong)?.success(), answer))
    }
}
