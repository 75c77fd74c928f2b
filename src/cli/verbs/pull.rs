//! `muster pull`: images of services, from where their names say.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
        fetch::{self, Wanted},
        output::progress::Mode,
    },
    compose::{self, Purpose},
    image::platform,
    model::{Project, PullPolicy, Service},
};
use indexmap::IndexMap;

/// Pull service images
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Pull without printing progress information
    #[arg(short, long)]
    quiet: bool,
    /// Also pull services declared as dependencies
    #[arg(long)]
    include_deps: bool,
    /// Ignore images that can be built
    #[arg(long)]
    ignore_buildable: bool,
    /// Pull what it can and ignores images with pull failures
    #[arg(long)]
    ignore_pull_failures: bool,
    /// When to pull
    #[arg(long, value_enum, value_name = "WHEN")]
    policy: Option<Policy>,
    /// Refuse images that compose.lock does not have, and entries of it that nothing uses
    #[arg(long)]
    locked: bool,
    #[arg(long, hide = true)]
    parallel: bool,
    #[arg(long, hide = true)]
    no_parallel: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Policy {
    Missing,
    Always,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let mut loaded = cx.load(&args.services, Purpose::Look)?;
    cx.follow_lock(&mut loaded, args.locked)?;
    let wanted = wanted(&args, &loaded.project);
    let mode = if args.quiet { Mode::Quiet } else { cx.progress_mode(&loaded.environment) };
    let parallel = cx.parallel(&loaded.environment)?;
    let failed = fetch::pull(cx, &wanted, mode, parallel)?;
    match failed.is_empty() || args.ignore_pull_failures {
        true => Ok(Code::SUCCESS),
        false => Err(Error::Reported),
    }
}

/// The name of its image is made up: no registry has it.
fn is_only_built(service: &Service, project: &str) -> bool {
    service.image == compose::built_image(project, &service.name)
}

/// Each image once; a service that never pulls has none.
fn wanted(args: &Args, project: &Project) -> Vec<Wanted> {
    let mut open: Vec<&str> = match args.services.is_empty() {
        true => project.services.keys().map(String::as_str).collect(),
        false => args.services.iter().map(String::as_str).collect(),
    };
    open.reverse();
    let mut seen = Vec::new();
    let mut images: IndexMap<(String, Option<String>), PullPolicy> = IndexMap::new();
    while let Some(name) = open.pop() {
        let Some(service) = project.services.get(name).filter(|_| !seen.contains(&name)) else { continue };
        seen.push(name);
        if args.include_deps {
            open.extend(service.depends_on.keys().map(String::as_str));
        }
        if service.pull_policy == PullPolicy::Never
            || service.build.is_some() && (args.ignore_buildable || is_only_built(service, &project.name))
        {
            continue;
        }
        let policy = if args.policy == Some(Policy::Missing) { PullPolicy::Missing } else { PullPolicy::Always };
        let platform = platform::foreign(service.platform.as_deref()).map(str::to_owned);
        images.insert((service.reference().to_owned(), platform), policy);
    }
    images.into_iter().map(|((name, platform), policy)| Wanted { name, policy, platform }).collect()
}
