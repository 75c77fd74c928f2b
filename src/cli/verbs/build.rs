//! `muster build`: images of services, from their Dockerfiles.

use super::push;
use crate::{
    cli::{
        build::{self, Overrides},
        context::{Context, check_services},
        exit::{Code, Error, Outcome},
        fetch,
        output::progress::Mode,
    },
    compose::{Loaded, Purpose},
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
    /// Push the images of these services when they are built
    #[arg(long)]
    push: bool,
    /// Look through the Dockerfiles, and build nothing; 1 where there is something to tell
    #[arg(long, conflicts_with_all = ["push", "print"])]
    check: bool,
    /// Print the builds as a file for `docker buildx bake`, and build nothing
    #[arg(long)]
    print: bool,
    /// Also build the services that these depend on
    #[arg(long)]
    with_dependencies: bool,
    /// Refuse images that compose.lock does not have, and entries of it that nothing uses
    #[arg(long)]
    locked: bool,
    #[command(flatten)]
    other: Other,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// What docker compose has for other builders than this one, and for its own first version.
#[derive(Clone, Debug, clap::Args)]
struct Other {
    /// How progress is shown; the same in front of the verb
    #[arg(long, value_enum, value_name = "KIND", hide = true)]
    progress: Option<Mode>,
    /// There is one builder, and this has no effect
    #[arg(long, value_name = "NAME", hide = true)]
    builder: Option<String>,
    /// Has no effect, as with BuildKit
    #[arg(short, long, value_name = "BYTES", hide = true)]
    memory: Option<String>,
    /// Images have no attestations
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide = true)]
    provenance: Option<String>,
    /// Images have no attestations
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "true", require_equals = true, hide = true)]
    sbom: Option<String>,
    #[arg(long, hide = true)]
    parallel: bool,
    #[arg(long, hide = true)]
    compress: bool,
    #[arg(long, hide = true)]
    force_rm: bool,
    #[arg(long, hide = true)]
    no_rm: bool,
}

impl Other {
    /// Those that a person could count on, by name.
    fn tell(&self, cx: &mut Context) -> Result<(), Error> {
        let attests = |kind: &Option<String>| kind.as_deref().is_some_and(|kind| !matches!(kind, "false" | "0"));
        let told = [
            (self.builder.as_deref().is_some_and(|name| name != "default"), "--builder", "there is one builder"),
            (self.memory.is_some(), "--memory", "steps of a build are not limited, as with BuildKit"),
            (attests(&self.provenance), "--provenance", "muster does not attest how an image was built"),
            (attests(&self.sbom), "--sbom", "muster does not attest how an image was built"),
        ];
        for (_, flag, why) in told.into_iter().filter(|(given, ..)| *given) {
            cx.warn(&format!("{flag} has no effect: {why}"))?;
        }
        Ok(())
    }
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let overrides = Overrides {
        to_run: false,
        no_cache: args.no_cache,
        pull: args.pull,
        args: pairs(&args.build_arg, |name| cx.env.variables.get(name).cloned()),
        ssh: args.ssh.iter().map(|text| agent(text)).collect(),
    };
    cx.global.progress = args.other.progress.or(cx.global.progress);
    args.other.tell(cx)?;
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
    if args.print {
        let file = build::bake_file(&loaded.project, &names, &overrides, args.push);
        serde_json::to_writer_pretty(&mut cx.out, &file).map_err(std::io::Error::from)?;
        writeln!(cx.out)?;
        return Ok(Code::SUCCESS);
    }
    if args.check {
        return check(cx, &loaded, &names, &overrides);
    }
    let mode = if args.quiet { Mode::Quiet } else { cx.progress_mode(&loaded.environment) };
    let built = build::services(cx, &loaded.project, &loaded.environment, &names, &overrides, mode)?;
    for (_, image) in &built {
        if args.quiet {
            writeln!(cx.out, "{}", image.id).map_err(Error::from)?;
        } else if !matches!(mode, Mode::Json | Mode::Quiet) {
            writeln!(cx.err, " {}  Built", image.reference.familiar()).map_err(Error::from)?;
        }
    }
    if !args.push {
        return Ok(Code::SUCCESS);
    }
    let images = push::images(&loaded.project, &names, false);
    let parallel = cx.parallel(&loaded.environment)?;
    match fetch::push(cx, &images, mode, parallel)?.is_empty() {
        true => Ok(Code::SUCCESS),
        false => Err(Error::Reported),
    }
}

/// Each warning with its line; 1 where there is any, as `docker build --check` has it.
fn check(cx: &mut Context, loaded: &Loaded, names: &[String], overrides: &Overrides) -> Outcome {
    let remotes = build::fetch_quietly(&cx.layout, &loaded.project, &loaded.environment)?;
    let mut count = 0;
    for name in names {
        for warning in build::check(&loaded.project, name, overrides, &loaded.environment, &remotes)? {
            writeln!(cx.out, "{name}: {warning}")?;
            count += 1;
        }
    }
    match count {
        0 => writeln!(cx.out, "Check complete, no warnings found.")?,
        1 => writeln!(cx.out, "Check complete, 1 warning has been found!")?,
        count => writeln!(cx.out, "Check complete, {count} warnings have been found!")?,
    }
    Ok(if count == 0 { Code::SUCCESS } else { Code::FAILURE })
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
