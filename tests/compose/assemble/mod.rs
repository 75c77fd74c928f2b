//! Several files, one project: what the files say in, what `config` prints out.

mod explain;
mod extends;
mod hostile;
mod include;
mod variables;

use muster::compose::{LoadOptions, Phases, Purpose, document};
use std::path::PathBuf;
use tempfile::TempDir;

/// A project directory called `demo` with the files of a bundle: `=== name` starts a file.
pub struct Bundle {
    _outer: TempDir,
    pub options: LoadOptions,
}

impl Bundle {
    pub fn new(bundle: &str) -> Self {
        let outer = tempfile::tempdir().unwrap();
        let cwd = outer.path().join("demo");
        for file in bundle.split("=== ").skip(1) {
            let (name, content) = file.split_once('\n').unwrap_or((file, ""));
            let path = cwd.join(name.trim());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let options = LoadOptions { cwd, purpose: Purpose::Show, ..LoadOptions::default() };
        Self { _outer: outer, options }
    }

    pub fn with(mut self, change: impl FnOnce(&mut LoadOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// With these files, in order.
    pub fn files(self, names: &[&str]) -> Self {
        self.with(|options| options.files = names.iter().map(PathBuf::from).collect())
    }

    /// What is wrong, or the warnings.
    pub fn findings(&self) -> String {
        match document(&self.options, Phases::default()) {
            Ok(document) => self.anonymous(&document.warnings.render(false)),
            Err(findings) => self.anonymous(&findings.render(false)),
        }
    }

    /// The text at a path of keys, as `config` prints it.
    pub fn value(&self, path: &str) -> String {
        let document = match document(&self.options, Phases::default()) {
            Ok(document) => document,
            Err(findings) => return self.anonymous(&findings.render(false)),
        };
        let mut value = &document.to_json();
        for step in path.split('.') {
            value = match step.parse::<usize>() {
                Ok(index) if value.is_array() => &value[index],
                _ => &value[step],
            };
        }
        self.anonymous(&value.to_string())
    }

    fn anonymous(&self, text: &str) -> String {
        text.replace(&*self.options.cwd.to_string_lossy(), "/demo")
    }
}
