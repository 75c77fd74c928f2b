//! `muster rmi`: image names go, and with the last name the image.

use crate::{
    cli::{
        containers,
        context::Context,
        exit::{Code, Outcome},
    },
    image::{ImageError, Store},
    model::ImageId,
};
use std::io::Write;

/// Remove images from this host
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// All are tried; the first error is the verb's.
pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let store = Store::open(&cx.layout)?;
    let containers = containers::list(&cx.layout, None).containers;
    let in_use = |id: &ImageId| {
        let user = containers.iter().find(|container| container.record.image_id == *id)?;
        Some(format!("container {}", user.record.name))
    };
    let mut failed: Option<ImageError> = None;
    for text in &args.images {
        match store.resolve(text).and_then(|image| store.remove(&image.reference, &in_use)) {
            Ok(removed) => {
                for name in removed.untagged {
                    writeln!(cx.out, "Untagged: {name}")?;
                }
                if let Some(id) = removed.deleted {
                    writeln!(cx.out, "Deleted: {id}")?;
                }
            }
            Err(error) if failed.is_none() => failed = Some(error),
            Err(error) => cx.warn(&error.to_string())?,
        }
    }
    match failed {
        None => Ok(Code::SUCCESS),
        Some(error) => Err(error.into()),
    }
}
