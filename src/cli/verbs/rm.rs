//! `muster rm`: stopped containers go.

use super::existing;
use crate::{
    cli::{
        containers::{self, Container},
        context::Context,
        exit::{Code, Error, Outcome},
    },
    model::intent::Intent,
};
use std::io::{BufRead, Write};

/// Remove stopped service containers
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Do not ask to confirm removal
    #[arg(short, long)]
    force: bool,
    /// Stop the containers first, if required
    #[arg(short, long)]
    stop: bool,
    /// Remove anonymous volumes attached to the containers
    #[arg(short, long)]
    volumes: bool,
    /// One-off containers, too: they always are
    #[arg(short, long, hide = true)]
    all: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let target = cx.target(&args.services)?;
    let doomed = containers::list(&cx.layout, Some(&target.name)).containers.into_iter().filter(|container| {
        (args.services.is_empty() || args.services.contains(&container.record.service))
            && (args.stop || !container.is_up())
    });
    let doomed: Vec<Container> = doomed.collect();
    if doomed.is_empty() {
        cx.note("No stopped containers")?;
        return Ok(Code::SUCCESS);
    }
    let names: Vec<&str> = doomed.iter().map(|container| container.record.name.as_str()).collect();
    cx.note(&format!("Going to remove {}", names.join(", ")))?;
    if !args.force && !confirm(cx)? {
        return Ok(Code::SUCCESS);
    }
    let intent = Intent::Rm { services: args.services, stop: args.stop, volumes: args.volumes };
    existing::carry_out(cx, target, intent, None)
}

/// Asks on standard error; the end of the input is no.
fn confirm(cx: &mut Context) -> Result<bool, Error> {
    write!(cx.err, "Are you sure? [yN] ")?;
    cx.err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Error::system("read the answer"))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
