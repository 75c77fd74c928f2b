//! The one file of the loader that reads.
//!
//! Every text that is read gets a number, which is what spans point with.

use super::diagnostics::{Diagnostic, SourceText, Span};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// A Compose file with 10,000 services has some 10 MiB. A device or a wrong file has no end.
const MAX_BYTES: u64 = 32 << 20;

/// Texts read so far.
#[derive(Debug)]
pub struct Sources {
    cwd: PathBuf,
    texts: Vec<SourceText>,
    /// Where relative paths of a text start; `None`: at the project directory.
    bases: Vec<Option<PathBuf>>,
    /// Of texts that are files.
    paths: HashMap<u32, PathBuf>,
    /// A file is read once for each directory that its relative paths start at.
    read: HashMap<(PathBuf, Option<PathBuf>), u32>,
}

impl Sources {
    /// Names of files below `cwd` are shown relative to it.
    pub fn new(cwd: &Path) -> Self {
        Self { cwd: cwd.to_owned(), texts: Vec::new(), bases: Vec::new(), paths: HashMap::new(), read: HashMap::new() }
    }

    /// Where `part` stands inside of `span`, or the whole of it where the text is written otherwise (escapes, folding).
    pub fn within(&self, span: Span, part: &str) -> Span {
        self.find(span, part).unwrap_or(span)
    }

    /// Where `part` stands inside of `span`, if it stands there as it is.
    pub fn find(&self, span: Span, part: &str) -> Option<Span> {
        let source = self.texts.get(span.source as usize)?;
        let offset = source.text.get(span.start as usize..span.end as usize)?.find(part)?;
        let start = span.start + offset as u32;
        Some(Span { start, end: start + part.len() as u32, ..span })
    }

    /// The file that a text is.
    pub fn path(&self, source: u32) -> Option<&Path> {
        self.paths.get(&source).map(PathBuf::as_path)
    }

    /// What a text is called in messages.
    pub fn name(&self, source: u32) -> &str {
        self.texts.get(source as usize).map_or("", |text| &text.name)
    }

    /// A path as messages show it: relative to the working directory where it is below it.
    pub fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.cwd).unwrap_or(path).to_owned()
    }

    /// All of a text.
    pub fn whole(&self, source: u32) -> &str {
        self.texts.get(source as usize).map_or("", |text| &text.text)
    }

    /// The part of a text that a span covers.
    pub fn text(&self, span: Span) -> Option<&str> {
        self.whole(span.source).get(span.start as usize..span.end as usize)
    }

    pub fn into_texts(self) -> Vec<SourceText> {
        self.texts
    }

    /// Takes in a text that needs no reading.
    pub fn add(&mut self, name: &str, text: &str) -> (u32, Arc<str>) {
        let text: Arc<str> = Arc::from(text);
        self.texts.push(SourceText { name: name.to_owned(), text: text.clone() });
        self.bases.push(None);
        ((self.texts.len() - 1) as u32, text)
    }

    /// Where relative paths that are written in a text start; `None`: at the project directory.
    pub fn base(&self, source: u32) -> Option<&Path> {
        self.bases.get(source as usize).and_then(|base| base.as_deref())
    }

    /// Reads a file as UTF-8. Its relative paths start at the project directory.
    pub fn read(&mut self, path: &Path) -> Result<(u32, Arc<str>), ReadError> {
        self.read_based(path, None)
    }

    /// Reads a file as UTF-8 whose relative paths start at `base`: one that is extended or included.
    pub fn read_based(&mut self, path: &Path, base: Option<&Path>) -> Result<(u32, Arc<str>), ReadError> {
        let key = (path.to_owned(), base.map(Path::to_owned));
        if let Some(index) = self.read.get(&key)
            && let Some(source) = self.texts.get(*index as usize)
        {
            return Ok((*index, source.text.clone()));
        }
        let bytes = read_regular(path)?;
        let name = self.shown(path).display().to_string();
        let (index, text) = self.decode(&name, bytes)?;
        if let Some(slot) = self.bases.get_mut(index as usize) {
            *slot = base.map(Path::to_owned);
        }
        self.paths.insert(index, path.to_owned());
        self.read.insert(key, index);
        Ok((index, text))
    }

    /// Reads all of stdin.
    pub fn read_stdin(&mut self) -> Result<(u32, Arc<str>), ReadError> {
        let bytes = read_bounded(io::stdin().lock())?;
        self.decode("<stdin>", bytes)
    }

    fn decode(&mut self, name: &str, bytes: Vec<u8>) -> Result<(u32, Arc<str>), ReadError> {
        match String::from_utf8(bytes) {
            Ok(text) if text.contains('\0') => Err(ReadError::Binary),
            Ok(text) => Ok(self.add(name, &text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                // What is valid is as long in the lossy text as it was in the bytes.
                let (source, _) = self.add(name, &text);
                let span = Span { source, start: valid as u32, end: valid as u32 + '\u{fffd}'.len_utf8() as u32 };
                Err(ReadError::NotUtf8(span))
            }
        }
    }
}

