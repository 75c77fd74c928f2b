//! Builds images of services.

use super::{context::Context, exit::Error};
use crate::model::Project;

/// Builds the images of the named services, each of which has a `build`, and shows how it goes.
pub fn services(_: &mut Context, _: &Project, names: &[String]) -> Result<(), Error> {
    Err(Error::Refused {
        message: format!("cannot build {} yet", names.join(", ")),
        hint: Some("build the image with another tool and `muster load` its archive".into()),
    })
}
