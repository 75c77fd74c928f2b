//! `muster version`

use crate::cli::{
    context::Context,
    exit::{Code, Outcome},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::Write;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Show the version information
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Output format
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Form,
    /// Show only the version number
    #[arg(long)]
    short: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    #[default]
    Pretty,
    Json,
}

/// The version of this program.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Version {
    version: &'static str,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    match (args.short, args.format) {
        (true, _) => writeln!(cx.out, "{VERSION}")?,
        (false, Form::Pretty) => writeln!(cx.out, "muster version {VERSION}")?,
        (false, Form::Json) => {
            writeln!(cx.out, "{}", serde_json::to_string(&Version { version: VERSION }).map_err(std::io::Error::from)?)?
        }
    }
    Ok(Code::SUCCESS)
}
