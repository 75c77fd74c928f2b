//! `.dockerignore`, and the patterns of `--exclude` and `--parents`: the matching of moby's `patternmatcher`.
//!
//! Patterns are looked at in order and the last that matches decides; `!` takes back what one before left out. A
//! pattern matches a file as well when it matches a directory above. Kept as they are: `**` without slashes around
//! (`a**b`), and that a negated class may match `/`.

use super::glob::{self, BadPattern, Token};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// As it stands in the file.
    text: String,
    /// From 1; 0 for patterns that come from no file.
    line: usize,
    exception: bool,
    tokens: Vec<Token>,
}

/// What the patterns say of one path; those below it are asked with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// A directory that is left out may hold files that are not: it is there for them, and with them alone.
    pub excluded: bool,
    matched: Vec<bool>,
    decided: Option<usize>,
}

/// Files that may say what is left out of a context, the one that counts most first: the first is looked for beside the
/// Dockerfile, the second at the top of the context.
pub fn ignore_file_names(dockerfile: &str) -> [String; 2] {
    [format!("{dockerfile}.dockerignore"), ".dockerignore".to_owned()]
}

impl Patterns {
    /// Reads an ignore file.
    pub fn read(text: &str) -> Result<Self, BadPattern> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let text = line.trim();
            // A comment begins in the first column.
            if line.starts_with('#') || text.is_empty() {
                continue;
            }
            let (exception, path) = match text.strip_prefix('!') {
                Some(path) => (true, path.trim()),
                None => (false, text),
            };
            let path = clean(path);
            let path = path.strip_prefix('/').filter(|path| !path.is_empty()).unwrap_or(&path);
            patterns.push(Pattern::new(text, path, exception, index + 1)?);
        }
        Ok(Self(patterns))
    }

    /// Patterns of a flag.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, BadPattern> {
        let texts = texts.into_iter().map(str::trim).filter(|text| !text.is_empty());
        let pattern = |text: &str| {
            let path = clean(text);
            match path.strip_prefix('!') {
                Some(path) => Pattern::new(text, path, true, 0),
                None => Pattern::new(text, &path, false, 0),
            }
        };
        texts.map(pattern).collect::<Result<_, _>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is said of `path`, which is relative and clean. `parent` is the verdict of the directory that it is in;
    /// without one, the directories above are looked at as well.
    pub fn verdict(&self, path: &str, parent: Option<&Verdict>) -> Verdict {
        let mut verdict = Verdict { matched: vec![false; self.0.len()], ..Verdict::default() };
        for (index, pattern) in self.0.iter().enumerate() {
            let above = parent.is_some_and(|parent| parent.matched.get(index) == Some(&true));
            if !above && pattern.exception != verdict.excluded {
                continue;
            }
            let found = above || pattern.matches(path) || (parent.is_none() && pattern.matches_above(path));
            verdict.matched[index] = found;
            if found {
                verdict.excluded = !pattern.exception;
                verdict.decided = Some(index);
            }
        }
        verdict
    }

    pub fn excludes(&self, path: &str) -> bool {
        self.verdict(path, None).excluded
    }

    /// The line and the text of the pattern that decided.
    pub fn decided(&self, verdict: &Verdict) -> Option<(usize, &str)> {
        let pattern = self.0.get(verdict.decided?)?;
        Some((pattern.line, &pattern.text))
    }

    /// Whether an exception may bring back something below a directory that is left out. Where none can, it need not
    /// be looked into.
    pub fn may_include_below(&self, directory: &str) -> bool {
        self.0.iter().filter(|pattern| pattern.exception).any(|pattern| pattern.may_match_below(directory))
    }
}

impl Pattern {
    fn new(text: &str, path: &str, exception: bool, line: usize) -> Result<Self, BadPattern> {
        let bad = |why| Err(BadPattern { pattern: text.to_owned(), why });
        if path.is_empty() || (exception && path == ".") {
            return bad("takes back nothing: a path is missing after \"!\"");
        }
        Ok(Self { text: text.to_owned(), line, exception, tokens: tokens(path)? })
    }

    fn matches(&self, path: &str) -> bool {
        glob::matches(&self.tokens, path)
    }

    fn matches_above(&self, path: &str) -> bool {
        path.match_indices('/').any(|(end, _)| self.matches(&path[..end]))
    }

    /// Conservative: compares what stands before the first wildcard.
    fn may_match_below(&self, directory: &str) -> bool {
        let fixed = self.tokens.iter().map_while(|token| match token {
            Token::Char(c) => Some(*c),
            _ => None,
        });
        let fixed: String = fixed.collect();
        let directory = format!("{directory}/");
        fixed.starts_with(&directory) || (fixed.chars().count() < self.tokens.len() && directory.starts_with(&fixed))
    }
}

fn tokens(path: &str) -> Result<Vec<Token>, BadPattern> {
    let mut tokens = Vec::new();
    let mut chars = path.chars().peekable();
    let mut first = true;
    let mut glued = false;
    while let Some(c) = chars.next() {
        if c == '*' && chars.next_if_eq(&'*').is_some() {
            let slash = chars.next_if_eq(&'/').is_some();
            glued |= first && !slash;
            match chars.peek() {
                None => tokens.push(Token::All),
                Some(_) => tokens.extend([Token::Directories, Token::Inside]),
            }
        } else if c == '*' {
            tokens.push(Token::Star);
        } else {
            tokens.push(glob::token(c, &mut chars, path)?);
        }
        first = false;
    }
    // `**name` is any path that ends in `name`, but `**name*` is none of them: the former is a suffix, the latter an
    // expression.
    let literal = |token: &Token| matches!(token, Token::Char(_));
    if glued && tokens.len() > 2 && tokens[2..].iter().all(literal) && !path.contains('\\') {
        tokens.splice(..2, [Token::All]);
    }
    Ok(tokens)
}

/// Go's `filepath.Clean`: no `.`, no empty parts, `..` resolved as far as the text alone says.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
#[path = "ignore_tests.rs"]
mod tests;
