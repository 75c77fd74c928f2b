//! `muster image ls`: the images of this host.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Error, Outcome},
        output::{Format, image_list},
    },
    image::{Image, Reference, Store},
};
use jiff::Timestamp;
use std::io::Write;

/// List images
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Show all images; there are no intermediate ones to hide
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// dangling=BOOL, label=KEY[=VALUE], reference=PATTERN, before=IMAGE or since=IMAGE
    #[arg(short, long = "filter", value_name = "FILTER", value_parser = Filter::parse)]
    filters: Vec<Filter>,
    /// Output format; JSON is an object a line
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Do not shorten ids
    #[arg(long)]
    no_trunc: bool,
    /// Only show ids
    #[arg(short, long)]
    quiet: bool,
    /// REPOSITORY[:TAG], `*` and `?` stand for any characters but `/`
    #[arg(value_name = "REPOSITORY")]
    repository: Option<String>,
}

#[derive(Clone, Debug)]
enum Filter {
    Dangling(bool),
    Label(String, Option<String>),
    Reference(String),
    Before(String),
    Since(String),
}

impl Filter {
    fn parse(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("a filter is KEY=VALUE")?;
        match key {
            "dangling" => match value {
                "true" | "1" => Ok(Self::Dangling(true)),
                "false" | "0" => Ok(Self::Dangling(false)),
                other => Err(format!("dangling is true or false, not `{other}`")),
            },
            "label" => Ok(match value.split_once('=') {
                Some((key, value)) => Self::Label(key.to_owned(), Some(value.to_owned())),
                None => Self::Label(value.to_owned(), None),
            }),
            "reference" => Ok(Self::Reference(value.to_owned())),
            "before" => Ok(Self::Before(value.to_owned())),
            "since" => Ok(Self::Since(value.to_owned())),
            other => Err(format!("`{other}` is no filter of images: dangling, label, reference, before and since are")),
        }
    }

    fn fits(&self, image: &Image, store: &Store) -> Result<bool, Error> {
        Ok(match self {
            Self::Dangling(wanted) => matches!(image.reference, Reference::Id(_)) == *wanted,
            Self::Label(key, value) => {
                image.config.labels.get(key).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
            }
            Self::Reference(pattern) => refers(pattern, &image.reference),
            Self::Before(other) => image.created < store.resolve(other)?.created,
            Self::Since(other) => image.created > store.resolve(other)?.created,
        })
    }
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let store = Store::open(&cx.layout)?;
    let mut images = Vec::new();
    for image in store.list()? {
        let mut fits = args.repository.as_ref().is_none_or(|pattern| refers(pattern, &image.reference));
        for filter in &args.filters {
            fits = fits && filter.fits(&image, &store)?;
        }
        if fits {
            images.push(image);
        }
    }
    let options = image_list::Options { digests: args.digests, whole_ids: args.no_trunc };
    let text = match args.quiet {
        true => image_list::ids(&images, args.no_trunc),
        false => image_list::render(&images, args.format, options, Timestamp::now()).map_err(std::io::Error::from)?,
    };
    cx.out.write_all(text.as_bytes())?;
    Ok(Code::SUCCESS)
}

/// `team/*`, `app:1*`, `app`: as docker matches, a pattern without a tag fits any, and a repository may be written
/// short or with its registry.
fn refers(pattern: &str, reference: &Reference) -> bool {
    let Reference::Registry(name) = reference else { return false };
    let whole = name.to_string();
    let (familiar, short, long) =
        (name.familiar(), name.familiar_repository(), format!("{}/{}", name.registry(), name.repository()));
    [familiar, short, whole, long].iter().any(|text| glob(pattern.as_bytes(), text.as_bytes()))
}

/// `*` and `?`, neither for a slash.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') if text[t] != b'/' => (p, t) = (p + 1, t + 1),
            Some(c) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) if text[from] != b'/' => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_a_repository_or_a_name() {
        let name = |text: &str| Reference::parse(text).unwrap();
        for (pattern, text, fits) in [
            ("app", "app:1", true),
            ("app:1", "app:1", true),
            ("app:2", "app:1", false),
            ("app:*", "app:1", true),
            ("a?p", "app:1", true),
            ("*", "app:1", true),
            ("*", "team/app:1", false),
            ("team/*", "team/app:1", true),
            ("docker.io/library/app", "app:1", true),
            ("ghcr.io/*/app", "ghcr.io/x/app:1", true),
            ("ap", "app:1", false),
        ] {
            assert_eq!(refers(pattern, &name(text)), fits, "{pattern} {text}");
        }
        assert!(Filter::parse("size=3").is_err() && Filter::parse("dangling").is_err());
    }
}
