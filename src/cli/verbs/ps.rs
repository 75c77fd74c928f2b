//! `muster ps`: containers of a project. Reads records and the kernel; asks no supervisor, image store or network.

use crate::{
    cli::{
        containers::{self, Container},
        context::{Context, check_services},
        exit::{Code, Error, Outcome},
        output::{Format, ps},
    },
    model::Project,
};
use jiff::Timestamp;
use std::{collections::BTreeSet, io::Write};

/// List containers
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Show all stopped containers, those of the run command included
    #[arg(short, long)]
    all: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Only display ids
    #[arg(short, long)]
    quiet: bool,
    /// Display services
    #[arg(long)]
    services: bool,
    /// Filter by a property: status=running
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    filter: Vec<State>,
    /// Filter by status
    #[arg(long, value_enum, value_name = "STATUS")]
    status: Vec<State>,
    /// Do not truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Include services that the files do not declare
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    orphans: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    named: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Paused,
    Restarting,
    Removing,
    Running,
    Dead,
    Created,
    Exited,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Running => "running",
            Self::Dead => "dead",
            Self::Created => "created",
            Self::Exited => "exited",
        }
    }
}

fn filter(text: &str) -> Result<State, String> {
    let status = text.strip_prefix("status=").ok_or("the only filter is status=")?;
    <State as clap::ValueEnum>::from_str(status, true)
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let target = cx.target(if args.orphans { &[] } else { &args.named })?;
    let found = containers::list(&cx.layout, Some(&target.name));
    for error in &found.unreadable {
        cx.warn(&error.to_string())?;
    }
    check_named(&args, target.project.as_ref(), &found.containers)?;
    let chosen: Vec<Container> =
        found.containers.into_iter().filter(|container| chosen(&args, target.project.as_ref(), container)).collect();
    let now = Timestamp::now();
    let text = if args.quiet {
        chosen.iter().map(|container| format!("{}\n", container.record.id)).collect()
    } else if args.services {
        let services: BTreeSet<&str> = chosen.iter().map(|container| container.record.service.as_str()).collect();
        services.into_iter().map(|service| format!("{service}\n")).collect()
    } else {
        match args.format {
            Format::Table => ps::table(&chosen, now, !args.no_trunc),
            Format::Json => ps::json(&chosen, now, !args.no_trunc).map_err(std::io::Error::from)?,
        }
    };
    cx.out.write_all(text.as_bytes())?;
    Ok(Code::SUCCESS)
}

/// A service that neither the files nor any container know is a slip.
fn check_named(args: &Args, project: Option<&Project>, containers: &[Container]) -> Result<(), Error> {
    for name in &args.named {
        if containers.iter().all(|container| container.record.service != *name) {
            match project {
                Some(project) => check_services(project, std::slice::from_ref(name))?,
                None => return Err(Error::NoSuchService { name: name.clone(), similar: None }),
            }
        }
    }
    Ok(())
}

fn chosen(args: &Args, project: Option<&Project>, container: &Container) -> bool {
    let record = &container.record;
    let states: Vec<&str> = args.filter.iter().chain(&args.status).map(|state| state.word()).collect();
    let by_state = match states.is_empty() {
        true => args.all || container.is_up(),
        false => states.contains(&container.state()),
    };
    let declared = project.is_none_or(|project| {
        project.services.contains_key(&record.service) || project.disabled_services.contains_key(&record.service)
    });
    by_state
        && (args.all || !record.oneoff)
        && (args.named.is_empty() || args.named.contains(&record.service))
        && (args.orphans || declared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::containers::tests::{exit, record, running},
        state::records::Status,
    };

    fn names(change: impl FnOnce(&mut Args)) -> Vec<String> {
        let mut args = Args { orphans: true, ..Args::default() };
        change(&mut args);
        let mut oneoff = record("job", 0, running(1));
        oneoff.oneoff = true;
        let records = [
            record("web", 1, running(1)),
            record("db", 1, Status::Exited { exit: exit(1) }),
            record("old", 1, Status::Restarting { exit: exit(1) }),
            oneoff,
        ];
        let mut project = Project::default();
        project.services.insert("web".into(), Default::default());
        project.services.insert("db".into(), Default::default());
        let containers = records.into_iter().map(|record| Container { record });
        let chosen = containers.filter(|container| chosen(&args, Some(&project), container));
        chosen.map(|container| container.record.service).collect()
    }

    #[test]
    fn only_what_is_up_is_listed_unless_asked() {
        assert_eq!(names(|_| {}), ["web", "old"]);
        assert_eq!(names(|args| args.all = true), ["web", "db", "old", "job"]);
        assert_eq!(names(|args| args.status = vec![State::Exited]), ["db"]);
        assert_eq!(names(|args| args.filter = vec![filter("status=running").unwrap()]), ["web"]);
        assert_eq!(names(|args| args.orphans = false), ["web"]);
        assert_eq!(names(|args| args.named = vec!["old".into()]), ["old"]);
    }

    #[test]
    fn a_filter_is_by_status_and_nothing_else() {
        assert!(filter("name=web").is_err());
        assert!(filter("status=asleep").is_err());
    }
}
