//! `muster restart`: containers end and run again, with what depends on them.

use super::{converge, existing};
use crate::{
    cli::{context::Context, exit::Outcome},
    model::intent::Intent,
};

/// Restart service containers
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Seconds to wait before the container is killed
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// Do not restart dependent services
    #[arg(long)]
    no_deps: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let target = cx.target(&args.services)?;
    let timeout = converge::seconds(args.timeout);
    existing::carry_out(cx, target, Intent::Restart { services: args.services, timeout, no_deps: args.no_deps }, None)
}
