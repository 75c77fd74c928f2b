//! The Compose file as it is written: every section, every form, and the check of a tree against them.
//!
//! ```text
//! forms     scalars, lists, mappings           the words that sections are written in
//! project   the top level, and so on           one file a section; doc comments are the descriptions of the schema
//! document  types -> JSON Schema 2020-12       for editors
//! shape     JSON Schema -> what a check needs  kept compiled in shape.json
//! check     merged tree -> findings            unknown attributes, wrong kinds, missing ones, all at once
//! wording   what a finding says
//! ```
//!
//! The attributes of a section stand in the order in which `config` prints them. Every attribute may be left out, unless
//! `requires` says otherwise, and is never nothing, unless its form says so. What a value means is not decided here.

#[cfg(test)]
mod agreement;
pub mod block_io;
pub mod build;
mod check;
pub mod dependencies;
pub mod deploy;
pub mod develop;
pub mod devices;
mod document;
pub mod environment;
pub mod files;
pub mod forms;
pub mod health;
pub mod hooks;
pub mod models;
pub mod mounts;
pub mod network;
mod patterns;
pub mod ports;
pub mod project;
pub mod provider;
pub mod service;
mod shape;
#[cfg(test)]
mod tests;
pub mod volume;
mod wording;

pub use document::{document, tidied};
pub use shape::{Shape, shape};

pub use check::check;
