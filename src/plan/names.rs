//! Names of containers. Those of networks and volumes come with the model.

use crate::model::Service;

/// `<project>-<service>-<number>`, or what the file says.
pub fn container(project: &str, service: &Service, number: u32) -> String {
    match &service.container_name {
        Some(name) => name.clone(),
        None => format!("{project}-{}-{number}", service.name),
    }
}

/// `<project>-<service>-run-<slug>`; `slug` is 12 hexadecimal digits.
pub fn oneoff(project: &str, service: &str, slug: &str) -> String {
    format!("{project}-{service}-run-{slug}")
}
