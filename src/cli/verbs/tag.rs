//! `muster tag`: one more name for an image of this host.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
    },
    image::{Reference, Store},
};

/// Create a tag TARGET that refers to the image SOURCE
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A name or an id
    source: String,
    /// The new name
    target: String,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let store = Store::open(&cx.layout)?;
    let target = match Reference::parse(&args.target).map_err(crate::image::ImageError::from)? {
        Reference::Registry(name) if name.digest().is_none() => name,
        _ => {
            return Err(Error::Usage(format!(
                "`{}` is no name with a tag, and only such a one can be given",
                args.target
            )));
        }
    };
    store.tag(&store.resolve(&args.source)?, &target)?;
    Ok(Code::SUCCESS)
}
