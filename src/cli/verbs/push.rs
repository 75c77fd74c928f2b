//! `muster push`: images of services, to the registries in their names.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
        fetch,
        output::progress::Mode,
    },
    compose::{Purpose, built_image},
    model::Project,
};
use indexmap::IndexSet;

/// Push service images
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Push what it can and ignores images with push failures
    #[arg(long)]
    ignore_push_failures: bool,
    /// Also push images of services declared as dependencies
    #[arg(long)]
    include_deps: bool,
    /// Push without printing progress information
    #[arg(short, long)]
    quiet: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let loaded = cx.load(&args.services, Purpose::Look)?;
    let images = images(&loaded.project, &args.services, args.include_deps);
    let mode = if args.quiet { Mode::Quiet } else { cx.progress_mode(&loaded.environment) };
    let parallel = cx.parallel(&loaded.environment)?;
    let failed = fetch::push(cx, &images, mode, parallel)?;
    match failed.is_empty() || args.ignore_push_failures {
        true => Ok(Code::SUCCESS),
        false => Err(Error::Reported),
    }
}

/// Each name of each image that is built here, once, as docker compose has it: what is only pulled is somebody else's,
/// and a name that was made up belongs to no registry.
pub fn images(project: &Project, services: &[String], include_deps: bool) -> Vec<String> {
    let mut open: Vec<&str> = match services.is_empty() {
        true => project.services.keys().map(String::as_str).collect(),
        false => services.iter().map(String::as_str).collect(),
    };
    open.reverse();
    let (mut seen, mut images) = (Vec::new(), IndexSet::new());
    while let Some(name) = open.pop() {
        let Some(service) = project.services.get(name).filter(|_| !seen.contains(&name)) else { continue };
        seen.push(name);
        if include_deps {
            open.extend(service.depends_on.keys().map(String::as_str));
        }
        if let Some(build) = service.build.as_ref().filter(|_| service.image != built_image(&project.name, name)) {
            images.insert(service.image.clone());
            images.extend(build.tags.iter().cloned());
        }
    }
    images.into_iter().collect()
}
