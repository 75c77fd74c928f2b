//! The network engine on the real kernel, as root. Each test makes a network namespace of its own that plays the host,
//! so that the machine's own stays untouched; everything in it dies with its last descriptor.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod firewalls;
mod guards;
mod host;
mod life;
mod reach;
