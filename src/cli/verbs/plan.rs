//! `muster plan`: the very plan that `up` would carry out, with the cause of each step. Nothing is changed.

use super::converge::{self, Flags};
use crate::{
    cli::{
        apply::{self, Door},
        context::Context,
        exit::{Code, Outcome},
        output::Format,
    },
    model::intent::{Intent, Up},
    plan,
};
use std::io::Write;

/// Show what up would do, and why
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Exit with 0 when there is nothing to do, 2 when there is something, 1 on errors
    #[arg(long)]
    detailed_exitcode: bool,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let mut loaded = args.flags.creation.load(cx)?;
    let project = loaded.project.name.clone();
    let builds = args.flags.creation.builds(cx, &loaded, !args.flags.no_deps)?;
    // What `up` would bring first is not here yet: what is here has to do.
    cx.adopt_variants(&mut loaded.project)?;
    let intent = Intent::Up(Up { builds, ..args.flags.up(cx, &loaded)? });
    let request = converge::request(cx, loaded, intent, None)?;
    let door = Door::new(cx, &project);
    let err = &mut cx.err;
    let plan = apply::runtime()?.block_on(door.plan(&request, &mut |note| apply::tell(err, &note)))?;
    match args.format {
        Format::Table => cx.out.write_all(plan::render(&plan).as_bytes())?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut cx.out, &plan).map_err(std::io::Error::from)?;
            writeln!(cx.out)?;
        }
    }
    Ok(if args.detailed_exitcode && !plan.is_empty() { Code::CHANGES } else { Code::SUCCESS })
}
