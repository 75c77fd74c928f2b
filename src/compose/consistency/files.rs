//! Files of the host that containers are given: they must be there.

use crate::compose::{
    decode::{Draft, ServiceDraft},
    diagnostics::Diagnostic,
    source,
};
use crate::model::FileSource;
use indexmap::IndexSet;

/// Secrets and configs that the services use.
pub fn check<'a>(draft: &Draft, services: impl Iterator<Item = &'a ServiceDraft>, findings: &mut Vec<Diagnostic>) {
    let (mut secrets, mut configs) = (IndexSet::new(), IndexSet::new());
    for service in services {
        secrets.extend(service.service.secrets.iter().map(|mount| mount.source.as_str()));
        configs.extend(service.service.configs.iter().map(|mount| mount.source.as_str()));
    }
    let secrets = secrets.iter().map(|key| ("secret", *key, draft.secrets.get(*key)));
    let configs = configs.iter().map(|key| ("config", *key, draft.configs.get(*key)));
    for (what, key, file) in secrets.chain(configs) {
        let Some(file) = file else { continue };
        let FileSource::File(path) = &file.object.source;
        if !source::exists(path) {
            let message = format!("the file of the {what} \"{key}\" is not there: {}", path.display());
            findings.push(Diagnostic::error(message).at(file.span));
        }
    }
}
