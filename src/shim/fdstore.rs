//! Descriptors that the shim keeps for its supervisor: a network namespace, DNS sockets, port reservations. They live as
//! long as the container runs, so that a supervisor which died finds them again.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Name of the network namespace that the container starts in.
pub const NETNS: &str = "netns";

/// In the order of their first coming.
#[derive(Debug, Default)]
pub struct FdStore(Vec<(String, OwnedFd)>);

impl FdStore {
    /// A name that is taken gets the new descriptor.
    pub fn put(&mut self, name: String, fd: OwnedFd) {
        match self.0.iter_mut().find(|(taken, _)| *taken == name) {
            Some((_, old)) => *old = fd,
            None => self.0.push((name, fd)),
        }
    }

    pub fn get(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.0.iter().find(|(stored, _)| stored == name).map(|(_, fd)| fd.as_fd())
    }

    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Gives them up: their supervisor has copies.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Copies, in the order of `names`.
    pub fn copies(&self) -> std::io::Result<Vec<OwnedFd>> {
        self.0.iter().map(|(_, fd)| fd.try_clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_name_that_is_taken_gets_the_new_descriptor() {
        let (a, b) = std::io::pipe().unwrap();
        let (a, b) = (OwnedFd::from(a), OwnedFd::from(b));
        let last = b.as_raw_fd();
        let mut store = FdStore::default();
        store.put("netns".into(), a);
        store.put("netns".into(), b);
        assert_eq!(store.names(), ["netns"]);
        assert_eq!(store.get("netns").unwrap().as_raw_fd(), last);
        assert!(store.get("other").is_none());
    }
}
