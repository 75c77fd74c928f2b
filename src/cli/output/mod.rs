//! What people and programs read: text in, text out. No verb formats anything itself.

pub mod writer;

pub use writer::Writer;
