//! `muster logs`: what containers wrote, in the order of time. Needs no supervisor.

use crate::cli::{
    containers,
    context::{Context, check_services},
    exit::{Code, Error, Outcome},
    logs::{
        follow::{Follower, Role, Subject},
        printer::{Printer, Style},
        window::{self, Window},
    },
};
use jiff::Timestamp;

/// View output from containers
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Number of lines to show from the end of the logs of each container
    #[arg(short = 'n', long, default_value = "all", value_name = "N", value_parser = tail)]
    tail: Tail,
    /// Show logs since a time (2013-01-02T13:23:37Z) or a duration ago (42m)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Show logs before a time (2013-01-02T13:23:37Z) or a duration ago (42m)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// Do not print the prefix
    #[arg(long)]
    no_log_prefix: bool,
    /// Produce monochrome output
    #[arg(long)]
    no_color: bool,
    /// Index of the container if there are several instances of the service
    #[arg(long, value_name = "N")]
    index: Option<u32>,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail(Option<usize>);

/// `all`, a negative number (as docker takes it), or a count.
fn tail(text: &str) -> Result<Tail, String> {
    match text.parse::<i64>() {
        _ if text == "all" => Ok(Tail(None)),
        Ok(number) => Ok(Tail(usize::try_from(number).ok())),
        Err(_) => Err("it has to be a number or `all`".into()),
    }
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    if args.index.is_some() && args.services.len() != 1 {
        return Err(Error::Usage("--index needs exactly one service".into()));
    }
    let target = cx.target(&args.services)?;
    let now = Timestamp::now();
    let time = |text: &Option<String>| {
        text.as_deref().map(|text| window::parse(text, now).map(window::stamp).map_err(Error::Usage)).transpose()
    };
    let window = Window { since: time(&args.since)?, until: time(&args.until)? };
    let style = Style {
        timestamps: args.timestamps,
        no_prefix: args.no_log_prefix,
        colour: cx.out.colour && !args.no_color,
        split: false,
    };
    let (services, index) = (args.services.clone(), args.index);
    let subject = Subject {
        project: &target.name,
        roles: Box::new(move |record| {
            let named = services.is_empty() || services.contains(&record.service);
            let meant = index.is_none_or(|number| number == record.number && !record.oneoff);
            if named && meant { Role::Shown } else { Role::Other }
        }),
        window,
        tail: args.tail.0,
        follow: args.follow,
    };
    let mut follower = Follower::new(&cx.layout, subject, Printer::new(style))?;
    // A service may be gone from the file and still have containers: their logs can be read.
    let there = containers::list(&cx.layout, Some(&target.name)).containers;
    for name in &args.services {
        let known = there.iter().any(|container| &container.record.service == name);
        match &target.project {
            _ if known => {}
            Some(project) => check_services(project, std::slice::from_ref(name))?,
            None => return Err(Error::NoSuchService { name: name.clone(), similar: None }),
        }
    }
    show(&mut follower, args.follow, cx)
}

/// Until nothing is left that could write.
fn show(follower: &mut Follower, follow: bool, cx: &mut Context) -> Outcome {
    loop {
        for ended in follower.step(&mut cx.out, &mut cx.err)? {
            follower.tell(&ended, &mut cx.out)?;
        }
        if !follow || !follower.is_any_up() {
            follower.finish(&mut cx.out, &mut cx.err)?;
            return Ok(Code::SUCCESS);
        }
        follower.wait()?;
    }
}

#[cfg(test)]
mod tests {
    use super::{Tail, tail};

    #[test]
    fn tail_is_a_number_or_all() {
        assert_eq!(tail("all"), Ok(Tail(None)));
        assert_eq!(tail("-1"), Ok(Tail(None)));
        assert_eq!(tail("10"), Ok(Tail(Some(10))));
        assert!(tail("some").is_err());
    }
}
