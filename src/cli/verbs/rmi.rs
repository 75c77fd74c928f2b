//! `muster rmi`: image names go, and with the last name the image.

use crate::{
    cli::{
        containers::{self, Found},
        context::Context,
        exit::{Code, Outcome},
    },
    image::{ImageError, Store},
    model::ImageId,
    state::Layout,
};
use std::{cell::OnceCell, io::Write};

/// Remove one or more images
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Remove an id with all its names, whatever their repositories, and say nothing of images that are not there
    #[arg(short, long)]
    force: bool,
    /// Untagged parents stay: there are none here, and nothing else goes
    #[arg(long, hide = true)]
    no_prune: bool,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// All are tried; the first error is the verb's. What a container uses stays, with `--force` as well: it would have
/// nothing to start from.
pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let store = Store::open(&cx.layout)?;
    let layout = cx.layout.clone();
    let users = Users::new(&layout);
    let mut failed: Option<ImageError> = None;
    for text in &args.images {
        let removed =
            store.resolve(text).and_then(|image| store.remove(&image.reference, args.force, &|id| users.of(id)));
        if let Err(ImageError::NoSuchImage(_)) = removed {
            store.finish_removals()?;
        }
        match removed {
            Ok(removed) => {
                for name in removed.untagged {
                    writeln!(cx.out, "Untagged: {name}")?;
                }
                if let Some(id) = removed.deleted {
                    writeln!(cx.out, "Deleted: {id}")?;
                }
            }
            Err(ImageError::NoSuchImage(_)) if args.force => {}
            Err(error) if failed.is_none() => failed = Some(error),
            Err(error) => cx.warn(&error.to_string())?,
        }
    }
    match failed {
        None => Ok(Code::SUCCESS),
        Some(error) => Err(error.into()),
    }
}

/// Who uses which image. Looked up when it is first asked for, which is under the store's lock: a container that was
/// made before is seen.
pub struct Users<'a> {
    layout: &'a Layout,
    containers: OnceCell<Found>,
}

impl<'a> Users<'a> {
    pub fn new(layout: &'a Layout) -> Self {
        Self { layout, containers: OnceCell::new() }
    }

    pub fn of(&self, id: &ImageId) -> Option<String> {
        let found = self.containers.get_or_init(|| containers::list(self.layout, None));
        let user = found.containers.iter().find(|container| container.record.image_id == *id);
        let user = user.map(|container| format!("container {}", container.record.name));
        // Whose record cannot be read may use any image.
        user.or_else(|| found.unreadable.first().map(|error| format!("perhaps a container: {error}")))
    }
}
