//! What a project takes from registries, all of its services included, whether they are on or not.

use super::is_open;
use crate::{
    cli::{build, exit::Error},
    compose::Loaded,
    image::{ImageError, Reference},
    model::{Project, lock::Needed},
    state::Layout,
};
use std::collections::{BTreeMap, BTreeSet};

/// Images by the names that the files give them, with who needs them.
#[derive(Debug, Default)]
pub struct Needs {
    /// Whose meaning a registry decides.
    pub images: Needed,
    /// What is at hand and fixed by what it is: `oci:`, `rootfs:`, an id.
    pub local: Needed,
    /// By service: names out of `images`.
    pub of_service: BTreeMap<String, BTreeSet<String>>,
}

impl Needs {
    fn add(&mut self, service: &str, image: &str, role: String) -> Result<(), Error> {
        let reference = Reference::parse(image).map_err(ImageError::from)?;
        let place = match &reference {
            reference if is_open(reference) => &mut self.images,
            Reference::Registry(_) => return Ok(()),
            _ => &mut self.local,
        };
        place.entry(image.to_owned()).or_default().insert(role);
        self.of_service.entry(service.to_owned()).or_default().insert(image.to_owned());
        Ok(())
    }
}

/// # Errors
/// A name that is none, or a Dockerfile that cannot be read; one of a context elsewhere is fetched for it.
pub fn needs(loaded: &Loaded, layout: &Layout) -> Result<Needs, Error> {
    let mut needs = Needs::default();
    for named in &loaded.images {
        needs.add(&named.service, &named.image, named.role.clone())?;
    }
    let project = everything(&loaded.project);
    let built: BTreeSet<&str> =
        project.services.values().filter(|service| service.build.is_some()).map(|s| s.image.as_str()).collect();
    let remotes = build::fetch_quietly(layout, &project, &loaded.environment)?;
    for service in project.services.keys() {
        for image in build::bases(&project, service, &loaded.environment, &remotes)? {
            // Built here, and found here by whoever is built upon it.
            if !built.contains(image.as_str()) {
                needs.add(service, &image, format!("build of {service}"))?;
            }
        }
    }
    Ok(needs)
}

/// With the services that are off among those that are on.
pub fn everything(project: &Project) -> Project {
    let mut project = project.clone();
    project.services.extend(std::mem::take(&mut project.disabled_services));
    project
}
