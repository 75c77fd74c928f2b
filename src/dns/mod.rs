//! The resolver of the containers: service names, aliases and container names at 127.0.0.11, all else relayed.
//!
//! `zone` and `answer` are pure; `server` owns the two loops of a container, over sockets that somebody else bound in
//! the container's network namespace; `upstream` asks the host's resolvers, from the host's namespace; `files` writes
//! what a container's programs read besides. hickory-proto does the messages. Its server is left out: all that is
//! needed beyond the messages is two short loops and a relay that must not touch what it relays.

mod answer;
pub mod files;
mod resolv;
mod server;
mod upstream;
mod zone;

pub use answer::{Transport, Verdict, answer};
pub use resolv::ResolvConf;
pub use server::{DnsError, Serving, serve};
pub use upstream::Upstreams;
pub use zone::{Endpoint, Member, Zone};
