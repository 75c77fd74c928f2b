//! What `build:` of a service says, made into what the builder takes: files are read, names become images.

use super::{
    foreign,
    remote::{self, Remotes},
};
use crate::{
    build::{
        Context, Inputs, Secret,
        dockerfile::{self, Dockerfile, Patterns, ignore_file_names},
        engine,
        frontend::{self, NamedContext, Platform},
        op::Network,
    },
    cli::exit::Error,
    image::{Reference, platform},
    model::{self, FileSource, Project, Service},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// One image to build.
pub struct Request {
    pub service: String,
    /// For messages: the Dockerfile as it was named.
    pub file: String,
    pub text: String,
    pub dockerfile: Dockerfile,
    pub frontend: frontend::Options,
    pub inputs: Inputs,
    pub engine: engine::Options,
    /// Ask registries for the bases, even where they are here.
    pub pull: bool,
    /// Services whose images it is built from: those come first.
    pub needs: Vec<String>,
    /// The images of those: no registry has a newer one.
    pub built: BTreeSet<String>,
    /// Names of images with the same behind a digest, as the lock has them.
    pub locked: BTreeMap<String, String>,
}

/// What the command line says over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The image is to run here, of several platforms one.
    pub to_run: bool,
    pub no_cache: bool,
    pub pull: bool,
    /// `--build-arg`
    pub args: BTreeMap<String, String>,
    /// `--ssh`: id -> socket or keys; `None` is the agent of the environment.
    pub ssh: BTreeMap<String, Option<PathBuf>>,
}

/// # Errors
/// What is asked for and cannot be, and files that are wrong or not there, with all that is wrong in the Dockerfile.
pub fn request(
    project: &Project,
    service: &Service,
    build: &model::Build,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    remotes: &Remotes,
) -> Result<Request, Error> {
    let refused = |what: String| Error::refused(format!("service {:?}: {what}", service.name));
    let tree = remotes.context(build, overrides);
    let (context, (file, text, ignore)) = match tree {
        Some(tree) => (tree.dir.clone(), foreign::files(build, tree).map_err(refused)?),
        None => {
            let context = context(build).map_err(refused)?;
            let files = files(build, &context).map_err(refused)?;
            (context, files)
        }
    };
    let dockerfile = dockerfile::parse(&text).map_err(|errors| wrong(&service.name, &file, &text, &errors))?;
    let (contexts, named, needs) = contexts(project, build, remotes).map_err(refused)?;
    let agents = remotes.agents(&service.name);
    let arg = |name: &str| overrides.args.get(name).or_else(|| build.args.get(name)).cloned();
    Ok(Request {
        frontend: options(project, service, build, overrides, environment, contexts).map_err(refused)?,
        inputs: Inputs {
            context: Some(Context { dir: context, ignore }),
            named,
            images: BTreeMap::new(),
            secrets: secrets(project, build, environment),
            access: remote::access(project, build, environment, agents.get("default").cloned()),
            ssh: agents,
        },
        engine: engine::Options {
            names: names(service, build).map_err(refused)?,
            allow_host_network: build.network.as_deref() == Some("host") || is_entitled(build, "network.host"),
            allow_insecure: build.privileged || is_entitled(build, "security.insecure"),
            share: super::caches::share(build, arg, &project.working_dir).map_err(refused)?,
            ..engine::Options::default()
        },
        service: service.name.clone(),
        file,
        text,
        dockerfile,
        pull: build.pull || overrides.pull,
        built: needs.iter().filter_map(|need| Some(project.service(need)?.image.clone())).collect(),
        needs,
        locked: project.locked_images.clone(),
    })
}

/// Everything that is wrong in a Dockerfile, each with its line.
pub fn wrong<K: std::fmt::Display>(service: &str, file: &str, text: &str, errors: &[dockerfile::Located<K>]) -> Error {
    let told: Vec<String> = errors.iter().map(|error| error.render(file, text)).collect();
    Error::refused(format!("service {service:?}: the Dockerfile cannot be built\n{}", told.join("\n")))
}

fn context(build: &model::Build) -> Result<PathBuf, String> {
    let path = Path::new(&build.context);
    if !path.is_absolute() {
        return Err(format!(
            "the build context {} is neither a directory of this host nor a git repository or a URL that is fetched",
            build.context
        ));
    }
    match fs::metadata(path) {
        Ok(data) if data.is_dir() => Ok(path.to_owned()),
        Ok(_) => Err(format!("the build context {} is no directory", path.display())),
        Err(error) => Err(format!("the build context {}: {error}", path.display())),
    }
}

