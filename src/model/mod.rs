//! The vocabulary of muster: what a Compose file means once every short form, default and variable is resolved.
//!
//! Plain data. Nothing here reads a file, the environment or the clock, and nothing here knows the kernel.

pub mod build;
pub mod health;
pub mod hook;
pub mod ids;
pub mod intent;
pub mod lock;
pub mod mount;
pub mod network;
pub mod platform;
pub mod port;
pub mod project;
pub mod resources;
pub mod restart;
pub mod service;
pub mod signal;
pub mod watch;

pub use build::{Build, CachePlace, CacheTo, Dockerfile};
pub use health::{HealthTest, Healthcheck};
pub use hook::Hook;
pub use ids::{ContainerId, ImageId, NetworkId};
pub use lock::{Lock, Locked};
pub use mount::{FileMount, Mount, MountKind, Tmpfs};
pub use network::{Attachment, Ipam, Network, NetworkMode};
pub use platform::Platform;
pub use port::{PortRange, Protocol, PublishedPort};
pub use project::{FileObject, FileSource, Project, Volume};
pub use resources::{Logging, Resources, Ulimit};
pub use restart::RestartPolicy;
pub use service::{Condition, Dependency, PullPolicy, Service};
pub use watch::{WatchAction, WatchRule};
