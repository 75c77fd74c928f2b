//! Private keys of `build.ssh`: an agent of OpenSSH's that holds them as long as the build.
//!
//! ```text
//! muster -- pipe --> sh: ssh-add each key; its agent's pid; cat until the pipe is closed
//!                     `-- ssh-agent: ends soon after the sh that it was started for
//! ```
//! However muster ends, the pipe is closed, and the agent sees its program gone within its ten seconds; a build that
//! ends by itself does not wait for that. Keys go in by standard input: BuildKit takes those that others may read, and
//! ssh-add takes no such file.

use super::error::{Result, StepError};
use base64::Engine as _;
use rustix::{
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

/// As much as BuildKit reads.
const MAX_KEY: u64 = 100 << 10;
const SCRIPT: &str =
    "for key do ssh-add -q - < \"$key\" || exit 1; done; echo \"ready $SSH_AGENT_PID\"; exec cat >/dev/null";

/// What an id of `ssh` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Socket(PathBuf),
    Keys(Vec<PathBuf>),
}

/// An agent that runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Agent {
    pub socket: PathBuf,
    _program: Child,
    agent: OwnedFd,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.agent, Signal::KILL);
        let _ = fs::remove_file(&self.socket);
    }
}

/// Looks at what is given, before anything runs for nothing.
pub fn look(paths: &[PathBuf]) -> Result<Given, String> {
    let mut keys = Vec::new();
    for path in paths {
        let data = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if data.file_type().is_socket() {
            return match paths {
                [_] => Ok(Given::Socket(path.clone())),
                _ => Err(format!("{} is an agent's socket, which goes with nothing else", path.display())),
            };
        }
        check(path)?;
        keys.push(path.clone());
    }
    Ok(Given::Keys(keys))
}

/// A private key, and one that can be read without being asked for anything.
fn check(path: &Path) -> Result<(), String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_KEY).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() != io::ErrorKind::InvalidData => {
            return Err(format!("cannot read {}: {error}", path.display()));
        }
        Ok(_) if text.contains("PRIVATE KEY-----") => {}
        _ => return Err(format!("{} is neither the socket of an agent nor a private key", path.display())),
    }
    if is_encrypted(&text) {
        return Err(format!(
            "{} is protected by a passphrase, which a build cannot ask for; add it to an agent (ssh-add) and give that: \
             ssh: [default]",
            path.display()
        ));
    }
    Ok(())
}

/// By the headers of PEM, or by the cipher that OpenSSH's own format names (PROTOCOL.key).
fn is_encrypted(text: &str) -> bool {
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return true;
    }
    let Some((_, body)) = text.split_once("-----BEGIN OPENSSH PRIVATE KEY-----") else { return false };
    let body: String = body.split("-----END").next().unwrap_or_default().split_whitespace().collect();
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(body) else { return false };
    let Some(rest) = bytes.strip_prefix(b"openssh-key-v1\0") else { return false };
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return false };
    let length = u32::from_be_bytes(*length) as usize;
    rest.get(..length).is_some_and(|cipher| cipher != b"none")
}

/// An agent with these keys, whose socket is in `directory`, where nobody else comes.
pub async fn serve(directory: &Path, keys: &[PathBuf], path: Option<&str>) -> Result<Agent> {
    let socket = directory.join(format!("agent-{}", &super::cache::random()[..8]));
    let refused = |why: String| StepError::Refused(format!("cannot start an agent for the keys of ssh: {why}"));
    let mut command = Command::new("ssh-agent");
    command.arg("-a").arg(&socket).args(["/bin/sh", "-c", SCRIPT, "sh"]).args(keys).env_clear();
    if let Some(path) = path {
        command.env("PATH", path);
    }
    // Never a terminal: who builds may not be there.
    command.env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force").env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let mut program = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            refused("the program ssh-agent is not on this host; install the package openssh-client".into())
        }
        _ => refused(error.to_string()),
    })?;
    let mut line = String::new();
    if let Some(output) = program.stdout.take() {
        BufReader::new(output).read_line(&mut line).await.map_err(|error| refused(error.to_string()))?;
    }
    let pid = line.strip_prefix("ready ").and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw);
    let Some(pid) = pid else {
        let mut said = String::new();
        if let Some(mut pipe) = program.stderr.take() {
            let _ = pipe.read_to_string(&mut said).await;
        }
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        return Err(refused(said.join("; ")));
    };
    let agent = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| refused(error.to_string()))?;
    Ok(Agent { socket, _program: program, agent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(cipher: &str) -> String {
        let mut bytes = b"openssh-key-v1\0".to_vec();
        bytes.extend_from_slice(&u32::try_from(cipher.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(cipher.as_bytes());
        let body = base64::engine::general_purpose::STANDARD.encode(bytes);
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
    }

    #[test]
    fn a_key_with_a_passphrase_is_told_by_its_beginning() {
        assert!(!is_encrypted(&key("none")));
        assert!(is_encrypted(&key("aes256-ctr")));
        assert!(is_encrypted("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"));
        assert!(is_encrypted("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert!(!is_encrypted("-----BEGIN PRIVATE KEY-----\nAAAA\n"));
        assert!(!is_encrypted("-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense"));
    }

    #[test]
    fn what_is_given_is_a_socket_or_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("key"), key("none")).unwrap();
        fs::write(path("locked"), key("aes256-ctr")).unwrap();
        fs::write(path("other"), [0xff, 0xfe]).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(look(&[path("socket")]), Ok(Given::Socket(path("socket"))));
        assert_eq!(look(&[path("key"), path("key")]), Ok(Given::Keys(vec![path("key"), path("key")])));
        for (paths, word) in [
            (vec![path("locked")], "passphrase"),
            (vec![path("other")], "neither"),
            (vec![path("none")], "No such file"),
            (vec![path("key"), path("socket")], "goes with nothing else"),
        ] {
            let told = look(&paths).unwrap_err();
            assert!(told.contains(word), "{told}");
        }
    }
}
