//! The words of the command line: global flags, and one variant a verb. What a verb's flags are stands in its own file.

use super::{
    output::{progress::Mode, writer::Ansi},
    verbs::{
        build, builder, bundle, config, create, down, exec, explain, image, images, kill, load, lock, login, logout,
        logs, ls, plan, port, ps, pull, push, restart, rm, rmi, run, save, start, stop, system, tag, top, up, version,
        watch,
    },
};
use clap::{Args, Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf};

/// Brings a Compose file up on one Linux host
#[derive(Debug, Parser)]
#[command(
    name = "muster",
    version,
    disable_version_flag = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags in front of the verb.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Compose configuration files; `-` is standard input
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Project name
    #[arg(short, long, value_name = "NAME")]
    pub project_name: Option<String>,
    /// Profile to enable
    #[arg(long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// Environment file instead of .env
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Working directory instead of the one of the first Compose file
    #[arg(long, alias = "workdir", value_name = "DIR")]
    pub project_directory: Option<PathBuf>,
    /// Include all resources, even those that no service uses
    #[arg(long)]
    pub all_resources: bool,
    /// How progress is shown
    #[arg(long, value_enum, value_name = "KIND")]
    pub progress: Option<Mode>,
    /// When to use colour and cursor movement
    #[arg(long, value_enum, value_name = "WHEN")]
    pub ansi: Option<Ansi>,
    /// Most operations at a time; -1 is no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub parallel: Option<i32>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Up(Box<up::Args>),
    Build(build::Args),
    Builder(builder::Args),
    Bundle(bundle::Args),
    Create(create::Args),
    Down(down::Args),
    Plan(Box<plan::Args>),
    Ps(ps::Args),
    Logs(logs::Args),
    Exec(exec::Args),
    Run(Box<run::Args>),
    Start(start::Args),
    Stop(stop::Args),
    Restart(restart::Args),
    Kill(kill::Args),
    Rm(rm::Args),
    Top(top::Args),
    Port(port::Args),
    Ls(ls::Args),
    Config(config::Args),
    Explain(explain::Args),
    Pull(pull::Args),
    Push(push::Args),
    Image(image::Args),
    Images(images::Args),
    Rmi(rmi::Args),
    Tag(tag::Args),
    Save(save::Args),
    Load(load::Args),
    Lock(lock::Args),
    Login(login::Args),
    Logout(logout::Args),
    System(system::Args),
    Watch(watch::Args),
    Version(version::Args),
}

impl Cli {
    /// `arguments` with the program's name first. A `compose` behind it is dropped, for hands that type it.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        if arguments.get(1).is_some_and(|word| word == "compose") {
            arguments.remove(1);
        }
        if let [_, flag] = arguments.as_slice()
            && (flag == "--version" || flag == "-v")
        {
            arguments[1] = "version".into();
        }
        Self::try_parse_from(arguments)
    }
}
