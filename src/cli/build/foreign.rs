//! The Dockerfile and the ignore file of a context that came from elsewhere: whoever made it shall not lead us to files of
//! this host, so every link is followed within it.

use crate::{
    build::{
        Context,
        dockerfile::{Patterns, ignore_file_names},
        engine::remote::Tree,
    },
    model,
};
use std::path::Path;

/// As BuildKit has it, for either file.
const MAX_FILE: u64 = 16 << 20;

/// The Dockerfile's name and text, and what is left out of the context.
pub fn files(build: &model::Build, tree: &Tree) -> Result<(String, String, Patterns), String> {
    let context = Context { dir: tree.dir.clone(), ignore: Patterns::default() };
    let read = |name: &str| {
        let bytes =
            context.read(Path::new(name), MAX_FILE + 1).map_err(|error| format!("cannot read {name}: {error}"))?;
        let Some(bytes) = bytes else { return Ok(None) };
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("{name} has more than {} MiB", MAX_FILE >> 20));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| format!("{name} is not text in UTF-8"))
    };
    let (name, text) = match &build.dockerfile {
        model::Dockerfile::Inline(text) => ("dockerfile_inline".to_owned(), text.clone()),
        model::Dockerfile::File(name) => {
            let name = tree.dockerfile.unwrap_or(name);
            // One in lower case is found as well, as in a directory of this host.
            let names = if name == "Dockerfile" { vec![name, "dockerfile"] } else { vec![name] };
            let mut found = None;
            for name in names {
                if let Some(text) = read(name)? {
                    found = Some((name.to_owned(), text));
                    break;
                }
            }
            found.ok_or_else(|| format!("there is no {name} in the build context {}", shown(&build.context)))?
        }
    };
    let mut ignore = Patterns::default();
    for candidate in ignore_file_names(&name) {
        if let Some(text) = read(&candidate)? {
            ignore = Patterns::read(&text).map_err(|error| format!("{candidate}: {error}"))?;
            break;
        }
    }
    Ok((name, text, ignore))
}

fn shown(url: &str) -> String {
    crate::build::remote::redacted(url)
}