/// The Dockerfile's name and text, and what is left out of the context.
fn files(build: &model::Build, context: &Path) -> Result<(String, String, Patterns), String> {
    let (name, text) = match &build.dockerfile {
        model::Dockerfile::Inline(text) => ("dockerfile_inline".to_owned(), text.clone()),
        model::Dockerfile::File(name) => dockerfile(context, name)?,
    };
    let beside = context.join(&name);
    let mut ignore = Patterns::default();
    for candidate in ignore_file_names(&beside.display().to_string()).map(|name| context.join(name)) {
        match fs::read_to_string(&candidate) {
            Ok(text) => {
                ignore = Patterns::read(&text).map_err(|error| format!("{}: {error}", candidate.display()))?;
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot read {}: {error}", candidate.display())),
        }
    }
    Ok((name, text, ignore))
}

fn dockerfile(context: &Path, name: &str) -> Result<(String, String), String> {
    // As BuildKit has it: one in lower case is found as well.
    let names = if name == "Dockerfile" { vec![name, "dockerfile"] } else { vec![name] };
    let mut error = None;
    for name in names {
        match fs::read(context.join(name)) {
            // Docker takes any bytes; most often it is a name in a comment.
            Ok(bytes) => return Ok((name.to_owned(), String::from_utf8_lossy(&bytes).into_owned())),
            Err(found) => error = error.or(Some(found)),
        }
    }
    let why = error.map(|error| error.to_string()).unwrap_or_default();
    Err(format!("cannot read the Dockerfile {}: {why}", context.join(name).display()))
}

type Contexts = (BTreeMap<String, NamedContext>, BTreeMap<String, Context>, Vec<String>);

fn contexts(project: &Project, build: &model::Build, remotes: &Remotes) -> Result<Contexts, String> {
    let (mut contexts, mut directories, mut needs) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (name, value) in &build.additional_contexts {
        let stands_for = if let Some(image) = value.strip_prefix("docker-image://") {
            NamedContext::Image(image.to_owned())
        } else if let Some(layout) = value.strip_prefix("oci-layout://") {
            NamedContext::Image(format!("oci:{layout}"))
        } else if let Some(service) = value.strip_prefix("service:") {
            needs.push(service.to_owned());
            let image = project.service(service).map(|service| service.image.clone());
            NamedContext::Image(image.ok_or_else(|| format!("additional context {name}: no service {service:?}"))?)
        } else if let Some(tree) = remotes.additional(value) {
            // As BuildKit: what is ignored is said for directories of this host alone.
            directories.insert(name.clone(), Context { dir: tree.dir.clone(), ignore: Patterns::default() });
            NamedContext::Directory
        } else if Path::new(value).is_dir() {
            let text = fs::read_to_string(Path::new(value).join(".dockerignore")).unwrap_or_default();
            let ignore = Patterns::read(&text).map_err(|error| format!("additional context {name}: {error}"))?;
            directories.insert(name.clone(), Context { dir: PathBuf::from(value), ignore });
            NamedContext::Directory
        } else if Path::new(value).is_absolute() {
            return Err(format!("the additional context {name}={value} is no directory"));
        } else {
            return Err(format!(
                "the additional context {name}={value} is neither a directory, an image or a service, nor a git \
                 repository or a URL that is fetched"
            ));
        };
        contexts.insert(name.clone(), stands_for);
    }
    Ok((contexts, directories, needs))
}

fn options(
    project: &Project,
    service: &Service,
    build: &model::Build,
    overrides: &Overrides,
    environment: &BTreeMap<String, String>,
    contexts: BTreeMap<String, NamedContext>,
) -> Result<frontend::Options, String> {
    let here = platform::host_name();
    let linux = Platform { os: "linux".into(), architecture: String::new(), variant: String::new() };
    let host = Platform::parse(&here, &linux).ok_or_else(|| format!("this host's platform {here} has no name"))?;
    let mut args: BTreeMap<String, String> = build.args.clone().into_iter().collect();
    if let Some(epoch) = environment.get("SOURCE_DATE_EPOCH") {
        args.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert_with(|| epoch.clone());
    }
    args.extend(overrides.args.clone());
    let mut labels: BTreeMap<String, String> = build.labels.clone().into_iter().collect();
    labels.insert("com.docker.compose.project".to_owned(), project.name.clone());
    labels.insert("com.docker.compose.service".to_owned(), service.name.clone());
    let hosts = build.extra_hosts.iter();
    let platform = match wanted_platform(service, build, overrides)? {
        Some(text) => {
            Some(Platform::whole(text).ok_or_else(|| format!("{text:?} is no platform such as linux/arm64"))?)
        }
        None => None,
    };
    Ok(frontend::Options {
        target: build.target.clone(),
        args,
        labels,
        contexts,
        no_cache: build.no_cache || overrides.no_cache,
        no_cache_filter: build.no_cache_filter.clone(),
        network: match build.network.as_deref() {
            None | Some("default" | "bridge") => Network::Default,
            Some("none") => Network::None,
            Some("host") => Network::Host,
            Some(other) => {
                return Err(format!("build.network: {other} is not supported yet; default, none and host are"));
            }
        },
        extra_hosts: hosts.flat_map(|(name, to)| to.iter().map(move |to| (name.clone(), to.clone()))).collect(),
        shm_size: build.shm_size,
        ulimits: build.ulimits.iter().map(|(name, limit)| (name.clone(), (limit.soft, limit.hard))).collect(),
        platform,
        ..frontend::Options::new(host)
    })
}

/// What an image that is to run here is built for. `None` where that is not said: of several, none is this host's.
pub fn platform_to_run(service: &Service, build: &model::Build) -> Option<String> {
    let overrides = Overrides { to_run: true, ..Overrides::default() };
    let wanted = wanted_platform(service, build, &overrides).ok()?;
    Some(wanted.map_or_else(platform::host_name, str::to_owned))
}

/// The one platform that an image is built for: the service's, or the only one that the build has. Where it has several
/// and one is to run, this host's.
fn wanted_platform<'a>(
    service: &'a Service,
    build: &'a model::Build,
    overrides: &Overrides,
) -> Result<Option<&'a str>, String> {
    match (&service.platform, build.platforms.as_slice()) {
        (Some(platform), _) => Ok(Some(platform)),
        (None, []) => Ok(None),
        (None, [platform]) => Ok(Some(platform)),
        (None, several) if overrides.to_run && several.iter().any(|text| platform::is_host(text)) => Ok(None),
        (None, several) => Err(format!(
            "build.platforms: {} at once are not supported; an image here is for one platform. `platform:` of the service \
             says which",
            several.join(", ")
        )),
    }
}

