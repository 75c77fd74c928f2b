//! Merged tree -> draft of the model. Every section is a table of its attributes, and every error is collected.
//!
//! An attribute is read, or it is refused by name; nothing is read and ignored.

mod command;
mod dependencies;
mod deploy;
mod environment;
mod files;
mod health;
mod hosts;
mod image;
mod logging;
mod mounts;
mod networks;
mod ports;
mod resources;
mod root;
mod security;
mod service;
mod shape;
mod units;
mod value;

pub use environment::{EnvFile, EnvFormat};
pub use root::{Draft, FileDraft, decode};
use service::Deploy;
pub use service::{Reference, Referent, ServiceDraft};
use shape::{At, Field};

use super::diagnostics::{Diagnostic, Span};
use std::path::{Component, Path, PathBuf};

/// What the text of an attribute may depend on.
#[derive(Debug)]
pub struct Context {
    /// Relative paths start here.
    pub working_dir: PathBuf,
    /// `~`
    pub home: Option<PathBuf>,
}

/// Reads values and collects what is wrong with them. A reader that returns `None` has said why.
pub struct Decoder<'a> {
    context: &'a Context,
    findings: &'a mut Vec<Diagnostic>,
    /// Ranges of ports are written short and are long: a bound for the whole project.
    ports_left: usize,
}

impl<'a> Decoder<'a> {
    fn new(context: &'a Context, findings: &'a mut Vec<Diagnostic>) -> Self {
        Self { context, findings, ports_left: 200_000 }
    }

    fn report(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// "`services.web.image` must be ...".
    fn error(&mut self, at: &At<'_>, what: impl std::fmt::Display) {
        self.report(Diagnostic::error(format!("`{}` {what}", at.path)).at(at.node.span));
    }

    fn error_with_help(&mut self, at: &At<'_>, what: impl std::fmt::Display, help: impl Into<String>) {
        self.report(Diagnostic::error(format!("`{}` {what}", at.path)).at(at.node.span).help(help));
    }

    fn warning(&mut self, at: &At<'_>, what: impl std::fmt::Display) {
        self.report(Diagnostic::warning(format!("`{}` {what}", at.path)).at(at.node.span));
    }

    /// A value of the specification that is not done yet.
    fn later(&mut self, at: &At<'_>, value: impl std::fmt::Display) {
        self.report(Diagnostic::error(format!("`{}`: {value} is not supported yet", at.path)).at(at.node.span));
    }

    fn later_key(&mut self, path: &str, key: Span) {
        self.report(Diagnostic::error(format!("`{path}` is not supported yet")).at(key));
    }

    /// A path of this host: `~` expanded, absolute, without `.` and `..`.
    fn host_path(&mut self, at: &At<'_>, text: &str) -> Option<PathBuf> {
        let Some(rest) = text.strip_prefix('~') else {
            return Some(clean(&self.context.working_dir.join(text)));
        };
        if !rest.is_empty() && !rest.starts_with('/') {
            self.error_with_help(
                at,
                format!("names the home directory of another user, `{text}`"),
                "write the path in full",
            );
            return None;
        }
        match &self.context.home {
            Some(home) => Some(clean(&home.join(rest.trim_start_matches('/')))),
            None => {
                self.error(at, "starts with `~`, but HOME is not set");
                None
            }
        }
    }
}

/// Takes away `.` and `..` as text, as Compose does: symbolic links are not followed.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
