//! The kernel, one function a call. The only place with `unsafe`.
#![allow(unsafe_code)]

mod error;
pub mod seqpacket;

pub use error::{Errno, Error, Result};
