//! `--mount=type=ssh`: a socket for the step's program whose other end is the agent of whoever builds.

use super::super::error::{Result, StepError};
use std::{
    fs,
    os::{
        fd::AsRawFd,
        unix::{fs::PermissionsExt, net::UnixListener},
    },
    path::{Path, PathBuf},
};
use tokio::{net::UnixStream, task::JoinHandle};

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
                                let _ = tokio::io::copy_bidirectional(&mut theirs, &mut ours).await;
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
