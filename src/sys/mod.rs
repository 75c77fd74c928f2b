//! The kernel, one function a call. The only place with `unsafe`.
#![allow(unsafe_code)]

pub mod detached;
mod error;
pub mod events;
pub mod pidfd;
pub mod seqpacket;
pub mod stream;
pub mod this_process;

pub use error::{Errno, Error, Result};
