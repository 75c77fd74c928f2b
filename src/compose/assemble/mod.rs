//! Compose files -> one merged tree.
//!
//! ```text
//! of every file, every document in turn:
//!   interpolate   ${VARIABLES}, in the variables of the project that the file belongs to
//!   include       other projects, below what the document says itself          include.rs
//!   !reset        takes from what was loaded before
//!   extends       services, on top of the services they extend                 extends.rs
//!   merge         over what was loaded before                                  ../merge/
//! at the end:
//!   unicity       of two items of a list that mean the same, the last one stays
//! ```
//!
//! Nothing is rewritten on the way: a value keeps the place where it was said, and what is relative in it is relative
//! to where the text of that place starts (`Sources::base`).

mod extends;
mod include;
mod remote;

pub use remote::remote;

use super::{
    diagnostics::{Diagnostic, Severity, Span},
    interpolate::Interpolator,
    merge::{self, Budget},
    settings::{Input, Settings},
    source::Sources,
    tree::{self, Kind, Node},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    rc::Rc,
};

/// Entries that the merging of files may make in one run. Files of a person come nowhere near; files that extend and
/// include each other over and over do.
const MAX_ENTRIES: usize = 3_000_000;

/// Files that `extends` and `include` may open in one run.
const MAX_FILES: usize = 10_000;

/// For an estimate.
const BYTES_OF_AN_ENTRY: usize = 16;

/// All documents of all files that are named, in order, as they were written.
pub fn read(settings: &Settings, sources: &mut Sources, findings: &mut Vec<Diagnostic>) -> Vec<Rc<Node>> {
    let mut documents = Vec::new();
    let errors = |findings: &[Diagnostic]| findings.iter().filter(|f| f.severity == Severity::Error).count();
    let before = errors(findings);
    for input in &settings.inputs {
        let (read, path) = match input {
            Input::Stdin => (sources.read_stdin(), Path::new("<stdin>")),
            Input::File(path) => (sources.read(path), path.as_path()),
            Input::Overlay(text) => (Ok(sources.add("<command line>", text)), Path::new("<command line>")),
        };
        match read {
            Ok((source, text)) => documents.extend(parse(source, &text, findings)),
            Err(error) => findings.push(error.diagnostic("Compose file", path)),
        }
    }
    if documents.is_empty() && errors(findings) == before {
        let files: Vec<String> = settings.inputs.iter().map(Input::to_string).collect();
        findings.push(Diagnostic::error(format!("empty compose file: {}", files.join(", "))));
    }
    documents
}

/// The documents of one text that say something.
fn parse(source: u32, text: &str, findings: &mut Vec<Diagnostic>) -> Vec<Rc<Node>> {
    let mut documents = tree::parse(source, text, findings);
    // An empty document between two others changes nothing.
    documents.retain(|document| !document.is_null());
    documents.retain(|document| {
        let is_mapping = matches!(document.kind, Kind::Mapping(_));
        if !is_mapping {
            let message = format!("the top level must be a mapping, not {}", document.describe());
            findings.push(Diagnostic::error(message).at(document.span).help("it holds `services:` and its like"));
        }
        is_mapping
    });
    if let Some(version) = documents.iter().find_map(|document| document.get("version")) {
        let warning = Diagnostic::warning("`version` is obsolete and has no effect").at(version.key);
        findings.push(warning.help("remove it"));
    }
    documents
}

/// `documents`, as `read` returned them, and all that they include and extend, merged into one tree.
pub fn assemble(
    documents: &[Rc<Node>],
    settings: &mut Settings,
    sources: &mut Sources,
    findings: &mut Vec<Diagnostic>,
) -> Option<Rc<Node>> {
    let mut assembler = Assembler {
        project_dir: settings.project_dir.clone(),
        interpolator: &mut settings.interpolator,
        sources,
        findings,
        budget: Budget::new(MAX_ENTRIES),
        files_left: MAX_FILES,
        opened: HashMap::new(),
        extending: extends::Extending::default(),
        including: include::Including::default(),
    };
    let project = Project { dir: assembler.project_dir.clone(), scope: Scope::default(), chain: Vec::new() };
    let root = assembler.documents(documents, &project)?;
    if let Some(place) = assembler.budget.exceeded() {
        let finding = Diagnostic::error("too much data").because(place, "merging stops here");
        assembler.findings.push(finding.help("files that extend and include each other count every time"));
    }
    assembler.bound(&root)?;
    Some(merge::enforce_unicity(&root))
}

