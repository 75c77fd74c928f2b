//! The phases, in order. What can go on goes on over the findings of a phase, so that one run tells all there are.

use super::{
    Diagnostics, LoadOptions, Phases, Purpose, Variable, assemble,
    canonical::{self, canonicalise},
    consistency, decode,
    diagnostics::{Diagnostic, Severity},
    environment, explain, feasible, images, interpolate, name,
    normalise::normalise,
    profiles::{self, Selection},
    provenance, schema,
    settings::{self, Input, Settings, Variables},
    source::Sources,
    told::Told,
    tree::{Node, edit::entry},
};
use crate::model::{FileObject, Project};
use indexmap::{IndexMap, IndexSet};
use std::{collections::BTreeMap, path::PathBuf, rc::Rc};

/// The findings say why.
pub struct Stopped;

/// A project as a tree, with what was known on the way to it.
pub struct Resolved {
    /// Only services that are on; everything else is still there.
    pub root: Rc<Node>,
    /// The same with every service.
    all: Rc<Node>,
    pub name: String,
    pub selection: Selection,
    /// The services that were named and what they need; all that are on where none was named.
    pub wanted: IndexSet<String>,
    pub environment: BTreeMap<String, String>,
    pub variables: Vec<Variable>,
    /// Of all services.
    pub profiles: IndexSet<String>,
    pub project_dir: PathBuf,
    pub config_files: Vec<PathBuf>,
    pub env_files: Vec<PathBuf>,
}

impl Resolved {
    /// Of all services.
    pub fn images(&self) -> Vec<images::ImageUse> {
        images::named(&self.all)
    }
}

pub struct Run<'a> {
    options: &'a LoadOptions,
    phases: Phases,
    sources: Sources,
    findings: Vec<Diagnostic>,
    /// All files as one tree, before any phase changed it.
    merged: Option<Rc<Node>>,
}

impl<'a> Run<'a> {
    pub fn new(options: &'a LoadOptions, phases: Phases) -> Self {
        Self { options, phases, sources: Sources::new(&options.cwd), findings: Vec::new(), merged: None }
    }

    /// The result with its warnings, or all findings.
    pub fn finish<T>(mut self, outcome: Result<T, Stopped>) -> Result<(T, Diagnostics), Diagnostics> {
        if let Some(root) = &self.merged {
            provenance::annotate(root, &self.sources, &mut self.findings);
        }
        let findings = Diagnostics::new(distinct(self.findings), self.sources.into_texts());
        match outcome {
            Ok(value) if !findings.has_errors() => Ok((value, findings)),
            _ => Err(findings),
        }
    }

    fn phase_over(&self) -> Result<(), Stopped> {
        match self.findings.iter().any(|finding| finding.severity == Severity::Error) {
            true => Err(Stopped),
            false => Ok(()),
        }
    }

    /// The model of what is to run.
    pub fn project(&mut self) -> Result<(Project, Resolved), Stopped> {
        let mut resolved = self.resolved()?;
        if !self.options.all_resources {
            profiles::drop_unused(&mut resolved.root);
        }
        profiles::drop_absent_dependencies(&mut resolved.root, &resolved.selection.disabled);
        let mut found = Vec::new();
        let mut draft = decode::decode(&resolved.root, &mut found);
        name_images(&mut draft.services, &resolved.name);
        // What the engine cannot do is an error only for those who want it done.
        if self.options.purpose == Purpose::Build {
            found.clear();
            decode::check_builds(&resolved.root, &resolved.wanted, &mut found);
            self.later(found);
        } else if self.options.purpose == Purpose::Run {
            let checked = feasible::Checked { root: &resolved.root, draft: &draft, wanted: &resolved.wanted };
            feasible::check(&checked, &mut found);
            self.later(found);
        }
        self.phase_over()?;
        let files = |files: IndexMap<String, decode::FileDraft>| -> IndexMap<String, FileObject> {
            files.into_iter().map(|(key, file)| (key, file.object)).collect()
        };
        let project = Project {
            name: resolved.name.clone(),
            working_dir: resolved.project_dir.clone(),
            config_files: resolved.config_files.clone(),
            environment_files: resolved.env_files.clone(),
            services: draft.services,
            disabled_services: disabled(&resolved),
            networks: draft.networks,
            volumes: draft.volumes,
            secrets: files(draft.secrets),
            configs: files(draft.configs),
            locked_images: BTreeMap::new(),
        };
        Ok((project, resolved))
    }

    /// Findings of a phase that went on although one before it found something.
    fn later(&mut self, mut found: Vec<Diagnostic>) {
        Told::of(&self.findings).sift(&mut found);
        self.findings.append(&mut found);
    }

