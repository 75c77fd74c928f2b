//! `muster up`: what the files say becomes so. Attached, it then shows the logs until everything has ended.

use super::converge::{self, Flags};
use crate::{
    api::WaitFor,
    cli::{
        apply::{self, Order},
        attached::{self, Abort, Attached, Watching},
        bundling,
        context::{Context, check_services},
        exit::{Error, Outcome},
        logs::printer::Style,
        watch::{Options, Watch},
    },
    compose::Loaded,
    model::{Project, intent::Intent},
};
use std::collections::BTreeSet;

/// Create and start containers
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub flags: Flags,
    /// Run containers in the background
    #[arg(short, long, conflicts_with_all = ["abort_on_container_exit", "abort_on_container_failure", "exit_code_from", "attach", "attach_dependencies"])]
    pub detach: bool,
    /// Wait for services to be running or healthy; implies detached mode
    #[arg(long, conflicts_with_all = ["abort_on_container_exit", "abort_on_container_failure", "exit_code_from", "attach", "attach_dependencies"])]
    pub wait: bool,
    /// Most seconds to wait for the project to be running or healthy
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    pub wait_timeout: Option<u64>,
    /// Stop all containers if any container was stopped
    #[arg(long, conflicts_with = "abort_on_container_failure")]
    pub abort_on_container_exit: bool,
    /// Stop all containers if any container exited with failure
    #[arg(long)]
    pub abort_on_container_failure: bool,
    /// Return the exit code of the selected service container; implies --abort-on-container-exit
    #[arg(long, value_name = "SERVICE")]
    pub exit_code_from: Option<String>,
    /// Restrict attaching to these services
    #[arg(long, value_name = "SERVICE", conflicts_with = "attach_dependencies")]
    pub attach: Vec<String>,
    /// Do not attach to these services
    #[arg(long, value_name = "SERVICE")]
    pub no_attach: Vec<String>,
    /// Attach to the log output of dependent services, too
    #[arg(long)]
    pub attach_dependencies: bool,
    /// Produce monochrome output
    #[arg(long)]
    pub no_color: bool,
    /// Do not print the prefix in logs
    #[arg(long)]
    pub no_log_prefix: bool,
    /// Show timestamps
    #[arg(long)]
    pub timestamps: bool,
    /// Watch source code and rebuild/refresh containers when files are updated
    #[arg(short, long, conflicts_with_all = ["detach", "wait", "no_build", "no_start"])]
    pub watch: bool,
}

impl Args {
    /// What stands behind the flags.
    pub fn words(&self) -> &[String] {
        &self.flags.creation.services
    }
}

pub fn run(mut args: Args, cx: &mut Context) -> Outcome {
    if let Some(bundle) = bundling::word(cx, args.words())? {
        bundling::arrive(cx, &bundle)?;
        args.flags.creation.services.remove(0);
    }
    let mut loaded = args.flags.creation.load(cx)?;
    let mode = cx.progress_mode(&loaded.environment);
    let project = loaded.project.clone();
    for named in [&args.attach, &args.no_attach] {
        check_services(&project, named)?;
    }
    check_services(&project, args.exit_code_from.as_slice())?;
    let intent = Intent::Up(args.flags.up(cx, &loaded)?);
    args.flags.creation.build_images(cx, &mut loaded, !args.flags.no_deps)?;
    let wait = args.wait.then_some(WaitFor { timeout_seconds: args.wait_timeout });
    let watch = if args.watch { Some(watch(&args, cx, &loaded)?) } else { None };
    let apply = converge::request(cx, loaded, intent, wait)?;
    let order = Order { project: project.name.clone(), apply, mode, quiet_pull: args.flags.creation.quiet_pull };
    if args.detach || args.wait || args.flags.no_start {
        return apply::carry_out(cx, order);
    }
    let attached = Attached {
        order,
        shown: shown(&args, &project),
        abort: abort(&args)?,
        style: Style {
            timestamps: args.timestamps,
            no_prefix: args.no_log_prefix,
            colour: cx.out.colour && !args.no_color,
            split: true,
        },
        timeout: converge::seconds(args.flags.timeout),
        watch,
    };
    attached::run(cx, attached)
}

fn watch(args: &Args, cx: &Context, loaded: &Loaded) -> Result<Watching, Error> {
    let parallel = cx.parallel(&loaded.environment)?;
    let services = args.flags.creation.services.clone();
    Watch::new(cx, &loaded.project, Options { services, quiet: false, prune: false, parallel })
}

fn abort(args: &Args) -> Result<Abort, Error> {
    Ok(match &args.exit_code_from {
        Some(service) => Abort {
            code_from: Some(service.clone()),
            on_exit: !args.abort_on_container_failure,
            on_failure: args.abort_on_container_failure,
        },
        None => Abort {
            code_from: None,
            on_exit: args.abort_on_container_exit,
            on_failure: args.abort_on_container_failure,
        },
    })
}

/// Services whose logs are shown: the named ones, or all; `attach: false` in the file only yields to `--attach`.
fn shown(args: &Args, project: &Project) -> BTreeSet<String> {
    if !args.attach.is_empty() {
        return args.attach.iter().filter(|name| !args.no_attach.contains(name)).cloned().collect();
    }
    let named = &args.flags.creation.services;
    let base: BTreeSet<String> = match (named.is_empty(), args.attach_dependencies) {
        (true, _) => project.services.keys().cloned().collect(),
        (false, true) => with_dependencies(project, named),
        (false, false) => named.iter().cloned().collect(),
    };
    let attaches = |name: &String| project.services.get(name).is_none_or(|service| service.attach);
    base.into_iter().filter(|name| attaches(name) && !args.no_attach.contains(name)).collect()
}

/// The named services, and all that they need.
pub fn with_dependencies(project: &Project, named: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<String> = named.to_vec();
    while let Some(name) = open.pop() {
        if let Some(service) = project.services.get(&name) {
            open.extend(service.depends_on.keys().filter(|name| !found.contains(*name)).cloned());
            found.insert(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Condition, Dependency, Service};

    fn project() -> Project {
        let mut project = Project::default();
        let started = Dependency { condition: Condition::Started, restart: false, required: true };
        let mut web = Service { attach: true, ..Service::default() };
        web.depends_on.insert("db".into(), started);
        project.services.insert("web".into(), web);
        project.services.insert("db".into(), Service { attach: true, ..Service::default() });
        project.services.insert("noise".into(), Service { attach: false, ..Service::default() });
        project
    }

    fn names(change: impl FnOnce(&mut Args)) -> Vec<String> {
        let mut args = Args::default();
        change(&mut args);
        shown(&args, &project()).into_iter().collect()
    }

    #[test]
    fn logs_are_shown_of_what_was_named_or_of_all_that_attach() {
        assert_eq!(names(|_| {}), ["db", "web"]);
        assert_eq!(names(|args| args.no_attach = vec!["db".into()]), ["web"]);
        assert_eq!(names(|args| args.flags.creation.services = vec!["web".into()]), ["web"]);
        assert_eq!(names(|args| args.attach = vec!["noise".into()]), ["noise"]);
        let with_dependencies = |args: &mut Args| {
            args.flags.creation.services = vec!["web".into()];
            args.attach_dependencies = true;
        };
        assert_eq!(names(with_dependencies), ["db", "web"]);
    }
}
