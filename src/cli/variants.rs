//! Services whose `platform` is another than this host's: where their image is pulled, the variant is fetched under its own
//! digest, and the service runs from that. The name goes on standing for what fits this host.

use super::{
    build::{self, Selection},
    context::Context,
    exit::Error,
    fetch::{self, Wanted},
    output::progress::Mode,
};
use crate::{
    image::{self, ImageError, Reference, Store, platform},
    model::{Project, Service},
};

/// What the image of a service is to be for, where that is not this host's platform.
pub fn foreign(service: &Service) -> Option<String> {
    let wanted = match &service.build {
        Some(build) => build::platform_to_run(service, build),
        None => service.platform.clone(),
    };
    wanted.filter(|platform| !platform::is_host(platform))
}

impl Context {
    /// For the services selected; then all run from what is here. Before that their names have to be those of the files:
    /// a registry that is asked for a digest has nothing newer.
    pub fn bring_variants(
        &mut self,
        project: &mut Project,
        selection: &Selection<'_>,
        mode: Mode,
    ) -> Result<(), Error> {
        let chosen = build::closure(project, selection.named, selection.with_dependencies);
        let services = chosen.iter().filter_map(|name| project.services.get(name));
        let wanted: Vec<Wanted> = services
            .filter(|service| service.build.is_none())
            .filter_map(|service| {
                let platform = foreign(service)?;
                let policy = selection.pull.unwrap_or(service.pull_policy);
                Some(Wanted { name: service.reference().to_owned(), policy, platform: Some(platform) })
            })
            .collect();
        if !wanted.is_empty() && !fetch::pull(self, &wanted, mode, None)?.is_empty() {
            return Err(Error::Reported);
        }
        self.adopt_variants(project)
    }

    /// Lets services run from the variants that are here.
    pub fn adopt_variants(&self, project: &mut Project) -> Result<(), Error> {
        if project.services.values().all(|service| foreign(service).is_none()) {
            return Ok(());
        }
        let store = Store::open(&self.layout)?;
        for service in project.services.values_mut() {
            let Some(platform) = foreign(service) else { continue };
            let reference = Reference::parse(service.reference()).map_err(ImageError::from)?;
            let variant = image::find_for(&store, &reference, &platform)?;
            // What is built has its own name, unless a registry gave the variant.
            if let Some(image) = variant.filter(|image| service.build.is_none() || image.reference != reference) {
                service.locked_image = Some(image.reference.to_string());
            }
        }
        Ok(())
    }
}
