//! `muster image pull` and `push`: one image by its name, without a Compose file.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
        fetch::{self, Wanted},
        output::progress::Mode,
    },
    image::{ImageError, Reference, Store},
    model::PullPolicy,
};
use std::io::Write;

/// Download an image from a registry
#[derive(Clone, Debug, clap::Args)]
pub struct Pull {
    /// Print only the name
    #[arg(short, long)]
    quiet: bool,
    /// NAME[:TAG|@DIGEST]
    #[arg(value_name = "IMAGE")]
    image: String,
}

/// Upload an image to a registry
#[derive(Clone, Debug, clap::Args)]
pub struct Push {
    /// All tags of the repository that are on this host
    #[arg(short, long)]
    all_tags: bool,
    /// Print only the name
    #[arg(short, long)]
    quiet: bool,
    /// NAME[:TAG]
    #[arg(value_name = "IMAGE")]
    image: String,
}

pub fn pull(args: Pull, cx: &mut Context) -> Outcome {
    let reference = Reference::parse(&args.image).map_err(ImageError::from)?;
    let wanted = [Wanted { name: args.image, policy: PullPolicy::Always, platform: None }];
    let mode = mode(args.quiet, cx);
    match fetch::pull(cx, &wanted, mode, None)?.is_empty() {
        true => writeln!(cx.out, "{}", reference.familiar())?,
        false => return Err(Error::Reported),
    }
    Ok(Code::SUCCESS)
}

pub fn push(args: Push, cx: &mut Context) -> Outcome {
    let reference = Reference::parse(&args.image).map_err(ImageError::from)?;
    let images = match (&reference, args.all_tags) {
        (Reference::Registry(name), true) => {
            let tagged = !args.image.contains('@') && args.image.ends_with(&format!(":{}", name.tag().unwrap_or("")));
            if tagged || name.digest().is_some() {
                return Err(Error::Usage("--all-tags is for a repository, without a tag".into()));
            }
            Store::open(&cx.layout)?.names_of(name)?.iter().map(Reference::familiar).collect()
        }
        _ => vec![args.image.clone()],
    };
    if images.is_empty() {
        return Err(ImageError::NoSuchImage(args.image).into());
    }
    let mode = mode(args.quiet, cx);
    match fetch::push(cx, &images, mode, None)?.is_empty() {
        true if args.quiet => writeln!(cx.out, "{}", reference.familiar())?,
        true => {}
        false => return Err(Error::Reported),
    }
    Ok(Code::SUCCESS)
}

fn mode(quiet: bool, cx: &Context) -> Mode {
    if quiet { Mode::Quiet } else { cx.progress_mode(&cx.env.variables) }
}
