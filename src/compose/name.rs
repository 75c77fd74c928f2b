//! The project name.
