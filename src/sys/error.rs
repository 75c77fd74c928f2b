//! What a refused system call says: the call, the object it was for, and the errno.

use std::fmt::Display;

pub use rustix::io::Errno;

pub type Result<T> = std::result::Result<T, Error>;

/// One refused call. The object is a path, a name or what a descriptor is for: what a person would look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call} {object}: {}", text(*.errno))]
pub struct Error {
    pub call: &'static str,
    pub object: String,
    pub errno: Errno,
}

impl Error {
    pub fn new(call: &'static str, object: impl Display, errno: Errno) -> Self {
        Self { call, object: object.to_string(), errno }
    }
    /// The thread's errno, right after a failed libc call.
    pub(super) fn last(call: &'static str, object: impl Display) -> Self {
        Self::from_io(call, object, &std::io::Error::last_os_error())
    }
    /// Of std's own calls on files.
    pub fn from_io(call: &'static str, object: impl Display, error: &std::io::Error) -> Self {
        Self::new(call, object, Errno::from_io_error(error).unwrap_or(Errno::IO))
    }
}

/// Keeps the kind, which callers of sockets tell `WouldBlock` by, and the whole text.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::new(Self::from(error.errno).kind(), error)
    }
}

/// Names the call and its object on the way out.
pub(super) trait Named<T> {
    fn named(self, call: &'static str, object: impl Display) -> Result<T>;
}

impl<T> Named<T> for std::result::Result<T, Errno> {
    fn named(self, call: &'static str, object: impl Display) -> Result<T> {
        self.map_err(|errno| Error::new(call, object, errno))
    }
}

/// The C library's words without "(os error 13)": what people search for.
fn text(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_call_object_and_cause() {
        let error = Error::new("open_tree", "/srv/data", Errno::NOENT);
        assert_eq!(error.to_string(), "open_tree /srv/data: No such file or directory");
    }
}
