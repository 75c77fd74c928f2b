//! Everything mounted in a container besides its root.
//!
//! ```text
//! gather      in the host's view: sources become detached mounts, held by descriptor
//! fill        empty volumes get what the image has at their place
//!   (the root is entered; no path leads to the host from here on)
//! standard    /proc, /dev, /sys
//! place       the gathered mounts, in order, each on a descriptor of its target
//! mask        what of /proc and /sys is nobody's business
//! ```

mod bind;
mod content;
mod copy_up;
mod device;
pub(super) mod mask;
pub(super) mod standard;
pub(super) mod target;
mod tmpfs;

use super::{
    StartError,
    failure::During,
    spec::{Mount, MountSource, Spec},
};
use crate::sys::{self, file::Kind, mount};
use content::Stage;
pub(super) use device::HostDevice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use target::Wanted;

/// What was taken from the host's view, in the order of `Spec::mounts`.
pub(super) struct Gathered<'a> {
    pieces: Vec<Piece<'a>>,
    pub devices: Vec<HostDevice>,
}

enum Piece<'a> {
    /// A detached mount that waits for its place.
    Detached(&'a Mount, OwnedFd),
    Tmpfs(&'a Mount, &'a [String]),
    Content(&'a Mount, content::File),
}

/// Needs the host's mounts as they are: shared and slave ones lose their peers once propagation is cut.
pub(super) fn gather(spec: &Spec) -> Result<Gathered<'_>, StartError> {
    let pieces = spec.mounts.iter().map(gather_one).collect::<Result<_, _>>()?;
    let devices = if spec.privileged { device::of_host().during("devices")? } else { Vec::new() };
    Ok(Gathered { pieces, devices })
}

/// Of a container that does not run: its volumes and what it has of the host. What else it has is made when it starts.
pub(super) fn gather_volumes(spec: &Spec) -> Result<Vec<Volume<'_>>, StartError> {
    let volumes = spec.mounts.iter().map(|mount| match gather_one(mount)? {
        Piece::Detached(mount, tree) => Ok(Some((mount, tree))),
        Piece::Tmpfs(..) | Piece::Content(..) => Ok(None),
    });
    volumes.filter_map(Result::transpose).collect()
}

/// A mount, and its tree that waits for its place.
pub(super) type Volume<'a> = (&'a Mount, OwnedFd);

pub(super) fn place_volumes(volumes: Vec<Volume<'_>>, root: &OwnedFd) -> Result<(), StartError> {
    volumes.into_iter().try_for_each(|(mount, tree)| place(root.as_fd(), mount, &tree))
}

fn gather_one(mount: &Mount) -> Result<Piece<'_>, StartError> {
    match &mount.source {
        MountSource::Bind { source, propagation, .. } => {
            let tree = bind::open(source, propagation.as_deref(), mount.read_only);
            let step = format_args!("mount {} on {}", source.display(), mount.target.display());
            Ok(Piece::Detached(mount, tree.during(step)?))
        }
        MountSource::Tmpfs { options } => Ok(Piece::Tmpfs(mount, options)),
        MountSource::Content { source, uid, gid, mode } => {
            let file = content::File::read(source, *uid, *gid, *mode);
            Ok(Piece::Content(mount, file.during(format_args!("mount on {}", mount.target.display()))?))
        }
    }
}

impl Gathered<'_> {
    /// Copies the image's files into volumes that are empty, and puts contents on a tmpfs. `root` is the overlay,
    /// `scratch` any directory of the host's view that a tmpfs may cover.
    pub(super) fn fill(&mut self, root: BorrowedFd<'_>, scratch: &std::path::Path) -> Result<(), StartError> {
        let mut stage = None;
        for piece in &mut self.pieces {
            match piece {
                Piece::Detached(mount, _) => {
                    if let MountSource::Bind { source, copy_up: true, .. } = &mount.source {
                        let step = format_args!("copy the image's {} to {}", mount.target.display(), source.display());
                        copy_up::fill(root, &mount.target, source).during(step)?;
                    }
                }
                Piece::Content(mount, file) => {
                    let step = format_args!("mount on {}", mount.target.display());
                    let stage = match &stage {
                        Some(stage) => stage,
                        None => stage.insert(Stage::new(scratch).during(step)?),
                    };
                    *piece = Piece::Detached(mount, stage.add(file).during(step)?);
                }
                Piece::Tmpfs(..) => {}
            }
        }
        Ok(())
    }

    /// `root` is the container's, entered, with its standard mounts in place.
    pub(super) fn place(self, root: BorrowedFd<'_>) -> Result<(), StartError> {
        self.pieces.into_iter().try_for_each(|piece| match piece {
            Piece::Detached(mount, tree) => place(root, mount, &tree),
            Piece::Tmpfs(mount, options) => tmpfs::place(root, &mount.target, options, mount.read_only),
            Piece::Content(mount, _) => {
                Err(StartError::setup(format_args!("mount on {}", mount.target.display()), "not on its tmpfs"))
            }
        })
    }
}

fn place(root: BorrowedFd<'_>, mount: &Mount, tree: &OwnedFd) -> Result<(), StartError> {
    let step = format_args!("mount on {}", mount.target.display());
    let stat = sys::file::stat(tree.as_fd()).during(step)?;
    let wanted = match sys::file::kind(&stat) {
        Kind::Directory => Wanted::Directory,
        _ => Wanted::File,
    };
    let target = target::open(root, &mount.target, wanted)?;
    mount::attach(tree.as_fd(), target.as_fd(), mount.target.display()).during(step)
}
