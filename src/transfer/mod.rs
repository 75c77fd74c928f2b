//! Files into and out of containers, from outside: no program of the container runs for it (CVE-2019-14271), and no
//! link of the container leads out of it (CVE-2018-15664).
//!
//! ```text
//! root     the root directory of a container: by its init's /proc/PID/root, or mounted for the time being
//! entry    one file, directory or link: put, removed; the whole of it or nothing
//! ```
//!
//! Every path is resolved by openat2(2) with the container's root as its root, over the container's own mounts, so that
//! its volumes are where its processes see them. What is open was opened by descriptor: the container lives meanwhile,
//! and a name may be another file a moment later.

mod entry;
mod error;
mod root;

pub use entry::{Done, Owner};
pub use error::TransferError;
pub use root::Root;
