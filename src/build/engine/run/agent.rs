//! `--mount=type=ssh`: a socket for the step's program whose other end is the agent of whoever builds.

use super::super::error::{Result, StepError};
use std::{
    fs, io,
    os::{
        fd::AsRawFd,
        unix::{fs::PermissionsExt, net::UnixListener},
    },
    path::{Path, PathBuf},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    task::JoinHandle,
};

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const SIGN_REQUEST: u8 = 13;
/// As OpenSSH's agent has it.
const MAX_FRAME: u32 = 256 << 10;

/// Ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Relay(JoinHandle<()>);

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens in `directory`, and connects to `agent` for each that connects. To be called on the runtime.
pub fn relay(directory: &Path, agent: &Path, (mode, uid, gid): (u32, u32, u32)) -> Result<(PathBuf, Relay)> {
    let name = format!("ssh-{}", super::super::cache::random());
    let path = directory.join(&name);
    let wrong = || StepError::file("listen at", &path);
    let open = fs::File::open(directory).map_err(wrong())?;
    // By descriptor: the path of a Unix socket may have 107 bytes (unix(7)).
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/{name}", open.as_raw_fd())).map_err(wrong())?;
    std::os::unix::fs::chown(&path, Some(uid), Some(gid)).map_err(wrong())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777)).map_err(wrong())?;
    listener.set_nonblocking(true).map_err(wrong())?;
    let runtime = tokio::runtime::Handle::current();
    let listener = {
        let _guard = runtime.enter();
        tokio::net::UnixListener::from_std(listener).map_err(wrong())?
    };
    let agent = agent.to_owned();
    let task = runtime.spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((mut theirs, _)) => {
                        let agent = agent.clone();
                        connections.spawn(async move {
                            if let Ok(mut ours) = UnixStream::connect(&agent).await {
                                let _ = pass(&mut theirs, &mut ours).await;
                            }
                        });
                    }
                    Err(_) => return,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok((path, Relay(task)))
}

/// Questions and answers (draft-miller-ssh-agent): each is a length of four bytes, a type, and the rest. A step may list
/// keys and have things signed; it may not add, remove or lock anything, nor use extensions, as in BuildKit.
async fn pass(theirs: &mut UnixStream, ours: &mut UnixStream) -> io::Result<()> {
    loop {
        let question = frame(theirs).await?;
        if matches!(question.first(), Some(&(REQUEST_IDENTITIES | SIGN_REQUEST))) {
            send(ours, &question).await?;
            let answer = frame(ours).await?;
            send(theirs, &answer).await?;
        } else {
            send(theirs, &[FAILURE]).await?;
        }
    }
}

async fn frame(from: &mut UnixStream) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    if length > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn send(to: &mut UnixStream, bytes: &[u8]) -> io::Result<()> {
    to.write_u32(u32::try_from(bytes.len()).map_err(io::Error::other)?).await?;
    to.write_all(bytes).await
}
