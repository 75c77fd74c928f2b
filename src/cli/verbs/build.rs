//! `muster build`: images of services, from their Dockerfiles.

use crate::{
    cli::{
        build::{self, Overrides},
        context::{Context, check_services},
        exit::{Code, Error, Outcome},
        output::progress::Mode,
    },
    compose::Purpose,
};
use std::{collections::BTreeMap, io::Write, path::PathBuf};

/// Build or rebuild services
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Set build-time variables; without a value, from the environment
    #[arg(long, value_name = "KEY=VALUE")]
    build_arg: Vec<String>,
    /// Do not use the cache when building the image
    #[arg(long)]
    no_cache: bool,
    /// Always attempt to pull a newer version of the images that the build starts from
    #[arg(long)]
    pull: bool,
    /// Do not print the progress; print the ids of the images
    #[arg(short, long)]
    quiet: bool,
    /// Agents and keys for `RUN --mount=type=ssh`: `default`, ID=SOCKET or ID=KEY[,KEY]
    #[arg(long, value_name = "ID[=PATH]")]
    ssh: Vec<String>,
    /// Also build the services that these depend on
    #[arg(long)]
    with_dependencies: bool,
    /// Refuse images that compose.lock does not have, and entries of it that nothing uses
    #[arg(long)]
    locked: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let overrides = Overrides {
        to_run: false,
        no_cache: args.no_cache,
        pull: args.pull,
        args: pairs(&args.build_arg, |name| cx.env.variables.get(name).cloned()),
        ssh: args.ssh.iter().map(|text| agent(text)).collect(),
    };
    let mut loaded = cx.load(&args.services, Purpose::Build)?;
    cx.follow_lock(&mut loaded, args.locked)?;
    check_services(&loaded.project, &args.services)?;
    let chosen = build::closure(&loaded.project, &args.services, args.with_dependencies);
    let has_build = |name: &String| loaded.project.services.get(name).is_some_and(|service| service.build.is_some());
    let names: Vec<String> = chosen.into_iter().filter(has_build).collect();
    if names.is_empty() {
        cx.note("No services to build")?;
        return Ok(Code::SUCCESS);
    }
    let mode = if args.quiet { Mode::Quiet } else { cx.progress_mode(&loaded.environment) };
    let built = build::services(cx, &loaded.project, &loaded.environment, &names, &overrides, mode)?;
    for (_, image) in &built {
        if args.quiet {
            writeln!(cx.out, "{}", image.id).map_err(Error::from)?;
        } else {
            writeln!(cx.err, " {}  Built", image.reference.familiar()).map_err(Error::from)?;
        }
    }
    Ok(Code::SUCCESS)
}

/// `K=V`; a name alone has the value that `environment` knows, or is left out.
fn pairs(texts: &[String], environment: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => environment(text).map(|value| (text.clone(), value)),
    };
    texts.iter().filter_map(pair).collect()
}

fn agent(text: &str) -> (String, Option<PathBuf>) {
    match text.split_once('=') {
        Some((id, path)) => (id.to_owned(), Some(PathBuf::from(path))),
        None => (text.to_owned(), None),
    }
}
