//! `muster builder`: the cache of builds.

use crate::{
    build::engine::{self, Prune},
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
        output::duration,
    },
    compose,
    image::Store,
};
use std::{io::Write, time::Duration};

/// Look after the cache of builds
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    Prune(PruneArgs),
}

/// Remove build cache
#[derive(Clone, Debug, clap::Args)]
struct PruneArgs {
    /// Also what `RUN --mount=type=cache` keeps
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// until=DURATION: only what no build has used for that long, such as 24h
    #[arg(long = "filter", value_name = "FILTER", value_parser = until)]
    unused_for: Option<Duration>,
    /// Keep what was used last, as much as this, such as 10g
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    keep_storage: Option<u64>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    match args.command {
        Command::Prune(args) => prune(&args, cx),
    }
}

fn prune(args: &PruneArgs, cx: &mut Context) -> Outcome {
    let warning = match args.all {
        true => "This will remove all build cache, cache mounts too.",
        false => "This will remove all build cache. Images keep their layers.",
    };
    if !args.force && !cx.confirm(warning)? {
        return Ok(Code::SUCCESS);
    }
    let store = Store::open(&cx.layout)?;
    let before = engine::cache_use(&store, &cx.layout)?;
    let wanted = Prune { unused_for: args.unused_for, keep_bytes: args.keep_storage, mounts: args.all };
    let Some(pruned) = engine::prune(&store, &cx.layout, wanted)? else {
        return Err(Error::Refused {
            message: "a build or a pull is at work, and its results cannot be told from what nobody needs".into(),
            hint: Some("try again when it has ended".into()),
        });
    };
    let shared = if before.shared == 0 { String::new() } else { format!("; {} stay with images", before.shared) };
    writeln!(
        cx.out,
        "Removed {} steps, {} layers{shared}, {} cache mounts",
        pruned.records, pruned.layers, pruned.mounts
    )?;
    writeln!(cx.out, "Total reclaimed space: {}", duration::size(pruned.bytes))?;
    Ok(Code::SUCCESS)
}

fn until(text: &str) -> Result<Duration, String> {
    let value = text.strip_prefix("until=").ok_or("the only filter is until=DURATION")?;
    compose::duration(value).ok_or_else(|| format!("{value:?} is no duration such as 24h"))
}

fn bytes(text: &str) -> Result<u64, String> {
    compose::bytes(text).ok_or_else(|| format!("{text:?} is no size such as 10g"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_written_as_everywhere() {
        assert_eq!(until("until=36h"), Ok(Duration::from_secs(36 * 3600)));
        assert_eq!(bytes("10g"), Ok(10 << 30));
        for wrong in ["until=", "until=soon", "label=x"] {
            assert!(until(wrong).is_err(), "{wrong}");
        }
        assert!(bytes("much").is_err());
    }
}
