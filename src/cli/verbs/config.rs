//! `muster config`: the files as one, with nothing left to resolve.

use crate::{
    cli::{
        apply,
        context::Context,
        exit::{Code, Error, Outcome},
        output::{file, table},
    },
    compose::{Document, Phases, Purpose},
    image::{self, Credentials, ImageError, Reference},
    plan,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::PathBuf,
};

/// Registries asked at a time.
const PARALLEL: usize = 8;

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
    /// Print the model names, one per line
    #[arg(long, group = "part")]
    models: bool,
    /// Print the profile names, one per line
    #[arg(long, group = "part")]
    profiles: bool,
    /// Print the variables that the files mention, with their defaults
    #[arg(long, group = "part")]
    variables: bool,
    /// Print the environment that variables are resolved from
    #[arg(long, group = "part")]
    environment: bool,
    /// Print the configuration hash of services, or of all with `*`
    #[arg(long, group = "part", value_name = "SERVICE,...")]
    hash: Option<String>,
    /// Leave variables as they are
    #[arg(long)]
    no_interpolate: bool,
    /// Leave out what the files only imply
    #[arg(long)]
    no_normalize: bool,
    /// Leave paths as they are
    #[arg(long)]
    no_path_resolution: bool,
    /// Do not check what the parts of the files say about each other
    #[arg(long)]
    no_consistency: bool,
    /// Do not read the env files of services
    #[arg(long)]
    no_env_resolution: bool,
    /// Pin image tags to the digests that their registries have now
    #[arg(long)]
    resolve_image_digests: bool,
    /// Print an override file with the image digests, and nothing else
    #[arg(long, conflicts_with = "part")]
    lock_image_digests: bool,
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
    cx.json |= args.format == Form::Json;
    let text = match &args.hash {
        Some(wanted) => hashes(&args, wanted, cx)?,
        None => {
            let mut document = cx.document(&args.named, args.phases())?;
            if args.resolve_image_digests || args.lock_image_digests {
                document.pin(&pinned(&document, cx)?);
            }
            if args.lock_image_digests {
                document.keep_only_images();
            }
            if args.quiet { String::new() } else { args.text(&document)? }
        }
    };
    match &args.output {
        Some(path) if !args.quiet => {
            file::replace(&cx.env.cwd.join(path), text.as_bytes()).map_err(Error::file("write", path))?
        }
        _ => cx.out.write_all(text.as_bytes())?,
    }
    Ok(Code::SUCCESS)
}

impl Args {
    fn phases(&self) -> Phases {
        Phases {
            interpolate: !self.no_interpolate && !self.variables,
            normalise: !self.no_normalize,
            paths: !self.no_path_resolution,
            consistency: !self.no_consistency,
            environment: !self.no_env_resolution,
        }
    }

    fn text(&self, document: &Document) -> Result<String, Error> {
        Ok(match self {
            _ if self.services => lines(document.names("services")),
            _ if self.volumes => lines(document.names("volumes")),
            _ if self.networks => lines(document.names("networks")),
            _ if self.models => lines(document.names("models")),
            _ if self.profiles => lines({
                let mut profiles: Vec<&str> = document.profiles.iter().map(String::as_str).collect();
                profiles.sort_unstable();
                profiles
            }),
            _ if self.images => lines(document.images().iter().map(|(_, image)| image.as_str())),
            _ if self.environment => {
                document.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
            }
            _ if self.variables => variables(document),
            _ => match self.format {
                Form::Yaml => document.to_yaml(),
                Form::Json => serde_json::to_string_pretty(&document.to_json()).map_err(std::io::Error::from)? + "\n",
            },
        })
    }
}

/// Images by service, with their digests. Each name is looked up once.
fn pinned(document: &Document, cx: &mut Context) -> Result<BTreeMap<String, String>, Error> {
    let credentials =
        Credentials::from_docker_config(cx.env.docker_config().map(|dir| dir.join("config.json")).as_deref());
    let images: Vec<(&str, &str)> =
        document.names("services").filter_map(|name| Some((name, document.image(name)?))).collect();
    let names: BTreeSet<&str> = images.iter().map(|(_, image)| *image).collect();
    let lookups = stream::iter(names).map(async |image| {
        let reference = Reference::parse(image).map_err(ImageError::from)?;
        Ok::<_, ImageError>((image, image::pin(&reference, &credentials).await?))
    });
    let lookups = lookups.buffer_unordered(PARALLEL).try_collect::<BTreeMap<&str, String>>();
    let digests = apply::runtime()?.block_on(async {
        tokio::select! {
            digests = lookups => Ok(digests?),
            interrupted = apply::interrupted() => interrupted.and(Err(Error::Interrupted)),
        }
    })?;
    Ok(images.iter().filter_map(|(name, image)| Some(((*name).to_owned(), digests.get(image)?.clone()))).collect())
}

/// The hash is of what containers are made of, so the project has to be one that can run.
fn hashes(args: &Args, wanted: &str, cx: &mut Context) -> Result<String, Error> {
    let mut named = args.named.clone();
    if wanted != "*" {
        named.extend(wanted.split(',').map(str::to_owned));
    }
    let project = cx.load(&named, Purpose::Run)?.project;
    let chosen = project.services.iter().filter(|(name, _)| named.is_empty() || named.contains(name));
    Ok(chosen.map(|(name, service)| format!("{name} {}\n", plan::config_hash(service))).collect())
}

fn variables(document: &Document) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let rows = document.variables.iter().map(|variable| {
        [variable.name.clone(), variable.required.to_string(), text(&variable.default), text(&variable.alternate)]
    });
    table::render(["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"], rows)
}

fn lines<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    texts.into_iter().map(|text| format!("{text}\n")).collect()
}
