//! `muster image inspect`: what an image says about itself, in docker's form.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
    },
    image::{Image, ImageError, Reference, Store},
};
use serde_json::{Value, json};
use std::io::Write;

/// Display detailed information on one or more images
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Output format; JSON is the only one
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    format: Option<Form>,
    /// Names or ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Json,
}

/// What is found is shown; the first error is the verb's.
pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let store = Store::open(&cx.layout)?;
    let (mut found, mut failed): (Vec<Value>, Option<ImageError>) = (Vec::new(), None);
    let all = store.list()?;
    for text in &args.images {
        match store.resolve(text).and_then(|image| describe(&image, &all, &store)) {
            Ok(value) => found.push(value),
            Err(error) if failed.is_none() => failed = Some(error),
            Err(error) => cx.warn(&error.to_string())?,
        }
    }
    let text = match args.format {
        Some(Form::Json) => serde_json::to_string(&found),
        None => serde_json::to_string_pretty(&found),
    };
    writeln!(cx.out, "{}", text.map_err(std::io::Error::from)?)?;
    failed.map_or(Ok(Code::SUCCESS), |error| Err(Error::from(error)))
}

fn describe(image: &Image, all: &[Image], store: &Store) -> Result<Value, ImageError> {
    let document: Value =
        store.configuration(image)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let names: Vec<String> = all
        .iter()
        .filter(|other| other.id == image.id && matches!(other.reference, Reference::Registry(_)))
        .map(|other| other.reference.familiar())
        .collect();
    let digests: Vec<String> = image
        .repo_digests
        .iter()
        .map(|digest| Reference::parse(digest).map_or_else(|_| digest.clone(), |reference| reference.familiar()))
        .collect();
    Ok(json!({
        "Id": image.id.as_str(),
        "RepoTags": names,
        "RepoDigests": digests,
        "Comment": text("comment"),
        "Created": image.created,
        "Author": text("author"),
        "Architecture": text("architecture"),
        "Variant": text("variant"),
        "Os": text("os"),
        "Size": image.size,
        "Config": document.get("config").cloned().unwrap_or(Value::Null),
        "RootFS": {
            "Type": "layers",
            "Layers": document.pointer("/rootfs/diff_ids").cloned().unwrap_or_else(|| json!([])),
        },
    }))
}
