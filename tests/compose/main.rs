//! The loader from the outside: files in, project or findings out.

#![allow(clippy::unwrap_used)]

mod assemble;
mod attributes;
mod errors;
mod hostile;
mod mutations;
mod oracle;
mod project;
mod references;
mod sections;
mod syntax;
mod values;

use muster::compose::{Document, LoadOptions, Loaded, Phases, Purpose, document, load};
use std::path::PathBuf;
use tempfile::TempDir;

/// A project directory called `demo`, which goes when the value does.
struct Files {
    outer: TempDir,
    options: LoadOptions,
}

impl Files {
    /// With a `compose.yaml`.
    fn new(compose: &str) -> Self {
        let outer = tempfile::tempdir().unwrap();
        let options = LoadOptions { cwd: outer.path().join("demo"), ..LoadOptions::default() };
        Self { outer, options }.file("compose.yaml", compose)
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    fn with(mut self, change: impl FnOnce(&mut LoadOptions)) -> Self {
        change(&mut self.options);
        self
    }

    fn variable(self, name: &str, value: &str) -> Self {
        self.with(|options| drop(options.environment.insert(name.into(), value.into())))
    }

    fn path(&self) -> PathBuf {
        self.outer.path().join("demo")
    }

    fn load(&self) -> Loaded {
        match load(&self.options) {
            Ok(loaded) => loaded,
            Err(findings) => panic!("{findings}"),
        }
    }

    /// What `config` shows.
    fn document(&self) -> Document {
        match self.try_document() {
            Ok(document) => document,
            Err(findings) => panic!("{findings}"),
        }
    }

    fn try_document(&self) -> Result<Document, muster::compose::Diagnostics> {
        document(&LoadOptions { purpose: Purpose::Show, ..self.options.clone() }, Phases::default())
    }

    /// What is wrong, without the name of the temporary directory.
    fn refused(&self) -> String {
        match load(&self.options) {
            Ok(_) => "accepted".into(),
            Err(findings) => self.anonymous(&findings.render(false)),
        }
    }

    /// The warnings of files that can be loaded.
    fn warnings(&self) -> String {
        self.anonymous(&self.load().warnings.render(false))
    }

    fn anonymous(&self, text: &str) -> String {
        text.replace(&*self.path().to_string_lossy(), "/demo")
    }
}

/// What is wrong with one file.
fn refused(compose: &str) -> String {
    Files::new(compose).refused()
}

/// What is wrong with attributes of the service `web`, one a line.
fn refused_service(attributes: &str) -> String {
    let indented: String = attributes.lines().map(|line| format!("    {line}\n")).collect();
    refused(&format!("services:\n  web:\n    image: nginx\n{indented}"))
}
