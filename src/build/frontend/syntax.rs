//! `# syntax=`: which frontends this one stands for.

use super::{
    Options,
    error::{Error, Problem},
};
use crate::{
    build::dockerfile::{Directives, Place},
    image::Reference,
};

/// Docker's own, stable and with what is tried out, under each of its names.
const OURS: [&str; 4] =
    ["docker/dockerfile", "docker/dockerfile-upstream", "docker/dockerfile-copy", "docker/dockerfile-experimental"];

pub fn check(directives: &Directives, options: &Options) -> Result<(), Error> {
    let given = options.args.get("BUILDKIT_SYNTAX").map(|text| (text.as_str(), 0));
    let written = directives.syntax.as_ref().map(|(text, line)| (text.as_str(), *line));
    let Some((text, line)) = given.or(written) else { return Ok(()) };
    // What follows a space are arguments of the frontend.
    let name = text.split_whitespace().next().unwrap_or_default();
    let known = match Reference::parse(name) {
        Ok(Reference::Registry(name)) => is_ours(name.registry(), name.repository()),
        _ => false,
    };
    match known {
        true => Ok(()),
        false => Err(Error::new(Place::new(line, line.min(1)), Problem::Frontend { name: name.to_owned() })),
    }
}

/// On other registries stand copies of it, often below the name of the one that they are of.
fn is_ours(registry: &str, repository: &str) -> bool {
    let copy_of = |ours: &str| repository.strip_suffix(ours).is_some_and(|above| above.ends_with('/'));
    OURS.contains(&repository) || (registry != "docker.io" && OURS.into_iter().any(copy_of))
}
