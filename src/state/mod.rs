//! Everything on disk: every path under the data and run directories, the locks, and how a record is written.
//!
//! A record is written whole (temporary file, fsync where it is durable, rename) and carries a version. A half
//! record is impossible; an unreadable one is an error that names the file and the way out, never a panic.

pub mod boot;
pub mod draft;
pub mod layout;
pub mod lock;
pub mod logline;
pub mod record;
pub mod records;

pub use draft::Draft;
pub use layout::Layout;
pub use lock::{Lock, open_plain};
pub use record::{Durability, RecordError};
