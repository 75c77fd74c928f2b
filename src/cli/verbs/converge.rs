//! Flags of the verbs that bring services to what the files say: `up`, `create` and `plan`.

use crate::{
    api::{Apply, WaitFor},
    cli::{
        build::{self, When},
        context::Context,
        exit::Error,
        output::progress::Mode,
    },
    compose::{Loaded, Purpose},
    model::{
        Project, PullPolicy,
        intent::{Intent, Recreate, Up},
    },
};
use std::time::Duration;

/// `--pull`
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Pull {
    /// Each service's own policy
    Policy,
    Always,
    Missing,
    Never,
}

impl Pull {
    pub fn policy(self) -> Option<PullPolicy> {
        match self {
            Self::Policy => None,
            Self::Always => Some(PullPolicy::Always),
            Self::Missing => Some(PullPolicy::Missing),
            Self::Never => Some(PullPolicy::Never),
        }
    }
}

/// What `up` and `plan` have in common.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    #[command(flatten)]
    pub creation: Creation,
    /// Do not start linked services
    #[arg(long)]
    pub no_deps: bool,
    /// Do not start the services after creating them
    #[arg(long)]
    pub no_start: bool,
    /// Recreate dependent containers
    #[arg(long, conflicts_with = "no_recreate")]
    pub always_recreate_deps: bool,
    /// Recreate anonymous volumes instead of retrieving data from the previous containers
    #[arg(short = 'V', long, conflicts_with = "no_recreate")]
    pub renew_anon_volumes: bool,
    /// Seconds to wait for containers to stop when they have to be replaced
    #[arg(short, long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
}

/// What `create` has as well.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Creation {
    /// Build images before starting containers
    #[arg(long, conflicts_with = "no_build")]
    pub build: bool,
    /// Do not build an image, even if it is missing
    #[arg(long)]
    pub no_build: bool,
    /// Pull images before running
    #[arg(long, value_enum, value_name = "WHEN")]
    pub pull: Option<Pull>,
    /// Pull without printing progress information
    #[arg(long)]
    pub quiet_pull: bool,
    /// Build without printing progress information
    #[arg(long)]
    pub quiet_build: bool,
    /// Refuse images that compose.lock does not have, and entries of it that nothing uses
    #[arg(long)]
    pub locked: bool,
    /// Recreate containers even if their configuration and image have not changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub force_recreate: bool,
    /// If containers already exist, do not recreate them
    #[arg(long)]
    pub no_recreate: bool,
    /// Remove containers for services not defined in the Compose files
    #[arg(long)]
    pub remove_orphans: bool,
    /// Scale SERVICE to NUM instances, over what the files say
    #[arg(long, value_name = "SERVICE=NUM", value_parser = scale)]
    pub scale: Vec<(String, u32)>,
    /// Assume yes to all prompts; nothing is asked anyway
    #[arg(short, long)]
    pub yes: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

fn scale(text: &str) -> Result<(String, u32), String> {
    let (service, number) = text.split_once('=').ok_or("it has to be SERVICE=NUM")?;
    let number = number.parse().map_err(|_| format!("{number:?} is no number of containers"))?;
    Ok((service.to_owned(), number))
}

impl Creation {
    /// Reads the files and makes of them what these flags ask for.
    pub fn load(&self, cx: &mut Context) -> Result<Loaded, Error> {
        let mut loaded = cx.load(&self.services, Purpose::Run)?;
        apply_scale(&mut loaded.project, &self.scale)?;
        cx.follow_lock(&mut loaded, self.locked)?;
        Ok(loaded)
    }

    /// Brings the images here that are built, or for another platform: what the plan would not do.
    pub fn build_images(&self, cx: &mut Context, loaded: &mut Loaded, with_dependencies: bool) -> Result<(), Error> {
        let selection = self.selection(with_dependencies);
        let mode = match self.quiet_build {
            true => Mode::Quiet,
            false => cx.progress_mode(&loaded.environment),
        };
        build::prepare(cx, &loaded.project, &loaded.environment, &selection, mode)?;
        cx.bring_variants(&mut loaded.project, &selection, mode)
    }

