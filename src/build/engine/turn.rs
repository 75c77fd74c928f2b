//! Waiting for locks that other builds hold, of this process or of others, for as long as a step takes.

use super::error::{Result, StepError};
use crate::{
    image::Digest,
    state::{Layout, Lock},
};
use std::{io, path::Path};

/// The lock of a file. Who waits is not in the way of a build that is cancelled.
pub async fn hold(path: &Path) -> Result<Lock> {
    let wrong = || StepError::file("lock", path);
    if let Some(lock) = Lock::try_acquire(path).map_err(wrong())? {
        return Ok(lock);
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let owned = path.to_owned();
    // On a thread that nobody waits for: with nobody left to take the lock it is given back when it comes.
    std::thread::Builder::new()
        .name("muster-lock".into())
        .spawn(move || drop(sender.send(Lock::acquire(&owned))))
        .map_err(wrong())?;
    receiver.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(wrong())
}

/// The right to carry a step out: whoever is at the same step waits, and finds its result. Not a file for each key, which
/// nobody could ever remove; two steps of one name are rare, and one waits for nothing then.
///
/// It is the first thing that a step waits for, before caches and its turn: so no two steps wait for each other.
pub async fn alone(layout: &Layout, key: &Digest) -> Result<Lock> {
    hold(&layout.host_lock(&format!("build-step-{}", &key.hex()[..3]))).await
}
