//! `compose.lock` on the command line: verbs that bring images follow it, `--locked` insists on it.
//!
//! ```text
//! needs   what a project takes from registries: services, hooks, volumes, bases of builds
//! ```

mod needs;

pub use needs::{Needs, everything, needs};

use super::{context::Context, exit::Error};
use crate::{
    compose::{self, LOCK_FILE, Loaded},
    image::Reference,
    model::{Lock, Project, lock::Drift},
};
use std::path::PathBuf;

impl Context {
    /// Where the lock of a project is: beside its first Compose file.
    pub fn lock_path(&self, project: &Project) -> PathBuf {
        let beside = project.config_files.first().and_then(|file| file.parent());
        self.env.cwd.join(beside.unwrap_or(&project.working_dir)).join(LOCK_FILE)
    }

    pub fn read_lock(&self, project: &Project) -> Result<Option<Lock>, Error> {
        compose::read_lock(&self.lock_path(project), &self.env.cwd).map_err(Error::Compose)
    }

    /// Lets a project use the images that its lock names, where it has one. With `insist` it has to be whole, and to
    /// name nothing else.
    pub fn follow_lock(&self, loaded: &mut Loaded, insist: bool) -> Result<(), Error> {
        let lock = self.read_lock(&loaded.project)?;
        if insist {
            self.check_lock(loaded, lock.as_ref())?;
        }
        if let Some(lock) = lock {
            follow(&mut loaded.project, &lock);
        }
        Ok(())
    }

    fn check_lock(&self, loaded: &Loaded, lock: Option<&Lock>) -> Result<(), Error> {
        let path = self.lock_path(&loaded.project);
        let path = path.strip_prefix(&self.env.cwd).unwrap_or(&path).display();
        let Some(lock) = lock else {
            return Err(Error::Refused {
                message: format!("--locked: there is no {path}"),
                hint: Some("`muster lock` writes it".into()),
            });
        };
        let needs = needs(loaded, &self.layout)?;
        let drift = lock.drift(&needs.images);
        if drift.is_empty() {
            return Ok(());
        }
        let lines: String = drift.iter().map(|drift| format!("\n  {}", words(drift))).collect();
        Err(Error::Refused {
            message: format!("--locked: {path} is not what the project needs:{lines}"),
            hint: Some("`muster lock` adds what lacks; `muster lock --update` also drops what nobody uses".into()),
        })
    }
}

fn words(drift: &Drift) -> String {
    match drift {
        Drift::Missing { image, by } => {
            let by: Vec<&str> = by.iter().map(String::as_str).collect();
            format!("{image} is not locked ({})", by.join(", "))
        }
        Drift::Unused { image } => format!("{image} is locked, and nothing uses it"),
    }
}

/// What a service builds has no digest that somebody else could know.
fn follow(project: &mut Project, lock: &Lock) {
    for service in project.services.values_mut().chain(project.disabled_services.values_mut()) {
        if service.build.is_none() {
            service.locked_image = lock.reference(&service.image);
        }
    }
    project.locked_images = lock.references();
}

/// Whether a registry decides what the name means: not what is at hand, and not what has a digest.
pub fn is_open(reference: &Reference) -> bool {
    matches!(reference, Reference::Registry(name) if name.digest().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Build, Locked, Service};

    #[test]
    fn services_follow_the_lock_and_what_is_built_does_not() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let locked = Locked { digest: digest.clone(), platform: None, locked: None };
        let lock = Lock { images: [("x:1".to_owned(), locked.clone()), ("own".into(), locked)].into() };
        let mut project = Project::default();
        let service = |image: &str| Service { image: image.into(), ..Service::default() };
        project.services.insert("a".into(), service("x:1"));
        project.services.insert("b".into(), service("y:1"));
        project.services.insert("c".into(), Service { build: Some(Build::default()), ..service("own") });
        follow(&mut project, &lock);
        let references: Vec<&str> = project.services.values().map(Service::reference).collect();
        assert_eq!(references, [format!("x:1@{digest}").as_str(), "y:1", "own"]);
        assert_eq!(project.services["a"].image, "x:1");
    }
}