/// True for files, directories and whatever else a bind mount could take.
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// Where a path leads when links are followed; the path itself where it leads nowhere.
pub fn followed(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Without `.` and `..`, as far as the text of the path alone tells.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

fn read_regular(path: &Path) -> Result<Vec<u8>, ReadError> {
    let file = open(path).map_err(ReadError::Io)?;
    if file.metadata().map_err(ReadError::Io)?.is_dir() {
        return Err(ReadError::Directory);
    }
    read_bounded(file)
}

/// Opening a pipe waits for somebody who writes to it, who may never come. It does not while it is open for writing here;
/// after that, whoever else writes is read to the end, and nobody is an empty file.
fn open(path: &Path) -> io::Result<File> {
    let is_pipe = std::fs::metadata(path)?.file_type().is_fifo();
    let writer = is_pipe.then(|| File::options().read(true).write(true).open(path)).transpose()?;
    let file = File::open(path);
    drop(writer);
    file
}

fn read_bounded(from: impl Read) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bytes.len() as u64 > MAX_BYTES { Err(ReadError::TooLarge) } else { Ok(bytes) }
}

/// Why a text could not be had.
#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    Directory,
    TooLarge,
    NotUtf8(Span),
    /// It holds a NUL.
    Binary,
}

impl ReadError {
    pub fn not_found(&self) -> bool {
        // `a/b` where `a` is a file is as absent as where `a` is not there.
        matches!(self, Self::Io(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }

    /// `what` is the role of the file: "Compose file", "env file".
    pub fn diagnostic(&self, what: &str, path: &Path) -> Diagnostic {
        let path = path.display();
        match self {
            Self::Io(e) if e.kind() == io::ErrorKind::NotFound => Diagnostic::error(format!("{what} {path} not found")),
            Self::Io(e) => Diagnostic::error(format!("cannot read {what} {path}: {e}")),
            Self::Directory => Diagnostic::error(format!("cannot read {what} {path}: it is a directory")),
            Self::TooLarge => Diagnostic::error(format!("{what} {path} is larger than {} MiB", MAX_BYTES >> 20))
                .help("is it the right file?"),
            Self::Binary => Diagnostic::error(format!("{what} {path} is not a text file")),
            Self::NotUtf8(span) => {
                Diagnostic::error(format!("{what} {path} is not UTF-8")).because(*span, "here the text ends")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::Diagnostics;

    #[test]
    fn what_cannot_be_read_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let mut sources = Sources::new(dir.path());
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("latin1.yaml"), b"a: b\nc: caf\xe9\n").unwrap();
        std::fs::write(path("big.yaml"), vec![b'#'; MAX_BYTES as usize + 1]).unwrap();
        let mut findings = Vec::new();
        for name in ["missing.yaml", ".", "big.yaml", "latin1.yaml"] {
            findings.push(sources.read(&path(name)).unwrap_err().diagnostic("Compose file", Path::new(name)));
        }
        insta::assert_snapshot!(Diagnostics::new(findings, sources.into_texts()).render(false), @r"
        error: Compose file missing.yaml not found

        error: cannot read Compose file .: it is a directory

        error: Compose file big.yaml is larger than 32 MiB
         |
         = help: is it the right file?

        error: Compose file latin1.yaml is not UTF-8
         --> latin1.yaml:2:7
          |
        2 | c: caf�
          |       ^ here the text ends
        ");
    }

    #[test]
    fn an_endless_device_is_refused() {
        let mut sources = Sources::new(Path::new("/"));
        assert!(matches!(sources.read(Path::new("/dev/zero")), Err(ReadError::TooLarge)));
    }
}
