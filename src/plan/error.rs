//! Why there is no plan. Nothing was touched.

/// Messages are those of docker compose where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("no such service: {0}")]
    NoSuchService(String),
    #[error("no configuration file provided: {verb} needs the project's model")]
    NoModel { verb: &'static str },
    #[error("dependency cycle detected: {}", path.join(" -> "))]
    Cycle { path: Vec<String> },
    #[error("network {name} declared as external, but could not be found")]
    ExternalNetworkMissing { name: String },
    #[error("external volume {name:?} not found")]
    ExternalVolumeMissing { name: String },
    #[error("service {service:?}: image {image} is not there, and the pull policy is never; load or pull it first")]
    ImageMissing { service: String, image: String },
    #[error("service {service:?}: image {image} is not built yet; run `muster build {service}`")]
    NotBuilt { service: String, image: String },
    #[error("service {service:?} depends on {dependency:?} being healthy, but that has no healthcheck configured")]
    NoHealthcheck { service: String, dependency: String },
    #[error("network {name} has to be made anew ({why}), but {user} is attached to it; remove that first")]
    NetworkInUse { name: String, why: String, user: String },
    #[error("container name {name:?} for service {service:?} is already taken by {holder}")]
    NameTaken { name: String, service: String, holder: String },
    #[error("service {service:?} has no container to start; bring it up first")]
    NoContainer { service: String },
}
