//! A container's keeper: one process, one thread, no tokio, under 1 MiB of memory of its own.
//!
//! It clones the container and is its parent, writes its log, keeps descriptors for the supervisor, serves exec and attach
//! by passing descriptors, writes how it ended, and starts a new supervisor when that died. When it is killed, the
//! container dies with it (PR_SET_PDEATHSIG). It decides nothing about the container: that is `lifecycle`'s.
//!
//! ```text
//! wire        the words, and both ends of a connection (all that other layers may use of the shim)
//! keeper      the loop: events and phases          requests    what each request does
//! run         one run: streams, log, end           connection  one peer
//! log         lines to files                       fdstore     descriptors kept for the supervisor
//! respawn     a new supervisor for a dead one
//! ```

mod connection;
mod fdstore;
mod keeper;
mod log;
mod requests;
mod respawn;
mod run;
pub mod wire;

use crate::{
    model::ContainerId,
    state::Layout,
    sys::{self, Errno, process, seqpacket, this_process},
};
use keeper::{Keeper, complain};
use std::{
    ffi::OsString,
    fs::{self, DirBuilder},
    io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// The OOM killer takes a shim nearly last. Not -1000: a shim that leaks shall not survive the host.
const OOM_SCORE: i32 = -999;

#[derive(Debug, thiserror::Error)]
enum ShimError {
    #[error("usage: __shim <data root> <run root> <container id>")]
    Arguments,
    #[error("cannot make {}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Kernel(#[from] sys::Error),
}

/// The hidden role `muster __shim <data root> <run root> <container id>`; `args` are those behind `__shim`. Standard input
/// is a socket to the supervisor (`wire::Socket::pair`); standard error is for words to whoever looks after the host.
/// To be called before the process has threads or descriptors of its own.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let (id, result) = match arguments(args) {
        Some((layout, id)) => (id.clone(), keep(layout, id)),
        None => (ContainerId::new(""), Err(ShimError::Arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&id, &error);
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut args: impl Iterator<Item = OsString>) -> Option<(Layout, ContainerId)> {
    let (data, run, id) = (args.next()?, args.next()?, args.next()?);
    let id = id.into_string().ok().filter(|id| id.len() >= 12)?;
    Some((Layout::new(data, run), ContainerId::new(id)))
}

fn keep(layout: Layout, id: ContainerId) -> Result<(), ShimError> {
    let supervisor = detach_from_parent()?;
    let path = layout.shim_socket(&id);
    let socket = listen(&path)?;
    Keeper::new(layout, id, supervisor, socket, path)?.run()?;
    Ok(())
}

/// Takes the supervisor's socket, and gives up all else that came from the process that started this one.
fn detach_from_parent() -> Result<OwnedFd, ShimError> {
    this_process::close_inherited()?;
    let supervisor = this_process::take_stdin()?;
    match process::new_session() {
        // It leads its process group already, so whoever started it has seen to that.
        Err(error) if error.errno != Errno::PERM => return Err(error.into()),
        _ => {}
    }
    process::set_name(c"muster-shim")?;
    this_process::outlive_polite_signals()?;
    this_process::set_subreaper(true)?;
    process::set_umask(0o077);
    let root = Path::new("/");
    std::env::set_current_dir(root).map_err(|source| ShimError::Directory { path: root.into(), source })?;
    // Refused without CAP_SYS_RESOURCE; then the shim is as likely a victim as others.
    let _ = process::set_oom_score(OOM_SCORE);
    Ok(supervisor)
}

/// A shim that was killed left its socket; there is one shim a container, so what is there is nobody's.
fn listen(path: &Path) -> Result<OwnedFd, ShimError> {
    let failed = |source| ShimError::Directory { path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    Ok(seqpacket::listen(path, BACKLOG)?)
}
