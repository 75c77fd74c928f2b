//! `muster create`: `up` without the start.

use super::converge::{self, Creation};
use crate::{
    cli::{
        apply::{self, Order},
        context::Context,
        exit::Outcome,
    },
    model::intent::Intent,
};

/// Create containers for a service
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    creation: Creation,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let mut loaded = args.creation.load(cx)?;
    let mode = cx.progress_mode(&loaded.environment);
    let project = loaded.project.name.clone();
    let intent = Intent::Up(args.creation.created(cx, &loaded)?);
    args.creation.build_images(cx, &mut loaded, true)?;
    let apply = converge::request(cx, loaded, intent, None)?;
    apply::carry_out(cx, Order { project, apply, mode, quiet_pull: args.creation.quiet_pull })
}
