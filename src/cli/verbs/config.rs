//! `muster config`: the files as one, with nothing left to resolve.

use crate::{
    cli::{
        context::{Context, check_services},
        exit::{Code, Error, Outcome},
    },
    compose::{Loaded, MissingFiles, canonical},
    plan,
};
use std::{collections::BTreeSet, io::Write, path::PathBuf};

/// Parse, resolve and render the Compose files in canonical form
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Format of the output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Form,
    /// Only validate the configuration, print nothing
    #[arg(short, long)]
    quiet: bool,
    /// Save to a file instead of printing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the service names, one per line
    #[arg(long, group = "part")]
    services: bool,
    /// Print the image names, one per line
    #[arg(long, group = "part")]
    images: bool,
    /// Print the volume names, one per line
    #[arg(long, group = "part")]
    volumes: bool,
    /// Print the network names, one per line
    #[arg(long, group = "part")]
    networks: bool,
    /// Print the profile names, one per line
    #[arg(long, group = "part")]
    profiles: bool,
    /// Print the configuration hash of a service, or of all with `*`
    #[arg(long, group = "part", value_name = "SERVICE")]
    hash: Option<String>,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    named: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    #[default]
    Yaml,
    Json,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let missing = if args.quiet || args.hash.is_some() { MissingFiles::Refuse } else { MissingFiles::Tolerate };
    let loaded = cx.load(&args.named, missing)?;
    if args.quiet {
        return Ok(Code::SUCCESS);
    }
    let text = text(&args, loaded)?;
    match &args.output {
        Some(path) => std::fs::write(cx.env.cwd.join(path), text).map_err(Error::file("write", path))?,
        None => cx.out.write_all(text.as_bytes())?,
    }
    Ok(Code::SUCCESS)
}

fn text(args: &Args, loaded: Loaded) -> Result<String, Error> {
    let mut project = loaded.project;
    if args.profiles {
        let all = project.services.values().chain(project.disabled_services.values());
        return Ok(lines(all.flat_map(|service| service.profiles.clone()).collect::<BTreeSet<_>>()));
    }
    if !args.named.is_empty() {
        keep_only(&mut project, &args.named);
    }
    if let Some(wanted) = &args.hash {
        if wanted != "*" {
            check_services(&project, std::slice::from_ref(wanted))?;
        }
        let chosen = project.services.iter().filter(|(name, _)| wanted == "*" || wanted == *name);
        return Ok(lines(chosen.map(|(name, service)| format!("{name} {}", plan::config_hash(service)))));
    }
    if args.services {
        return Ok(lines(project.services.keys().cloned()));
    }
    if args.images {
        return Ok(lines(project.services.values().map(|service| service.image.clone())));
    }
    if args.volumes {
        return Ok(lines(project.volumes.keys().cloned()));
    }
    if args.networks {
        return Ok(lines(project.networks.keys().cloned()));
    }
    Ok(match args.format {
        Form::Yaml => canonical::to_yaml(&project),
        Form::Json => serde_json::to_string_pretty(&canonical::project(&project)).map_err(std::io::Error::from)? + "\n",
    })
}

/// The named services and what they depend on.
fn keep_only(project: &mut crate::model::Project, named: &[String]) {
    let mut kept = BTreeSet::new();
    let mut open: Vec<String> = named.to_vec();
    while let Some(name) = open.pop() {
        if kept.insert(name.clone())
            && let Some(service) = project.services.get(&name)
        {
            open.extend(service.depends_on.keys().cloned());
        }
    }
    project.services.retain(|name, _| kept.contains(name));
}

fn lines(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().map(|text| text + "\n").collect()
}
