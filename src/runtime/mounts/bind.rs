//! Files and directories of the host in a container.

use crate::sys::{
    self, Errno, Error, Result,
    mount::{self, Attributes, Change, Propagation},
};
use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

/// A detached copy of the mounts at and below `source`.
pub(super) fn open(source: &Path, propagation: Option<&str>, read_only: bool) -> Result<OwnedFd> {
    let (propagation, recursive) = parse(propagation.unwrap_or("rprivate"))?;
    let tree = mount::open_tree_clone_path(source, true)?;
    if propagation != Propagation::Private {
        require_peers(&tree, source, propagation)?;
    }
    let change = Change { set: Attributes::empty(), propagation: Some(propagation), recursive };
    mount::set_attributes(tree.as_fd(), change, source.display())?;
    if read_only {
        // Recursive, or a mount below the source would stay writable.
        let change = Change { set: Attributes::MOUNT_ATTR_RDONLY, propagation: None, recursive: true };
        mount::set_attributes(tree.as_fd(), change, source.display())?;
    }
    Ok(tree)
}

/// The word, and whether it goes for the mounts below as well.
fn parse(word: &str) -> Result<(Propagation, bool)> {
    let (word, recursive) = match word.strip_prefix('r') {
        Some(rest) => (rest, true),
        None => (word, false),
    };
    match word {
        "private" => Ok((Propagation::Private, recursive)),
        "slave" => Ok((Propagation::Slave, recursive)),
        "shared" => Ok((Propagation::Shared, recursive)),
        _ => Err(Error::new("mount", format_args!("with propagation {word:?}"), Errno::INVAL)),
    }
}

/// Without peers on the host nothing would ever travel: asked for in vain, and better said.
fn require_peers(tree: &OwnedFd, source: &Path, propagation: Propagation) -> Result<()> {
    let mountinfo = read("/proc/self/mountinfo")?;
    let original = sys::file::open_path(source)?;
    let info = read(&format!("/proc/self/fdinfo/{}", original.as_raw_fd()))?;
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).unwrap_or_default().trim().to_owned();
    let line = mountinfo.lines().find(|line| line.split(' ').next() == Some(&id)).unwrap_or_default();
    let tags = line.split(" - ").next().unwrap_or_default();
    let shared = tags.contains(" shared:");
    let enough = shared || (propagation == Propagation::Slave && tags.contains(" master:"));
    let _ = tree;
    match enough {
        true => Ok(()),
        false => {
            Err(Error::new("mount", format_args!("{}, which is on no shared mount", source.display()), Errno::INVAL))
        }
    }
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::from_io("read", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn propagation_is_one_of_six_words() {
        assert_eq!(parse("rprivate").unwrap(), (Propagation::Private, true));
        assert_eq!(parse("slave").unwrap(), (Propagation::Slave, false));
        assert_eq!(parse("rshared").unwrap(), (Propagation::Shared, true));
        assert!(parse("public").is_err());
    }
}
