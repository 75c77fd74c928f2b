//! `environment`, `labels` and `env_file`.

use super::{
    At, Decoder,
    Field::{self, Read},
};
use crate::compose::{diagnostics::Span, tree::Kind};
use indexmap::IndexMap;
use std::path::PathBuf;

/// An entry of `env_file`.
#[derive(Debug)]
pub struct EnvFile {
    pub path: PathBuf,
    /// Where it is named.
    pub span: Span,
    pub required: bool,
    pub format: EnvFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvFormat {
    /// The syntax of `.env`.
    #[default]
    Dotenv,
    /// Lines as they stand.
    Raw,
}

impl Decoder<'_> {
    /// `{K: V}` or `[K=V, K]`; a key without value is `None`.
    pub fn key_values(&mut self, at: &At<'_>, variables: bool) -> IndexMap<String, Option<String>> {
        let mut values = IndexMap::new();
        if let Kind::Sequence(_) = at.node.kind {
            for item in self.items(at) {
                let Some(text) = self.text(&item) else { continue };
                let (key, value) = match text.split_once('=') {
                    Some((key, value)) => (key, Some(value.to_owned())),
                    None => (text.as_str(), None),
                };
                if self.usable_key(&item, key, variables) {
                    values.insert(key.to_owned(), value);
                }
            }
            return values;
        }
        for entry in self.entries_if_no_list(at) {
            if let Some(value) = self.loose_text(&entry.at)
                && self.usable_key(&entry.at, entry.name, variables)
            {
                values.insert(entry.name.to_owned(), value);
            }
        }
        values
    }

    fn usable_key(&mut self, at: &At<'_>, key: &str, variables: bool) -> bool {
        if key.is_empty() {
            self.error(at, "has an empty name");
            return false;
        }
        if variables && key.ends_with([' ', '\t']) {
            self.error(at, format!("names the variable \"{key}\" with a trailing space"));
            return false;
        }
        if variables && key.contains('=') {
            self.error(at, format!("names the variable \"{key}\", but a name cannot hold `=`"));
            return false;
        }
        true
    }

    /// Labels; one without value is empty.
    pub fn labels(&mut self, at: &At<'_>) -> IndexMap<String, String> {
        self.key_values(at, false).into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
    }

    pub fn env_files(&mut self, at: &At<'_>) -> Vec<EnvFile> {
        let mut files: Vec<EnvFile> = Vec::new();
        for item in self.items_or_one(at) {
            let file = match item.node.kind {
                Kind::Mapping(_) => self.env_file_object(&item),
                _ => self.env_file(&item, true, EnvFormat::Dotenv),
            };
            let Some(file) = file else { continue };
            // The same file twice is read once, at its first place.
            match files.iter_mut().find(|other| other.path == file.path) {
                Some(other) => *other = file,
                None => files.push(file),
            }
        }
        files
    }

    fn env_file(&mut self, at: &At<'_>, required: bool, format: EnvFormat) -> Option<EnvFile> {
        let text = self.filled(at)?;
        let path = self.host_path(at, &text)?;
        Some(EnvFile { path, span: at.node.span, required, format })
    }

    fn env_file_object(&mut self, at: &At<'_>) -> Option<EnvFile> {
        let mut object = Object { file: None, required: true, format: EnvFormat::Dotenv };
        self.section(at, FIELDS, &mut object);
        match object.file {
            Some(file) => Some(EnvFile { required: object.required, format: object.format, ..file }),
            None => {
                if at.node.get("path").is_none() {
                    self.error(at, "lacks `path`");
                }
                None
            }
        }
    }
}

struct Object {
    file: Option<EnvFile>,
    required: bool,
    format: EnvFormat,
}

const FIELDS: &[Field<Object>] = &[
    Read("path", |d, at, o| o.file = d.env_file(at, true, EnvFormat::Dotenv)),
    Read("required", |d, at, o| o.required = d.boolean(at).unwrap_or(true)),
    Read("format", |d, at, o| match d.text(at).as_deref() {
        Some("") | None => {}
        Some("raw") => o.format = EnvFormat::Raw,
        Some(other) => d.error(at, format!("must be `raw` or nothing, not \"{other}\"")),
    }),
];
