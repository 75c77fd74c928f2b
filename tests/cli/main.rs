//! The command line as a program: real processes, exit codes and streams, against a supervisor and a shim that do what
//! a test says.

#![allow(clippy::unwrap_used)]

mod apply;
mod attached;
mod exec;
mod logs;
mod look;
mod schemas;
mod supervisor;
mod world;
