//! `muster start`: containers that are there run again.

use super::existing;
use crate::{
    api::WaitFor,
    cli::{context::Context, exit::Outcome},
    model::intent::Intent,
};

/// Start services
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Wait for services to be running or healthy
    #[arg(long)]
    wait: bool,
    /// Most seconds to wait
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    wait_timeout: Option<u64>,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let target = cx.target(&args.services)?;
    let wait = args.wait.then_some(WaitFor { timeout_seconds: args.wait_timeout });
    existing::carry_out(cx, target, Intent::Start { services: args.services }, wait)
}