    /// Services whose images `build_images` would build.
    pub fn builds(&self, cx: &Context, loaded: &Loaded, with_dependencies: bool) -> Result<Vec<String>, Error> {
        build::due(&cx.layout, &loaded.project, &self.selection(with_dependencies))
    }

    fn selection(&self, with_dependencies: bool) -> build::Selection<'_> {
        build::Selection {
            named: &self.services,
            with_dependencies,
            pull: self.pull.and_then(Pull::policy),
            when: match (self.build, self.no_build) {
                (true, _) => When::Always,
                (_, true) => When::Never,
                _ => When::Missing,
            },
        }
    }

    fn up(&self, cx: &Context, loaded: &Loaded) -> Result<Up, Error> {
        let is_set = |name: &str| {
            let value = loaded.environment.get(name).map(|value| value.to_ascii_lowercase());
            value.is_some_and(|value| matches!(value.as_str(), "1" | "true" | "t" | "y" | "yes"))
                || cx.env.is_true(name)
        };
        let ignore_orphans = is_set("COMPOSE_IGNORE_ORPHANS");
        if ignore_orphans && self.remove_orphans {
            return Err(Error::Usage("cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans".into()));
        }
        Ok(Up {
            services: self.services.clone(),
            recreate: match (self.force_recreate, self.no_recreate) {
                (true, _) => Recreate::Force,
                (_, true) => Recreate::Never,
                _ => Recreate::Diverged,
            },
            remove_orphans: self.remove_orphans || (!ignore_orphans && is_set("COMPOSE_REMOVE_ORPHANS")),
            ignore_orphans,
            pull: self.pull.and_then(Pull::policy),
            build: self.build,
            ..Up::default()
        })
    }

    /// `create`: everything but the start.
    pub fn created(&self, cx: &Context, loaded: &Loaded) -> Result<Up, Error> {
        Ok(Up { no_start: true, ..self.up(cx, loaded)? })
    }
}

impl Flags {
    pub fn up(&self, cx: &Context, loaded: &Loaded) -> Result<Up, Error> {
        Ok(Up {
            no_deps: self.no_deps,
            no_start: self.no_start,
            timeout: seconds(self.timeout),
            renew_anon_volumes: self.renew_anon_volumes,
            always_recreate_deps: self.always_recreate_deps,
            ..self.creation.up(cx, loaded)?
        })
    }
}

/// The request that carries `intent` with its model.
pub fn request(cx: &Context, loaded: Loaded, intent: Intent, wait: Option<WaitFor>) -> Result<Apply, Error> {
    Ok(Apply {
        intent,
        parallel: cx.parallel(&loaded.environment)?,
        project: Some(loaded.project),
        docker_config: cx.env.docker_config(),
        wait,
    })
}

pub fn seconds(timeout: Option<u32>) -> Option<Duration> {
    timeout.map(|seconds| Duration::from_secs(seconds.into()))
}

fn apply_scale(project: &mut Project, scale: &[(String, u32)]) -> Result<(), Error> {
    for (name, number) in scale {
        crate::cli::context::check_services(project, std::slice::from_ref(name))?;
        if let Some(service) = project.services.get_mut(name) {
            if *number > 1 && service.container_name.is_some() {
                return Err(Error::Usage(format!(
                    "--scale {name}={number}: the service has a container_name, and two containers cannot share it"
                )));
            }
            service.scale = *number;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Service;

    #[test]
    fn scale_is_a_service_and_a_number() {
        assert_eq!(scale("web=3"), Ok(("web".into(), 3)));
        for wrong in ["web", "web=", "web=-1", "web=many"] {
            assert!(scale(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_named_container_cannot_be_scaled() {
        let mut project = Project::default();
        project.services.insert("web".into(), Service::default());
        let named = Service { container_name: Some("x".into()), ..Service::default() };
        project.services.insert("db".into(), named);
        apply_scale(&mut project, &[("web".into(), 3), ("db".into(), 0)]).unwrap();
        assert_eq!(project.services["web"].scale, 3);
        assert!(apply_scale(&mut project, &[("db".into(), 2)]).is_err());
        assert!(apply_scale(&mut project, &[("wbe".into(), 2)]).is_err());
    }
}