    /// What `config` prints: the services that are wanted, and what they use. With variables still in it, everything.
    pub fn document(&mut self) -> Result<Resolved, Stopped> {
        let mut resolved = self.resolved()?;
        self.phase_over()?;
        if !self.options.services.is_empty() {
            profiles::keep_services(&mut resolved.root, &resolved.wanted);
        }
        if self.phases.interpolate && !self.options.all_resources {
            profiles::drop_unused(&mut resolved.root);
        }
        Ok(resolved)
    }

    /// Where values come from; those of services that are off as well.
    pub fn explain(&mut self, path: &str) -> Result<explain::Explanation, Stopped> {
        let resolved = self.resolved()?;
        let on = explain::explain(&resolved.root, path, &self.sources);
        on.or_else(|missing| explain::explain(&resolved.all, path, &self.sources).map_err(|_| missing))
            .map_err(|finding| self.stop(*finding))
    }

    /// The files as one tree, with as much resolved as the phases that are asked for resolve. From the first tree on,
    /// a phase goes on with what the last one left, so that all that is wrong is told of at once.
    pub fn resolved(&mut self) -> Result<Resolved, Stopped> {
        let variables = self.variables()?;
        let mut settings = self.settings(variables)?;
        let (mut root, name) = self.assembled(&mut settings)?;
        self.shape(&root)?;
        self.canonical(&mut root, &settings);
        if self.phases.interpolate || self.phases.normalise {
            put_name(&mut root, &name);
        }
        let Settings { interpolator, project_dir, inputs, env_files, profiles: active, .. } = settings;
        let (environment, variables) = interpolator.into_parts();
        if self.phases.normalise {
            normalise(&mut root, &name, &environment);
        }
        let named = &self.options.services;
        let selection = profiles::select(&root, &active, named, &mut self.findings);
        // What still holds variables says little about anything else.
        if self.phases.consistency && self.phases.interpolate {
            let (told, mut found) = (Told::of(&self.findings), Vec::new());
            let checked = consistency::Checked { root: &root, selection: &selection, told: &told };
            consistency::check(&checked, &mut found);
            self.later(found);
        }
        let all = root.clone();
        let wanted = profiles::closure(&root, &selection, named);
        let profiles = profiles::all(&root);
        if self.phases.interpolate {
            profiles::keep_services(&mut root, &selection.enabled);
        }
        if self.phases.interpolate && self.phases.environment {
            self.environment(&mut root, &wanted, &environment, &project_dir);
        }
        let config_files = inputs.into_iter().filter_map(|input| match input {
            Input::File(path) => Some(path),
            Input::Stdin | Input::Overlay(_) => None,
        });
        let config_files = config_files.collect();
        Ok(Resolved {
            root,
            all,
            name,
            selection,
            wanted,
            environment,
            variables,
            profiles,
            project_dir,
            config_files,
            env_files,
        })
    }

    /// Kinds, names and words. Where variables stay in the tree, what holds one may become anything.
    fn shape(&mut self, root: &Rc<Node>) -> Result<(), Stopped> {
        if let Some(finding) = first_version(root) {
            return Err(self.stop(finding));
        }
        let mut found = Vec::new();
        schema::check(root, &mut found);
        if !self.phases.interpolate {
            found.retain(|finding| {
                let text = finding.places.first().and_then(|(span, _)| self.sources.text(*span));
                text.is_none_or(|text| !text.contains('$'))
            });
        }
        self.findings.append(&mut found);
        Ok(())
    }

    fn canonical(&mut self, root: &mut Rc<Node>, settings: &Settings) {
        let home = settings.interpolator.get("HOME").filter(|home| home.starts_with('/')).map(PathBuf::from);
        let context = canonical::Context {
            working_dir: &settings.project_dir,
            home: home.as_deref(),
            sources: &self.sources,
            resolve_paths: self.phases.paths,
            interpolated: self.phases.interpolate,
        };
        let mut found = Vec::new();
        *root = canonicalise(root, &context, &mut found);
        self.later(found);
    }

    fn environment(
        &mut self,
        root: &mut Rc<Node>,
        wanted: &IndexSet<String>,
        variables: &BTreeMap<String, String>,
        working_dir: &std::path::Path,
    ) {
        let none = IndexSet::new();
        let mut resolver = environment::Resolver {
            variables,
            working_dir,
            sources: &mut self.sources,
            findings: &mut self.findings,
            budget: interpolate::MAX_BYTES,
        };
        // What containers read at last is no matter before there are any.
        let matters = matches!(self.options.purpose, Purpose::Run | Purpose::Show);
        resolver.resolve(root, if matters { wanted } else { &none });
    }

    pub fn name(&mut self) -> Result<String, Stopped> {
        if let Some(given) = name::given(self.options.project_name.as_deref(), None) {
            return given.map_err(|finding| self.stop(finding));
        }
        let variables = self.variables()?;
        if let Some(given) = name::given(None, variables.interpolator.get(name::VARIABLE)) {
            return given.map_err(|finding| self.stop(finding));
        }
        let mut settings = self.settings(variables)?;
        self.documents(&mut settings).map(|(_, name)| name)
    }

