//! Files of the host that containers are given: they must be there.

use super::Checked;
use crate::{
    compose::{diagnostics::Diagnostic, source},
    model::FileSource,
};
use indexmap::IndexSet;

/// Secrets and configs that the services use.
pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    let (mut secrets, mut configs) = (IndexSet::new(), IndexSet::new());
    for service in checked.draft.services.values().filter(|service| checked.wanted.contains(&service.name)) {
        secrets.extend(service.secrets.iter().map(|mount| mount.source.as_str()));
        configs.extend(service.configs.iter().map(|mount| mount.source.as_str()));
    }
    let secrets = secrets.iter().map(|key| ("secret", *key, checked.draft.secrets.get(*key)));
    let configs = configs.iter().map(|key| ("config", *key, checked.draft.configs.get(*key)));
    for (what, key, file) in secrets.chain(configs) {
        let Some(file) = file else { continue };
        match &file.object.source {
            FileSource::File(path) if source::exists(path) => {}
            FileSource::File(path) => {
                let message = format!("the file of the {what} \"{key}\" is not there: {}", path.display());
                findings.push(Diagnostic::error(message).at(file.span));
            }
            // A build has it from whoever builds; a container would need it at each of its starts.
            FileSource::Environment(_) => {
                let message = format!("`{what}s.{key}.environment`: a source other than `file` is not supported yet");
                findings.push(Diagnostic::error(message).at(file.span));
            }
        }
    }
}
