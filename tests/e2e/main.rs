//! End to end: the real binary on real stacks, checked against the kernel. Runs as root; `make test` sets the machine up
//! for it. Each test has a project of its own and takes it down whatever happens; then `audit` asks the kernel whether
//! anything of it is left.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../image_support/mod.rs"]
mod image_support;

mod audit;
mod ground;
mod http;
mod image;
mod proc;
mod stack;

mod archives;
mod build;
mod bundle;
mod caches;
mod contexts;
mod docker;
mod faults;
mod guestbook;
mod inside;
mod isolation;
mod limits;
mod lock;
mod malformed;
mod oneoff;
mod platforms;
mod policy;
mod ports;
mod reconcile;
mod registry;
mod resolve;
mod role;
mod ssh;
mod storage;
mod verbs;
mod watch;
