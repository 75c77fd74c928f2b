//! COPY and ADD.

use super::{
    error::{Error, Problem},
    paths,
    walk::{Here, Scope},
    warning::Hint,
};
use crate::build::{
    dockerfile::{self, Glob, Lexer, Patterns, Word},
    op::{Chmod, Copy, CopySource, InlineFile, Op, Unpack},
    remote::{self, GitUrl},
};

impl Scope<'_, '_> {
    pub(super) fn copy(&mut self, copy: &dockerfile::Copy, add: bool, here: &Here<'_>) -> Result<(), Error> {
        let name = if add { "ADD" } else { "COPY" };
        let expanded = |scope: &mut Self, word: &Option<Word>| match word {
            Some(word) => scope.word(&word.text, word.at).map(|text| Some(text).filter(|text| !text.is_empty())),
            None => Ok(None),
        };
        let chown = expanded(self, &copy.chown)?;
        let chmod = expanded(self, &copy.chmod)?;
        let checksum = expanded(self, &copy.checksum)?;
        let mut exclude = Vec::new();
        for word in &copy.exclude {
            exclude.push(self.word(&word.text, word.at)?);
        }
        let fail = |problem| Err(Error::new(here.at, problem));
        if let Err(error) = Patterns::new(exclude.iter().map(String::as_str)) {
            return fail(error.into());
        }
        let mut sources = Vec::new();
        for word in &copy.sources {
            sources.push((self.word(&word.text, word.at)?, word.at));
        }
        let destination = self.word(&copy.destination.text, copy.destination.at)?;

        let mode = match chmod.as_deref().map(parse_chmod) {
            None => None,
            Some(Some(mode)) => Some(mode),
            Some(None) => return fail(Problem::Chmod { text: chmod.unwrap_or_default() }),
        };
        if let Some(text) = &checksum {
            let is_git = matches!(sources.first().map(|(source, _)| remote::git(source)), Some(Ok(Some(_))));
            if sources.len() != 1 || !copy.heredocs.is_empty() || !(is_git || is_url(&sources[0].0)) {
                return fail(Problem::ChecksumSource);
            }
            if is_git && !is_commit(text) {
                return fail(Problem::CommitChecksum { text: text.clone() });
            }
            if !is_git && !is_digest(text) {
                return fail(Problem::Checksum { text: text.clone() });
            }
        }
        if let Some(at) = copy.keep_git_dir
            && !sources.iter().any(|(source, _)| matches!(remote::git(source), Ok(Some(url)) if !url.looks_local))
        {
            self.warn(at, Hint::NoEffect { what: "--keep-git-dir".to_owned() });
        }

        let mut told: Vec<String> = vec![name.to_owned()];
        told.extend(copy.parents.then(|| "--parents".to_owned()));
        told.extend(chown.as_ref().map(|chown| format!("--chown={chown}")));
        told.extend(chmod.as_ref().map(|chmod| format!("--chmod={chmod}")));
        told.extend(sources.iter().map(|(source, _)| source.clone()));
        told.extend(copy.heredocs.iter().map(|heredoc| format!("<<{}", heredoc.name)));
        told.push(destination.clone());

        let mut from = Vec::new();
        for (source, at) in sources {
            from.push(
                self.copy_source(source, copy, add, checksum.as_ref(), here)
                    .map_err(|problem| Error::new(at, problem))?,
            );
        }
        for heredoc in &copy.heredocs {
            let mut content = heredoc.text();
            if heredoc.expand {
                let lexer = Lexer { skip_quotes: true, ..Lexer::new('\\') };
                content = self.expand_with(&lexer, &content, here.at)?.0;
            }
            let file = InlineFile { name: heredoc.name.clone(), content: content.into_bytes(), mode: 0o644 };
            from.push(CopySource::Inline(file));
        }
        let destination = paths::destination(&self.cwd(), &destination);
        if from.len() > 1 && !destination.ends_with('/') {
            self.warn(here.at, Hint::SeveralSourcesToOneName { destination: destination.clone() });
        }
        let title = self.title_of(here.source, &self.walk.lexer.clone());
        let title = self.title(&title, here.triggered);
        let mode_is_kept = mode.is_none();
        let op = Copy {
            root: self.state.root,
            sources: from,
            destination,
            chown,
            chmod: mode,
            // With a mode there is no layer of its own, as in BuildKit.
            link: copy.link && mode_is_kept,
            parents: copy.parents,
            exclude,
            unpack: match (add, copy.unpack) {
                (false, _) | (true, Some(false)) => Unpack::Never,
                (true, None) => Unpack::Local,
                (true, Some(true)) => Unpack::All,
            },
        };
        let step = self.walk.add(Op::Copy(op), title, here.at, self.no_cache);
        self.state.root = Some(step);
        self.note(format!("{} # buildkit", told.join(" ")), Some(step));
        Ok(())
    }

