//! What a service's environment comes to: env files in order, `environment` over them.

use super::{
    decode::{EnvFile, EnvFormat, ServiceDraft},
    diagnostics::Diagnostic,
    dotenv,
    interpolate::Interpolator,
    source::Sources,
};
use indexmap::IndexMap;
use std::collections::BTreeMap;

pub struct Resolver<'a> {
    /// Of the project.
    pub variables: BTreeMap<String, String>,
    pub sources: &'a mut Sources,
    pub findings: &'a mut Vec<Diagnostic>,
    /// How much text the env files of all services may still make.
    pub budget: usize,
}

impl Resolver<'_> {
    /// A variable that is named without a value takes it from the project's variables, or is left out.
    /// Where the service is not `wanted`, a missing env file is no matter.
    pub fn service(&mut self, draft: &ServiceDraft, wanted: bool) -> IndexMap<String, String> {
        let mut resolved: IndexMap<String, String> = IndexMap::new();
        for file in &draft.env_files {
            // A value sees the files before it, then the project's variables.
            let mut seen = self.variables.clone();
            seen.extend(resolved.iter().map(|(name, value)| (name.clone(), value.clone())));
            let values = self.file(file, seen, wanted);
            resolved.extend(values.into_iter().filter_map(|(name, value)| Some((name, value?))));
        }
        for (name, value) in &draft.environment {
            match value.as_ref().or_else(|| self.variables.get(name)) {
                Some(value) => resolved.insert(name.clone(), value.clone()),
                None => resolved.shift_remove(name),
            };
        }
        resolved
    }

    fn file(
        &mut self,
        file: &EnvFile,
        seen: BTreeMap<String, String>,
        wanted: bool,
    ) -> IndexMap<String, Option<String>> {
        let (source, text) = match self.sources.read(&file.path) {
            Ok(text) => text,
            Err(error) => {
                let tolerated = error.not_found() && !(file.required && wanted);
                if !tolerated {
                    self.findings.push(error.diagnostic("env file", &file.path).at(file.span));
                }
                return IndexMap::new();
            }
        };
        let mut interpolator = Interpolator::with_budget(seen, self.budget);
        let values = match file.format {
            EnvFormat::Dotenv => dotenv::parse(source, &text, &mut interpolator, self.findings),
            EnvFormat::Raw => dotenv::parse_raw(source, &text, &interpolator, self.findings),
        };
        self.budget = interpolator.budget();
        values
    }
}
