//! `muster explain`: where a value of the Compose files comes from.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Outcome},
    },
    compose::Purpose,
};
use std::io::Write;

/// Tell where values of the Compose files come from: lines, overrides, variables, defaults
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Format of the output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Form,
    /// What to explain, such as `services.web.environment.LOG_LEVEL` or `services.web.ports[0]`; everything without it
    #[arg(value_name = "PATH", default_value = "", hide_default_value = true)]
    path: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    #[default]
    Text,
    Json,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let explanation = cx.explain(&args.path, Purpose::Look)?;
    let text = match args.format {
        Form::Text => explanation.to_text(),
        Form::Json => serde_json::to_string_pretty(&explanation).map_err(std::io::Error::from)? + "\n",
    };
    cx.out.write_all(text.as_bytes())?;
    Ok(Code::SUCCESS)
}