struct Assembler<'a> {
    project_dir: PathBuf,
    interpolator: &'a mut Interpolator,
    sources: &'a mut Sources,
    findings: &'a mut Vec<Diagnostic>,
    budget: Budget,
    files_left: usize,
    /// Files that were opened, by their path and where their own paths start; `None`: they hold errors.
    opened: HashMap<(PathBuf, PathBuf), Option<Opened>>,
    extending: extends::Extending,
    including: include::Including,
}

/// The project on the command line, or one that is included.
struct Project {
    /// Where relative paths start.
    dir: PathBuf,
    scope: Scope,
    /// The files that led here, for the search of cycles; each with the place that includes the next.
    chain: Vec<include::Hop>,
}

#[derive(Clone)]
struct Opened {
    source: u32,
    /// In bytes.
    size: usize,
    documents: Rc<[Rc<Node>]>,
}

/// Which variables a text sees: texts of one scope see the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Scope(usize);

impl Assembler<'_> {
    /// Services that extend one base share what they have of it, up to here: the phases to come look at each by itself.
    fn bound(&mut self, root: &Rc<Node>) -> Option<()> {
        let (mut scale, mut sum) = (tree::Scale::default(), 0usize);
        let sections = root.entries().into_iter().flatten();
        for (_, entry) in sections.flat_map(|(_, section)| section.value.entries().into_iter().flatten()) {
            sum = sum.saturating_add(scale.weight(&entry.value));
            if sum > tree::MAX_VALUES {
                let words = format!("all files together have more than {} values up to here", tree::MAX_VALUES);
                let finding = Diagnostic::error("too much data").because(entry.key, words);
                self.findings.push(finding.help("what is extended or aliased counts every time"));
                return None;
            }
        }
        Some(())
    }

    /// Lays each document over those before it.
    fn documents(&mut self, documents: &[Rc<Node>], project: &Project) -> Option<Rc<Node>> {
        let mut merged: Option<Rc<Node>> = None;
        for document in documents {
            let said = self.interpolator.tree(document, self.sources, self.findings);
            let included = self.include(&said, project);
            let whole = self.extend_all(&included, &said, project.scope);
            merged = Some(match merged {
                None => whole,
                Some(base) => self.over(&base, &said, &whole),
            });
        }
        merged.map(|root| extends::with_build_contexts(&root, self.sources))
    }

    /// `whole` over `base`, without what `said` takes from it.
    fn over(&mut self, base: &Rc<Node>, said: &Rc<Node>, whole: &Rc<Node>) -> Rc<Node> {
        let base = merge::prune(base, said, &mut Vec::new());
        merge::merge(&base, whole, &[], &mut self.budget, self.findings)
    }

    /// The documents of a file that another one names at `place`; paths in it start at `base`. `None`: there are none
    /// to be had, and that has been said.
    fn open(&mut self, path: &Path, base: &Path, place: Span) -> Option<Opened> {
        let key = (path.to_owned(), base.to_owned());
        if let Some(known) = self.opened.get(&key) {
            return known.clone();
        }
        self.count_file(place)?;
        let (source, text) = match self.sources.read_based(path, Some(base)) {
            Ok(read) => read,
            Err(error) => {
                let finding = error.diagnostic("Compose file", &self.sources.shown(path));
                self.findings.push(finding.at(place));
                return None;
            }
        };
        let errors = |findings: &[Diagnostic]| findings.iter().filter(|f| f.severity == Severity::Error).count();
        let before = errors(self.findings);
        let documents: Rc<[Rc<Node>]> = parse(source, &text, self.findings).into();
        let sound = errors(self.findings) == before;
        let opened = sound.then_some(Opened { source, size: text.len(), documents });
        self.opened.insert(key, opened.clone());
        opened
    }

    /// The document with its variables resolved. A file can be wanted often, each time with other variables.
    fn interpolated(&mut self, document: &Rc<Node>, opened: &Opened, place: Span) -> Rc<Node> {
        self.budget.spend(opened.size / BYTES_OF_AN_ENTRY, place);
        self.interpolator.tree(document, self.sources, self.findings)
    }

    /// `None`: there have been too many, and that has been said.
    fn count_file(&mut self, place: Span) -> Option<()> {
        match self.files_left.checked_sub(1) {
            Some(left) => self.files_left = left,
            None if self.budget.is_open() => {
                let message = format!("more than {MAX_FILES} files are extended and included");
                self.findings.push(Diagnostic::error(message).at(place));
                self.budget.close();
                return None;
            }
            None => return None,
        }
        Some(())
    }

    /// The directory at which relative paths that stand at `span` start.
    fn base_of(&self, span: Span) -> PathBuf {
        self.sources.base(span.source).unwrap_or(&self.project_dir).to_owned()
    }
}
