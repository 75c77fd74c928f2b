//! The project name.

use super::{
    diagnostics::Diagnostic,
    interpolate::Interpolator,
    source::Sources,
    tree::{Kind, Node},
};
use std::{path::Path, rc::Rc};

pub const VARIABLE: &str = "COMPOSE_PROJECT_NAME";

/// The name that the caller or the environment gives. It must already be one.
pub fn given(flag: Option<&str>, environment: Option<&str>) -> Option<Result<String, Diagnostic>> {
    let flag = flag.map(|name| (name, "-p"));
    let (name, origin) = flag.or(environment.filter(|name| !name.is_empty()).map(|name| (name, VARIABLE)))?;
    if name.is_empty() {
        return Some(Err(Diagnostic::error("project name must not be empty")));
    }
    if normalised(name) == name {
        return Some(Ok(name.to_owned()));
    }
    let message = format!(
        "invalid project name \"{name}\": must consist only of lowercase alphanumeric characters, hyphens, and \
         underscores as well as start with a letter or number"
    );
    let finding = Diagnostic::error(message).help(format!("it comes from {origin}"));
    Some(Err(match normalised(name) {
        better if better.is_empty() => finding,
        better => finding.help(format!("`{better}` would do")),
    }))
}

/// The last name that a document gives, made into a name.
pub fn of_documents(
    documents: &[Rc<Node>],
    interpolator: &mut Interpolator,
    sources: &Sources,
    findings: &mut Vec<Diagnostic>,
) -> Option<String> {
    let mut last = None;
    for entry in documents.iter().filter_map(|document| document.get("name")) {
        let resolved = interpolator.tree(&entry.value, sources, findings);
        // What is no string is told of by the decoder.
        if let Kind::Scalar { text, .. } = &resolved.kind
            && !text.is_empty()
        {
            let name = normalised(text);
            if name.is_empty() {
                let message = format!("invalid project name \"{text}\": no letter or digit is in it");
                findings.push(Diagnostic::error(message).at(resolved.span));
            }
            last = Some(name);
        }
    }
    last.filter(|name| !name.is_empty())
}

/// The directory's own name, made into a name.
pub fn of_directory(directory: &Path) -> Result<String, Diagnostic> {
    let base = directory.file_name().map(|name| normalised(&name.to_string_lossy())).unwrap_or_default();
    if base.is_empty() {
        return Err(Diagnostic::error(format!("project name must not be empty: {} gives none", directory.display()))
            .help(format!("give one with -p, {VARIABLE} or `name:`")));
    }
    Ok(base)
}

/// Lower case, without what names cannot have, and without leading `_` and `-`.
fn normalised(text: &str) -> String {
    let kept: String = text.to_lowercase().chars().filter(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-')).collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_become_names() {
        for (path, name) in [("/srv/My App", "myapp"), ("/srv/_x.Y-1_", "xy-1_"), ("/srv/Ünï", "n")] {
            assert_eq!(of_directory(Path::new(path)).unwrap(), name);
        }
        assert!(of_directory(Path::new("/")).is_err());
        assert!(of_directory(Path::new("/srv/...")).is_err());
    }

    #[test]
    fn a_name_that_is_given_must_be_one() {
        assert_eq!(given(Some("a-1"), Some("b")).unwrap().unwrap(), "a-1");
        assert_eq!(given(None, Some("b")).unwrap().unwrap(), "b");
        assert!(given(None, Some("")).is_none());
        assert!(given(None, None).is_none());
        assert!(given(Some(""), None).unwrap().is_err());
        assert!(given(Some("-a"), None).unwrap().is_err());
        let error = given(None, Some("Foo")).unwrap().unwrap_err();
        assert!(error.message.starts_with("invalid project name \"Foo\": must consist only of lowercase"));
        assert_eq!(error.help, ["it comes from COMPOSE_PROJECT_NAME", "`foo` would do"]);
    }
}
