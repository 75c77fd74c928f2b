//! `muster save`: images to an archive, for `muster load`, `docker load`, and whoever reads OCI layouts.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
    },
    image::{self, ImageError, Reference, Store},
    state::Draft,
};
use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};

/// Save one or more images to a tar archive (streamed to standard output by default)
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Write to a file, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Names or ids; a repository without a tag stands for all its tags
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

const BUFFER: usize = 1 << 20;

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let store = Store::open(&cx.layout)?;
    let mut references = Vec::new();
    for text in &args.images {
        for reference in meant(&store, text)? {
            if !references.contains(&reference) {
                references.push(reference);
            }
        }
    }
    match &args.output {
        Some(path) => to_file(&store, &references, &cx.env.cwd.join(path))?,
        None if cx.out.terminal => {
            return Err(Error::Usage(
                "an archive is not for a terminal: name a file with --output, or redirect".into(),
            ));
        }
        None => {
            image::save(&store, &references, BufWriter::with_capacity(BUFFER, &mut cx.out)).map_err(closed)?;
        }
    }
    Ok(Code::SUCCESS)
}

/// `app:1` is one image; `app` all tags of it.
fn meant(store: &Store, text: &str) -> Result<Vec<Reference>, ImageError> {
    if let Ok(Reference::Registry(name)) = Reference::parse(text)
        && name.digest().is_none()
        && !text.ends_with(&format!(":{}", name.tag().unwrap_or_default()))
    {
        let names = store.names_of(&name)?;
        if !names.is_empty() {
            return Ok(names);
        }
    }
    let image = store.resolve(text)?;
    match Reference::parse(text) {
        // By its id it goes without a name, as with docker.
        Ok(Reference::Registry(_)) if image.reference != Reference::Id(id_of(&image)?) => Ok(vec![image.reference]),
        _ => Ok(vec![Reference::Id(id_of(&image)?)]),
    }
}

fn id_of(image: &image::Image) -> Result<image::Digest, ImageError> {
    match Reference::parse(image.id.as_str()) {
        Ok(Reference::Id(digest)) => Ok(digest),
        _ => Err(ImageError::NotStored { image: image.reference.to_string() }),
    }
}

/// Whole or not at all.
fn to_file(store: &Store, references: &[Reference], path: &Path) -> Result<(), Error> {
    // A device or a pipe is written to as it is.
    if path.exists() && !path.is_file() {
        let file = std::fs::File::create(path).map_err(Error::file("write", path))?;
        return Ok(image::save(store, references, BufWriter::with_capacity(BUFFER, file))?);
    }
    let draft = Draft::beside(path, 0o600).map_err(Error::file("write", path))?;
    image::save(store, references, BufWriter::with_capacity(BUFFER, draft.file()))?;
    draft.place().map_err(Error::file("write", path))?;
    Ok(())
}

/// The reader of standard output has gone.
fn closed(error: ImageError) -> Error {
    match error {
        ImageError::Write { source } => Error::Output(source),
        other => other.into(),
    }
}
