//! Images: what a name stands for, how it gets onto this host, and where its files are.
//!
//! ```text
//! reference   text -> Reference                                     (pure)
//! source      oci:, oci-archive:, docker-archive:, a registry -> Package: manifest, config, streams of layers
//! layer       stream -> digest check -> decompress -> digest check -> files of one layer, nothing outside it
//! store       blobs, unpacked layers and the index on disk; find, list, remove
//! ensure      the whole way: is it here? else fetch, unpack, record
//! push, save  the way back: store -> a registry, store -> an archive
//! depot       what is kept like an image and is none: caches of builds
//! ```
//!
//! The store is shared by all processes of the host through its files and one lock; there is no daemon. What comes
//! from a registry or an archive is hostile until its digest matches, and its paths stay hostile after that.
//!
//! This folder starts no container and knows no compose file.

mod carry;
pub mod config;
pub mod credentials;
pub mod depot;
pub mod digest;
mod ensure;
pub mod error;
pub mod hosts;
pub mod layer;
mod pin;
pub mod platform;
pub mod progress;
mod push;
pub mod reference;
mod registry;
mod save;
mod source;
pub mod store;
pub(crate) mod tree;
mod variant;

pub use carry::{Arrival, Carried, arrive, carried};
pub use config::ImageConfig;
pub use credentials::{Credentials, Keeper, Login};
pub use digest::Digest;
pub use ensure::{ensure, load};
pub use error::ImageError;
pub use pin::pin;
pub use progress::{Progress, Report};
pub use push::{Pushed, push};
pub use reference::Reference;
pub use registry::check_login;
pub use save::save;
pub use store::{Hold, Image, ImageUse, InUse, Pruned, Removed, Store, Swept, Usage};
pub use variant::{ensure_for, find_for, note_built};
