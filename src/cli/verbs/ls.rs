//! `muster ls`: the projects of this host.

use crate::cli::{
    containers,
    context::Context,
    exit::{Code, Outcome},
    output::{Format, ls},
};
use std::io::Write;

/// List running projects
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Show all stopped projects
    #[arg(short, long)]
    all: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Filter by a part of the name: name=shop
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    filter: Vec<String>,
    /// Only display project names
    #[arg(short, long)]
    quiet: bool,
}

fn filter(text: &str) -> Result<String, String> {
    text.strip_prefix("name=").map(str::to_owned).ok_or_else(|| "the only filter is name=".into())
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let found = containers::list(&cx.layout, None);
    for error in &found.unreadable {
        cx.warn(&error.to_string())?;
    }
    let mut projects = ls::projects(&found.containers, args.all);
    projects.retain(|project| args.filter.is_empty() || args.filter.iter().any(|part| project.name.contains(part)));
    let text = if args.quiet {
        projects.iter().map(|project| format!("{}\n", project.name)).collect()
    } else {
        ls::render(&projects, args.format).map_err(std::io::Error::from)?
    };
    cx.out.write_all(text.as_bytes())?;
    Ok(Code::SUCCESS)
}