    fn copy_source(
        &mut self,
        text: String,
        copy: &dockerfile::Copy,
        add: bool,
        checksum: Option<&String>,
        here: &Here<'_>,
    ) -> Result<CopySource, Problem> {
        // `github.com/a/b` is a path here; only a context may be written so.
        if let Some(url) = remote::git(&text)?.filter(|url| !url.looks_local) {
            return if add { git_source(url, copy, checksum) } else { Err(Problem::CopyGit { text }) };
        }
        match is_url(&text) {
            true if add => Ok(CopySource::Url { url: text, checksum: checksum.cloned() }),
            true => Err(Problem::CopyUrl { text }),
            false if text.contains("://") => Err(Problem::Scheme { text }),
            false => {
                Glob::parse(&text).map_err(Problem::Source)?;
                let origin = here.origins.first().and_then(Option::as_ref);
                let from = self.walk.source(origin, here.at).map_err(|error| error.kind)?;
                // A variable without a value leaves the whole context.
                let path = if text.is_empty() { ".".to_owned() } else { text };
                Ok(CopySource::Path { from, path })
            }
        }
    }
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme))
}

fn git_source(mut url: GitUrl, copy: &dockerfile::Copy, checksum: Option<&String>) -> Result<CopySource, Problem> {
    if let Some(checksum) = checksum {
        if url.checksum.as_ref().is_some_and(|said| said != checksum) {
            return Err(Problem::TwoChecksums { flag: checksum.clone(), url: url.checksum.unwrap_or_default() });
        }
        url.checksum = Some(checksum.clone());
    }
    let keep_git_dir = copy.keep_git_dir.is_some() || url.keep_git_dir == Some(true);
    Ok(CopySource::Git { url, keep_git_dir })
}

/// The beginning of one.
fn is_commit(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// `0755`, or changes as `chmod` takes them.
fn parse_chmod(text: &str) -> Option<Chmod> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).map(Chmod::Octal);
    }
    text.split(',').all(is_change).then(|| Chmod::Symbolic(text.to_owned()))
}

/// `[ugoa...][+-=][rwxXst...|u|g|o]`, operators repeated as one likes.
fn is_change(text: &str) -> bool {
    let rest = text.trim_start_matches(['u', 'g', 'o', 'a']);
    let mut parts = rest.split(['+', '-', '=']);
    let before = parts.next().unwrap_or_default();
    let mut count = 0;
    let valid = parts.all(|permissions| {
        count += 1;
        ["u", "g", "o"].contains(&permissions) || permissions.chars().all(|c| "rwxXst".contains(c))
    });
    before.is_empty() && count > 0 && valid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_or_changes() {
        for good in ["755", "0", "7777", "u+x", "a=rX,u+w", "+x", "go-w", "u=g", "u+r-w"] {
            assert!(parse_chmod(good).is_some(), "{good}");
        }
        for bad in ["", "888", "10000", "x", "u", "u+q", "u+x,", "rwx"] {
            assert!(parse_chmod(bad).is_none(), "{bad}");
        }
    }
}
