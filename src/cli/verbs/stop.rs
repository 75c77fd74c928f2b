//! `muster stop`: containers end and stay.

use super::{converge, existing};
use crate::{
    cli::{context::Context, exit::Outcome},
    model::intent::Intent,
};

/// Stop services
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Seconds to wait before the container is killed
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let target = cx.target(&args.services)?;
    let intent = Intent::Stop { services: args.services, timeout: converge::seconds(args.timeout) };
    existing::carry_out(cx, target, intent, None)
}
