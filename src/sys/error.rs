//! What a refused system call says: the call, the object it was for, and the errno.

use std::fmt::Display;

pub use rustix::io::Errno;

pub type Result<T> = std::result::Result<T, Error>;

/// One refused call. The object is a path, a name or a descriptor's purpose: what a person would look at.
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
    /// The calling thread's errno, right after a failed libc call.
    #[allow(dead_code)] // its first users come with clone and seccomp
    pub(super) fn last(call: &'static str, object: impl Display) -> Self {
        let errno = std::io::Error::last_os_error();
        Self::new(call, object, Errno::from_io_error(&errno).unwrap_or(Errno::IO))
    }
}

/// Keeps the kind, which callers of sockets tell `WouldBlock` by, and the whole text.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::new(Self::from(error.errno).kind(), error)
    }
}

/// "Permission denied (EACCES)" would need two tables; the C library's text is what people search for.
fn text(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