    fn assembled(&mut self, settings: &mut Settings) -> Result<(Rc<Node>, String), Stopped> {
        let (documents, name) = self.documents(settings)?;
        settings.interpolator.force(name::VARIABLE, name.clone());
        if !self.phases.interpolate {
            settings.interpolator.disable();
        }
        let root = assemble::assemble(&documents, settings, &mut self.sources, &mut self.findings);
        self.merged = root.clone();
        self.phase_over()?;
        Ok((root.ok_or(Stopped)?, name))
    }

    /// What the files say, and the name of the project.
    fn documents(&mut self, settings: &mut Settings) -> Result<(Vec<Rc<Node>>, String), Stopped> {
        let documents = assemble::read(settings, &mut self.sources, &mut self.findings);
        self.phase_over()?;
        let environment = settings.interpolator.get(name::VARIABLE).map(str::to_owned);
        let name = match name::given(self.options.project_name.as_deref(), environment.as_deref()) {
            Some(given) => given.map_err(|finding| self.stop(finding))?,
            None => {
                let interpolator = &mut settings.interpolator;
                let named = name::of_documents(&documents, interpolator, &self.sources, &mut self.findings);
                self.phase_over()?;
                match named {
                    Some(name) => name,
                    None => name::of_directory(&settings.project_dir).map_err(|finding| self.stop(finding))?,
                }
            }
        };
        Ok((documents, name))
    }

    fn stop(&mut self, finding: Diagnostic) -> Stopped {
        self.findings.push(finding);
        Stopped
    }

    fn variables(&mut self) -> Result<Variables, Stopped> {
        let variables = Variables::gather(self.options, &mut self.sources, &mut self.findings);
        self.phase_over().map(|()| variables)
    }

    fn settings(&mut self, variables: Variables) -> Result<Settings, Stopped> {
        let settings = settings::gather(self.options, variables, &mut self.sources, &mut self.findings);
        self.phase_over()?;
        settings.ok_or(Stopped)
    }
}

/// Services that do not run: known by name, and nobody minds what they ask for.
fn disabled(resolved: &Resolved) -> IndexMap<String, crate::model::Service> {
    if resolved.selection.disabled.is_empty() {
        return IndexMap::new();
    }
    let mut root = resolved.all.clone();
    profiles::keep_services(&mut root, &resolved.selection.disabled);
    let mut services = decode::decode(&root, &mut Vec::new()).services;
    name_images(&mut services, &resolved.name);
    services
}

/// What is built is named after its service, where it has no name of its own.
fn name_images(services: &mut IndexMap<String, crate::model::Service>, project: &str) {
    for (name, service) in services.iter_mut().filter(|(_, service)| service.image.is_empty()) {
        if service.build.is_some() {
            service.image = built_image(project, name);
        }
    }
}

/// The name of an image that only its service names.
pub fn built_image(project: &str, service: &str) -> String {
    format!("{project}-{service}")
}

/// A file of the first version has its services at the top level.
fn first_version(root: &Node) -> Option<Diagnostic> {
    let entries = root.entries().filter(|entries| !entries.contains_key("services"))?;
    let is_service = |entry: &super::tree::Entry| ["image", "build"].iter().any(|key| entry.value.get(key).is_some());
    let sections = schema::shape();
    let (name, entry) = entries.iter().find(|(name, entry)| sections.property(name).is_none() && is_service(entry))?;
    let message = format!("this is a Compose file of version 1: the service `{name}` stands at the top level");
    Some(Diagnostic::error(message).at(entry.key).help("write `services:` above all services, and indent them"))
}

/// The name in effect, wherever it comes from; a version says nothing.
fn put_name(root: &mut Rc<Node>, name: &str) {
    let root = Rc::make_mut(root);
    let span = root.span;
    let Some(entries) = root.entries_mut() else { return };
    entries.shift_remove("version");
    if entries.get("name").is_none_or(|given| given.value.scalar() != Some(name)) {
        let rule = "the name of the project, from the command line, its variables or its directory";
        entries.insert("name".to_owned(), entry(Node::implied_text(span, name, rule)));
    }
}

/// Without repetitions: an anchor that many services use is wrong once, and an unset variable is one warning.
fn distinct(findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen = IndexSet::new();
    let mut kept = Vec::new();
    for finding in findings {
        let place = match finding.severity {
            Severity::Error => finding.places.first().map(|(span, _)| *span),
            Severity::Warning => None,
        };
        if seen.insert((place, without_service(&finding.message))) {
            kept.push(finding);
        }
    }
    kept
}

/// `services.web.image` as `services.*.image`.
fn without_service(message: &str) -> String {
    let Some((before, after)) = message.split_once("`services.") else { return message.to_owned() };
    let rest = after.trim_start_matches(|c: char| c != '.' && c != '`');
    format!("{before}`services.*{rest}")
}