fn names(service: &Service, build: &model::Build) -> Result<Vec<Reference>, String> {
    let mut names = Vec::new();
    for text in std::iter::once(&service.image).chain(&build.tags) {
        match Reference::parse(text).map_err(|error| error.to_string())? {
            Reference::Registry(name) if name.digest().is_none() => names.push(Reference::Registry(name)),
            _ => return Err(format!("{text} cannot be the name of an image that is built")),
        }
    }
    names.dedup();
    Ok(names)
}

/// Those that are here.
pub fn secrets(
    project: &Project,
    build: &model::Build,
    environment: &BTreeMap<String, String>,
) -> BTreeMap<String, Secret> {
    let secret = |(id, key): (&String, &String)| Some((id.clone(), secret(project, key, environment).ok()?));
    build.secrets.iter().filter_map(secret).collect()
}

/// Before anything is built for nothing.
///
/// # Errors
/// A secret of the build that nobody has.
pub fn check_secrets(
    project: &Project,
    service: &Service,
    build: &model::Build,
    environment: &BTreeMap<String, String>,
) -> Result<(), Error> {
    for key in build.secrets.values() {
        let found = secret(project, key, environment);
        found.map_err(|why| Error::refused(format!("service {:?}: {why}", service.name)))?;
    }
    Ok(())
}

fn secret(project: &Project, key: &str, environment: &BTreeMap<String, String>) -> Result<Secret, String> {
    match project.secrets.get(key).map(|secret| &secret.source) {
        Some(FileSource::File(path)) if path.exists() => Ok(Secret::File(path.clone())),
        Some(FileSource::File(path)) => {
            Err(format!("the file of the build secret {key:?} is not there: {}", path.display()))
        }
        Some(FileSource::Environment(name)) => match environment.get(name) {
            Some(value) => Ok(Secret::Bytes(value.clone().into_bytes())),
            None => Err(format!("environment variable {name:?} required by the build secret {key:?} is not set")),
        },
        None => {
            Err(format!("the build secret {key:?} has a source that is not supported yet: a file or a variable is"))
        }
    }
}

fn is_entitled(build: &model::Build, what: &str) -> bool {
    build.entitlements.iter().any(|entitlement| entitlement == what)
}
