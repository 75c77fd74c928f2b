//! The kernel, one function a call. The only place with `unsafe`.
#![allow(unsafe_code)]

pub mod bpf;
pub mod clone;
pub mod credentials;
pub mod detached;
mod error;
pub mod events;
pub mod file;
pub mod mount;
pub mod namespace;
pub mod netns;
pub mod pidfd;
pub mod poll;
pub mod process;
pub mod pty;
pub mod seccomp;
pub mod seqpacket;
pub mod signal;
pub mod socket;
pub mod stream;
pub mod this_process;

pub use error::{Errno, Error, Result};
