//! Container logs: read from the files of their shims, in the order of time, and followed over rotation.
//!
//! ```text
//! files    which files a log is made of, oldest first
//! tail     where the last N lines begin
//! reader   one container's lines, one after another, without an allocation a line
//! merge    many containers' lines in the order of time
//! window   --since and --until
//! watch    inotify: what has changed
//! printer  a line as people see it
//! follow   all of it together, with who ended and how
//! ```

pub mod files;
pub mod follow;
pub mod merge;
pub mod printer;
pub mod reader;
pub mod tail;
pub mod watch;
pub mod window;
