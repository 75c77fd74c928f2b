//! `muster bundle`: a project in one file, to be run where there is no network.

use super::up;
use crate::{
    bundle::{Bundle, Index},
    cli::{
        bundling::{self, Wish},
        context::Context,
        exit::{Code, Error, Outcome},
        output::{Format, bundles},
    },
};
use std::{io::Write, path::PathBuf};

/// Pack a project with its images into one file, and run such files
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    Create(Create),
    Inspect(Inspect),
    /// Take a bundle in and start its services; `muster up FILE` does the same
    Up(Box<up::Args>),
}

/// Write a bundle of the project: its model, its images and the files that it mounts
#[derive(Clone, Debug, clap::Args)]
struct Create {
    /// Take along what is in the named volumes
    #[arg(long)]
    volumes: bool,
    /// Replace FILE where it exists
    #[arg(short, long)]
    overwrite: bool,
    /// Refuse images that compose.lock does not have, and entries of it that nothing uses
    #[arg(long)]
    locked: bool,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    /// The bundle to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Services, with those that they depend on; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// List what a bundle holds
#[derive(Clone, Debug, clap::Args)]
struct Inspect {
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    match args.command {
        Command::Create(args) => create(&args, cx),
        Command::Inspect(args) => inspect(&args, cx),
        Command::Up(args) => match bundling::word(cx, args.words())? {
            Some(_) => up::run(*args, cx),
            None => Err(Error::Usage("bundle up needs a bundle, as `muster bundle create` writes it".into())),
        },
    }
}

fn create(args: &Create, cx: &mut Context) -> Outcome {
    let wish = Wish {
        target: cx.env.cwd.join(&args.file),
        overwrite: args.overwrite,
        volumes: args.volumes,
        locked: args.locked,
        services: &args.services,
    };
    let index = bundling::create(cx, &wish)?;
    if args.quiet {
        return Ok(Code::SUCCESS);
    }
    print(&index, Format::Table, cx)
}

fn inspect(args: &Inspect, cx: &mut Context) -> Outcome {
    let bundle = Bundle::open(&cx.env.cwd.join(&args.file))?;
    print(bundle.index(), args.format, cx)
}

fn print(index: &Index, format: Format, cx: &mut Context) -> Outcome {
    let text = bundles::render(index, format).map_err(std::io::Error::from)?;
    cx.out.write_all(text.as_bytes())?;
    Ok(Code::SUCCESS)
}
