//! `muster down`: containers and networks go; volumes and images only when asked.

use super::converge;
use crate::{
    api::Apply,
    cli::{
        apply::{self, Order},
        containers,
        context::Context,
        exit::{Code, Outcome},
    },
    model::intent::{Down, Intent, RemoveImages},
};

/// Stop and remove containers, networks
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Remove named volumes declared in the files and anonymous volumes
    #[arg(short, long)]
    volumes: bool,
    /// Remove containers for services not defined in the Compose files
    #[arg(long)]
    remove_orphans: bool,
    /// Seconds to wait for containers to stop
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// Remove images used by services: `local` those without a name of their own
    #[arg(long, value_enum, value_name = "WHICH")]
    rmi: Option<Images>,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Images {
    Local,
    All,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let target = cx.target(&args.services)?;
    let known = cx.layout.project(&target.name).exists()
        || !containers::list(&cx.layout, Some(&target.name)).containers.is_empty();
    if target.project.is_none() && !known {
        cx.warn(&format!("No resource found to remove for project \"{}\".", target.name))?;
        return Ok(Code::SUCCESS);
    }
    let environment = cx.env.variables.clone();
    let intent = Intent::Down(Down {
        services: args.services,
        volumes: args.volumes,
        remove_orphans: args.remove_orphans || cx.env.is_true("COMPOSE_REMOVE_ORPHANS"),
        timeout: converge::seconds(args.timeout),
        images: args.rmi.map(|which| match which {
            Images::Local => RemoveImages::Local,
            Images::All => RemoveImages::All,
        }),
    });
    let apply = Apply {
        intent,
        project: target.project,
        docker_config: None,
        wait: None,
        parallel: cx.parallel(&environment)?,
    };
    let mode = cx.progress_mode(&environment);
    apply::carry_out(cx, Order { project: target.name, apply, mode, quiet_pull: false })
}
