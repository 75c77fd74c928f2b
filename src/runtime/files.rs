//! The files of a container that does not run, as its processes would see them: its overlay, and its volumes over it.
//! Nothing is started, and nothing is mounted where anybody else could see it.

use super::{StartError, failure::During, mounts, root, spec::Spec};
use crate::sys;
use std::os::fd::OwnedFd;

/// The root directory, open. The calling thread is in a mount namespace of its own from now on, and the mounts end with
/// the thread: call it on one that is made for it.
pub fn open(spec: &Spec) -> Result<OwnedFd, StartError> {
    sys::namespace::new_mount_namespace().during("mount namespace")?;
    // Volumes are taken from the host's view, before it is cut off.
    let volumes = mounts::gather_volumes(spec)?;
    root::cut_propagation()?;
    let overlay = root::mount(&spec.root)?;
    mounts::place_volumes(volumes, &overlay)?;
    Ok(overlay)
}
