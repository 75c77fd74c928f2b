//! The process of a container: what the image says and what the service changes.

use super::capability;
use crate::{
    image::ImageConfig,
    model::{HealthTest, Healthcheck, Service, Ulimit},
    runtime::spec::{ExecSpec, Process, Seccomp},
};
use indexmap::IndexMap;
use std::path::PathBuf;

/// Why a service cannot be turned into a process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    #[error("service {service:?} has nothing to run: neither it nor image {image:?} has a command or an entrypoint")]
    NoCommand { service: String, image: String },
}

/// Entrypoint and command together. An entrypoint of the service drops the image's command.
pub fn args(service: &Service, image: &ImageConfig) -> Result<Vec<String>, ProcessError> {
    let entrypoint = service.entrypoint.as_ref().unwrap_or(&image.entrypoint);
    let image_command: &[String] = if service.entrypoint.is_some() { &[] } else { &image.cmd };
    let command = service.command.as_deref().unwrap_or(image_command);
    let args: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    if args.is_empty() {
        return Err(ProcessError::NoCommand { service: service.name.clone(), image: service.image.clone() });
    }
    Ok(args)
}

/// Image first, service over it, each name once.
pub fn environment(image: &ImageConfig, service: &IndexMap<String, String>) -> Vec<String> {
    let mut merged: IndexMap<&str, &str> = IndexMap::new();
    for entry in &image.env {
        let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
        merged.insert(key, value);
    }
    for (key, value) in service {
        merged.insert(key, value);
    }
    merged.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// The container's own process.
pub fn main(service: &Service, image: &ImageConfig) -> Result<Process, ProcessError> {
    Ok(Process {
        args: args(service, image)?,
        env: environment(image, &service.environment),
        cwd: service
            .working_dir
            .clone()
            .or_else(|| Some(PathBuf::from(&image.working_dir)))
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or_else(|| PathBuf::from("/")),
        user: service.user.clone().unwrap_or_else(|| image.user.clone()),
        additional_groups: service.group_add.clone(),
        tty: service.tty,
        capabilities: capability::effective(&service.cap_add, &service.cap_drop, service.privileged),
        no_new_privileges: service.no_new_privileges,
        seccomp: if service.privileged || service.seccomp_unconfined { Seccomp::Unconfined } else { Seccomp::Default },
        rlimits: service.ulimits.iter().map(|(name, limit)| (name.clone(), rlimit(*limit))).collect(),
    })
}

/// getrlimit(2): -1 is RLIM_INFINITY.
fn rlimit(limit: Ulimit) -> (u64, u64) {
    let kernel = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    (kernel(limit.soft), kernel(limit.hard))
}

/// A health probe: the container's own process with other arguments. `None` where there is nothing to run.
pub fn probe(main: &Process, service: Option<&Healthcheck>, image: Option<&Healthcheck>) -> Option<ExecSpec> {
    let test = [service, image].into_iter().flatten().find_map(|check| check.test.as_ref())?;
    let args = match test {
        HealthTest::None => return None,
        HealthTest::Cmd(args) => args.clone(),
        HealthTest::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
    };
    Some(ExecSpec { process: Process { args, tty: false, ..main.clone() }, privileged: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn run(entrypoint: Option<&str>, command: Option<&str>) -> Result<String, ProcessError> {
        let image = ImageConfig { entrypoint: words("/entry"), cmd: words("serve"), ..ImageConfig::default() };
        let service = Service { entrypoint: entrypoint.map(words), command: command.map(words), ..Service::default() };
        args(&service, &image).map(|args| args.join(" "))
    }

    #[test]
    fn entrypoint_and_command_follow_dockers_rules() {
        assert_eq!(run(None, None).unwrap(), "/entry serve");
        assert_eq!(run(None, Some("x y")).unwrap(), "/entry x y");
        assert_eq!(run(Some("/other"), None).unwrap(), "/other");
        assert_eq!(run(Some("/other"), Some("x")).unwrap(), "/other x");
        assert_eq!(run(None, Some("")).unwrap(), "/entry");
        assert_eq!(run(Some(""), Some("x")).unwrap(), "x");
        assert!(run(Some(""), None).unwrap_err().to_string().contains("nothing to run"));
    }

    #[test]
    fn the_service_overrides_the_images_environment() {
        let image = ImageConfig { env: words("PATH=/bin A=1"), ..ImageConfig::default() };
        let service = IndexMap::from([("A".to_owned(), "2".to_owned()), ("B".to_owned(), String::new())]);
        assert_eq!(environment(&image, &service), ["PATH=/bin", "A=2", "B="]);
    }
}
