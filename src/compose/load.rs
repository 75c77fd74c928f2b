//! The phases, in order. The findings of a phase end the run only when the phase is over.

use super::{
    Diagnostics, LoadOptions, MissingFiles, Variable,
    consistency::{self, Checked},
    decode::{self, Context, Draft, ServiceDraft},
    diagnostics::{Diagnostic, Severity},
    environment, interpolate, name, normalise,
    profiles::{self, Selection},
    read,
    settings::{self, Input, Settings, Variables},
    source::Sources,
    tree::Node,
};
use crate::model::{FileObject, MountKind, Project, Service};
use indexmap::{IndexMap, IndexSet};
use std::{collections::BTreeMap, path::PathBuf, rc::Rc};

/// The findings say why.
pub struct Stopped;

pub struct Parts {
    pub project: Project,
    pub environment: BTreeMap<String, String>,
    pub variables: Vec<Variable>,
}

pub struct Run<'a> {
    options: &'a LoadOptions,
    sources: Sources,
    findings: Vec<Diagnostic>,
}

impl<'a> Run<'a> {
    pub fn new(options: &'a LoadOptions) -> Self {
        Self { options, sources: Sources::new(&options.cwd), findings: Vec::new() }
    }

    /// The result with its warnings, or all findings.
    pub fn finish<T>(self, outcome: Result<T, Stopped>) -> Result<(T, Diagnostics), Diagnostics> {
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

    pub fn project(&mut self) -> Result<Parts, Stopped> {
        let variables = self.variables()?;
        let mut settings = self.settings(variables)?;
        let (documents, name) = self.documents(&mut settings)?;
        settings.interpolator.force(name::VARIABLE, name.clone());
        let root = self.merged(&documents, &mut settings)?;
        let context = Context {
            working_dir: settings.project_dir.clone(),
            home: settings.interpolator.get("HOME").filter(|home| home.starts_with('/')).map(PathBuf::from),
        };
        let mut draft = decode::decode(&root, &context, &mut self.findings);
        let selection = self.select(&mut draft, &root, &settings);
        normalise::default_network(&mut draft, &selection.enabled);
        normalise::names(&mut draft, &name);
        self.check(&draft, &selection, &root);
        self.assemble(name, draft, selection, settings)
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

    fn documents(&mut self, settings: &mut Settings) -> Result<(Vec<Rc<Node>>, String), Stopped> {
        let documents = read::documents(settings, &mut self.sources, &mut self.findings);
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

    fn merged(&mut self, documents: &[Rc<Node>], settings: &mut Settings) -> Result<Rc<Node>, Stopped> {
        let root = read::merged(documents, &mut settings.interpolator, &self.sources, &mut self.findings);
        self.phase_over()?;
        root.ok_or(Stopped)
    }

    fn select(&mut self, draft: &mut Draft, root: &Node, settings: &Settings) -> Selection {
        let mut services = std::mem::take(&mut draft.services);
        for service in services.values_mut() {
            normalise::service(service, root, &mut self.findings);
        }
        profiles::select(services, &settings.profiles, &self.options.services, &mut self.findings)
    }

    fn check(&mut self, draft: &Draft, selection: &Selection, root: &Node) {
        let Selection { enabled, disabled } = selection;
        consistency::check(&Checked { root, draft, enabled, disabled }, &mut self.findings);
        if self.options.missing_files == MissingFiles::Refuse {
            let wanted = profiles::closure(enabled, &self.options.services);
            let services = enabled.values().filter(|service| wanted.contains(&service.service.name));
            consistency::files(draft, services, &mut self.findings);
        }
    }

    fn assemble(
        &mut self,
        name: String,
        draft: Draft,
        selection: Selection,
        settings: Settings,
    ) -> Result<Parts, Stopped> {
        let config_files = settings.inputs.iter().filter_map(|input| match input {
            Input::File(path) => Some(path.clone()),
            Input::Stdin | Input::Overlay(_) => None,
        });
        let config_files = config_files.collect();
        let (environment, variables) = settings.interpolator.into_parts();
        let (services, disabled_services) = self.services(selection, &environment);
        self.phase_over()?;
        let mut project = Project {
            name,
            working_dir: settings.project_dir,
            config_files,
            environment_files: settings.env_files,
            services,
            disabled_services,
            ..Project::default()
        };
        resources(&mut project, draft);
        Ok(Parts { project, environment, variables })
    }

    /// Drafts -> services, with their environment.
    fn services(
        &mut self,
        selection: Selection,
        variables: &BTreeMap<String, String>,
    ) -> (IndexMap<String, Service>, IndexMap<String, Service>) {
        let Selection { enabled, disabled } = selection;
        let wanted = match self.options.missing_files {
            MissingFiles::Refuse => profiles::closure(&enabled, &self.options.services),
            MissingFiles::Tolerate => IndexSet::new(),
        };
        let mut resolver = environment::Resolver {
            variables: variables.clone(),
            sources: &mut self.sources,
            findings: &mut self.findings,
            budget: interpolate::MAX_BYTES,
        };
        let mut finished = |mut draft: ServiceDraft| {
            draft.service.environment = resolver.service(&draft, wanted.contains(&draft.service.name));
            // A dependency that is off and not required is none.
            draft.service.depends_on.retain(|name, dependency| dependency.required || !disabled.contains_key(name));
            draft.service
        };
        let enabled = enabled.into_iter().map(|(name, draft)| (name, finished(draft))).collect();
        // Disabled services do not run: their env files are not read.
        let disabled = disabled.iter().map(|(name, draft)| (name.clone(), draft.service.clone())).collect();
        (enabled, disabled)
    }
}

/// Resources that a service uses; the others are left out, as Compose leaves them out.
fn resources(project: &mut Project, draft: Draft) {
    let (mut networks, mut volumes) = (IndexSet::new(), IndexSet::new());
    let (mut secrets, mut configs) = (IndexSet::new(), IndexSet::new());
    for service in project.services.values() {
        networks.extend(service.networks.keys().cloned());
        volumes.extend(service.volumes.iter().filter_map(|mount| match &mount.kind {
            MountKind::Volume { source, .. } => Some(source.clone()),
            _ => None,
        }));
        secrets.extend(service.secrets.iter().map(|mount| mount.source.clone()));
        configs.extend(service.configs.iter().map(|mount| mount.source.clone()));
    }
    let files = |files: IndexMap<String, decode::FileDraft>, used: &IndexSet<String>| -> IndexMap<String, FileObject> {
        files.into_iter().filter(|(key, _)| used.contains(key)).map(|(key, file)| (key, file.object)).collect()
    };
    project.networks = draft.networks.into_iter().filter(|(key, _)| networks.contains(key)).collect();
    project.volumes = draft.volumes.into_iter().filter(|(key, _)| volumes.contains(key)).collect();
    project.secrets = files(draft.secrets, &secrets);
    project.configs = files(draft.configs, &configs);
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
