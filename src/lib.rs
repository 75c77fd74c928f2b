//! muster brings a Compose file up on one Linux host.
//!
//! ```text
//! compose files + .env
//!   -> compose     text -> Project
//!   -> graph       who waits for whom
//!   -> plan        (intent, desired, observed, now) -> Plan: ops, each with its Cause
//!   -> reconcile   carries the Plan out, concurrently, in order; decides nothing
//!   -> specgen     model + facts -> runtime::Spec, network::Spec
//!   -> image | volume | network | shim(runtime)
//!   -> sys -> kernel
//! ```
//!
//! The modules are layers: which may import which stands in `tests/layers.rs`, and that test fails the build.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod build;
pub mod bundle;
pub mod cli;
pub mod compose;
pub mod dns;
pub mod graph;
pub mod image;
pub mod lifecycle;
pub mod model;
pub mod network;
pub mod plan;
pub mod reconcile;
pub mod runtime;
pub mod shim;
pub mod specgen;
pub mod state;
pub mod supervisor;
pub mod sys;
pub mod transfer;
pub mod volume;
