//! The labels by which tools know containers of Compose projects.

use crate::state::records::ContainerRecord;

/// Keys and values, sorted: the service's own and `com.docker.compose.*`.
pub fn of(record: &ContainerRecord) -> Vec<(String, String)> {
    let service = &record.applied;
    let depends_on = service
        .depends_on
        .iter()
        .map(|(name, dependency)| format!("{name}:{}:{}", dependency.condition.as_str(), dependency.restart));
    let files = record.config_files.iter().map(|path| path.display().to_string());
    let own = [
        ("project", record.project.clone()),
        ("service", record.service.clone()),
        ("config-hash", record.config_hash.clone()),
        ("container-number", record.number.to_string()),
        ("oneoff", if record.oneoff { "True" } else { "False" }.into()),
        ("image", record.image_id.to_string()),
        ("depends_on", depends_on.collect::<Vec<_>>().join(",")),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("project.working_dir", record.working_dir.display().to_string()),
        ("project.config_files", files.collect::<Vec<_>>().join(",")),
    ];
    let own = own.into_iter().map(|(key, value)| (format!("com.docker.compose.{key}"), value));
    let mut labels: Vec<(String, String)> =
        own.chain(service.labels.iter().map(|(key, value)| (key.clone(), value.clone()))).collect();
    labels.sort();
    labels
}
