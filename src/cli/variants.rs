//! Services whose `platform` is another than this host's and whose image is pulled: the variant is fetched under its own
//! digest, and the service runs from that. The name goes on standing for what fits this host.

use super::{
    build,
    context::Context,
    exit::Error,
    fetch::{self, Wanted},
    output::progress::Mode,
};
use crate::{
    image::{self, ImageError, Reference, Store, platform},
    model::{Project, PullPolicy, Service},
};

/// The platform of a service whose image is not built, where it is not this host's.
fn platform_of(service: &Service) -> Option<&str> {
    platform::foreign(service.platform.as_deref()).filter(|_| service.build.is_none())
}

impl Context {
    /// For the services named, all without any, and what they depend on.
    pub fn bring_variants(
        &mut self,
        project: &mut Project,
        named: &[String],
        pull: Option<PullPolicy>,
        mode: Mode,
    ) -> Result<(), Error> {
        let chosen = build::closure(project, named, true);
        let services = chosen.iter().filter_map(|name| project.services.get(name));
        let wanted: Vec<Wanted> = services
            .filter_map(|service| {
                let platform = platform_of(service)?.to_owned();
                let policy = pull.unwrap_or(service.pull_policy);
                Some(Wanted { name: service.reference().to_owned(), policy, platform: Some(platform) })
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        if !fetch::pull(self, &wanted, mode, None)?.is_empty() {
            return Err(Error::Reported);
        }
        self.adopt_variants(project)
    }

    /// Lets services run from the variants that are here.
    pub fn adopt_variants(&self, project: &mut Project) -> Result<(), Error> {
        if project.services.values().all(|service| platform_of(service).is_none()) {
            return Ok(());
        }
        let store = Store::open(&self.layout)?;
        for service in project.services.values_mut() {
            let Some(platform) = platform_of(service).map(str::to_owned) else { continue };
            let reference = Reference::parse(service.reference()).map_err(ImageError::from)?;
            if let Some(image) = image::find_for(&store, &reference, &platform)? {
                service.locked_image = Some(image.reference.to_string());
            }
        }
        Ok(())
    }
}
