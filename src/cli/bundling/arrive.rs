//! `up FILE`: a bundle is taken in, and its Compose file becomes the project's.

use crate::{
    bundle::{Bundle, Staged},
    cli::{context::Context, exit::Error, fetch},
    compose::{self, LoadOptions, Purpose},
};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// The bundle that the first word of a command line names, if it does. A word that is a service as well is refused: it
/// could mean either.
pub fn word(cx: &Context, words: &[String]) -> Result<Option<PathBuf>, Error> {
    let Some(word) = words.first() else { return Ok(None) };
    let path = cx.env.cwd.join(word);
    if !Bundle::is_one(&path) {
        // No service has a slash in its name.
        return match (word.contains('/') || word.ends_with(".bundle"), path.exists()) {
            (true, true) if word.contains('/') => Err(Error::Usage(format!("{word} is not a bundle"))),
            (true, false) if !is_service(cx, word) => Err(Error::Usage(format!("there is no bundle {word}"))),
            _ => Ok(None),
        };
    }
    let is_path = word.contains('/');
    if !is_path && is_service(cx, word) {
        return Err(Error::Usage(format!("{word} is a service and a bundle: write ./{word} for the bundle")));
    }
    Ok(Some(path))
}

/// Of the project of this directory. Standard input can be read only once, and says nothing here.
fn is_service(cx: &Context, word: &str) -> bool {
    !cx.global.files.iter().any(|file| file.as_os_str() == "-")
        && compose::load(&cx.load_options(&[], Purpose::Look)).is_ok_and(|loaded| {
            loaded.project.services.contains_key(word) || loaded.project.disabled_services.contains_key(word)
        })
}

/// Images into the store, volumes where there are none, files below the state directory; from then on the global flags
/// name the bundle's Compose file.
pub fn arrive(cx: &mut Context, path: &Path) -> Result<(), Error> {
    let bundle = Bundle::open(path)?;
    let project = bundle.index().project.clone();
    if let Some(given) = cx.global.project_name.as_ref().filter(|given| **given != project) {
        return Err(Error::Refused {
            message: format!("{} is of project {project}, and cannot be {given}", path.display()),
            hint: Some("its volumes and networks are named after it; leave `-p` away".into()),
        });
    }
    if !cx.global.files.is_empty() {
        return Err(Error::Usage("a bundle has its own Compose file: leave `-f` away".into()));
    }
    let staged = bundle.stage(&cx.layout)?;
    check(cx, &staged)?;
    let now = Timestamp::now().to_string();
    let mode = cx.progress_mode(&cx.env.variables.clone());
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let installed = fetch::load(cx, &name, mode, async |report| staged.install(&now, &report).await)?;
    for volume in &installed.kept {
        cx.note(&format!("volume {volume} is here already and stays as it is; what the bundle has of it is not used"))?;
    }
    cx.global.project_directory = installed.model.parent().map(Path::to_owned);
    cx.global.files = vec![installed.model];
    cx.global.project_name = Some(project);
    cx.global.env_files = Vec::new();
    Ok(())
}

/// Before anything of it is used: its model is one, of the project that it says, with the volumes that it brings.
fn check(cx: &Context, staged: &Staged) -> Result<(), Error> {
    let (index, model) = (staged.bundle().index(), staged.model());
    let options = LoadOptions {
        files: vec![model.clone()],
        project_directory: model.parent().map(Path::to_owned),
        project_name: None,
        env_files: Vec::new(),
        ..cx.load_options(&[], Purpose::Run)
    };
    let mut options = options;
    options.environment.retain(|name, _| !name.starts_with("COMPOSE_"));
    let loaded = compose::load(&options).map_err(Error::Compose)?;
    let wrong = |what: String| Err(Error::refused(format!("the bundle is not one of {}: {what}", index.project)));
    if loaded.project.name != index.project {
        return wrong(format!("its model is of project {}", loaded.project.name));
    }
    if let Some(service) = loaded.project.services.values().find(|service| service.build.is_some()) {
        return wrong(format!("service {} is to be built", service.name));
    }
    let known = |name: &str| loaded.project.volumes.values().any(|volume| volume.name == name);
    if let Some(volume) = index.volumes.iter().find(|volume| !known(&volume.name)) {
        return wrong(format!("it brings volume {}, which no service of it uses", volume.name));
    }
    compose::read_lock(&model.with_file_name(compose::LOCK_FILE), &cx.env.cwd).map_err(Error::Compose)?;
    Ok(())
}
