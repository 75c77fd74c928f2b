//! `muster logout`: a registry's login is forgotten, wherever it is kept.

use super::login::registry_of;
use crate::{
    cli::{
        context::Context,
        exit::{Code, Outcome},
    },
    image::ImageError,
};
use std::io::Write;

/// Log out from a registry
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Host of the registry
    #[arg(value_name = "SERVER", default_value = "docker.io")]
    server: String,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let registry = registry_of(&args.server)?;
    match cx.credentials().erase(&registry).map_err(ImageError::from)? {
        true => writeln!(cx.out, "Removed the login for {registry}")?,
        false => writeln!(cx.out, "Not logged in to {registry}")?,
    }
    Ok(Code::SUCCESS)
}
