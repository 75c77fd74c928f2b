//! `muster image`: what is done with the images of this host, in docker's words. Most are verbs of their own as well.

mod history;
mod inspect;
mod ls;
mod prune;
mod transfer;

use super::{load, rmi, save, tag};
use crate::cli::{context::Context, exit::Outcome};

pub use history::Row as HistoryRow;

/// Manage images
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    #[command(visible_alias = "remove")]
    Rm(rmi::Args),
    Prune(prune::Args),
    Inspect(inspect::Args),
    History(history::Args),
    Tag(tag::Args),
    Pull(transfer::Pull),
    Push(transfer::Push),
    Save(save::Args),
    Load(load::Args),
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    match args.command {
        Command::Ls(args) => ls::run(args, cx),
        Command::Rm(args) => rmi::run(args, cx),
        Command::Prune(args) => prune::run(args, cx),
        Command::Inspect(args) => inspect::run(args, cx),
        Command::History(args) => history::run(args, cx),
        Command::Tag(args) => tag::run(args, cx),
        Command::Pull(args) => transfer::pull(args, cx),
        Command::Push(args) => transfer::push(args, cx),
        Command::Save(args) => save::run(args, cx),
        Command::Load(args) => load::run(args, cx),
    }
}
