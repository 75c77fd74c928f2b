//! Results of steps that travel from host to host: `cache_from` and `cache_to`.
//!
//! ```text
//! records   the document: key of a step -> its layer                                             (pure)
//! import    before the build: what the places of `cache_from` know, by key
//! later     a layer that is elsewhere: fetched when its files are needed, or else its step is carried out
//! export    after the build: records and the layers that lack -> the places of `cache_to`, or into the image
//! ```
//!
//! What travels is named by content alone: bases by the chain of their layers, contexts by their files. A result in
//! whose name there is something of this host (a stage that begins with a directory of it) stays here.
//!
//! A cache is trusted as a base image is: whoever can write it decides what is in the layers of the steps that are asked
//! of it, and those serve later builds of the same steps as well, which no longer name it. It cannot do more than that:
//! nothing goes under a key that this host has not come to by itself; what it calls a layer in any other way than that is
//! no name here, so that steps above cannot be taken for those above something else (`Name`); its documents are bounded,
//! its layers have the digests that it says, and are unpacked as any image's.

pub mod export;
pub mod import;
pub mod later;
pub mod records;

use super::{report::Event, step::Engine};
use crate::{
    build::op::StepId,
    image::{Credentials, depot::Place},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

/// The media type of what is exported. Another version of `records` has another one.
pub const KIND: &str = "application/vnd.muster.build.cache.v1+json";
/// The same of any version.
const ANY_KIND: &str = "application/vnd.muster.build.cache.";

/// Where results come from and go to.
#[derive(Clone, Debug, Default)]
pub struct Share {
    pub from: Vec<Place>,
    pub to: Vec<Destination>,
    /// Records ride in the configuration of the image.
    pub inline: bool,
    pub credentials: Credentials,
}

#[derive(Clone, Debug)]
pub struct Destination {
    pub place: Place,
    /// `mode=max`: with the layers of all steps, and not only those that the image has.
    pub every_step: bool,
    /// Without it a cache that cannot be written fails the build.
    pub ignore_error: bool,
    /// Everything goes from the directory that nobody names.
    pub reset: bool,
}

/// What this shows stands behind all steps of a plan.
const FIRST: usize = usize::MAX / 4;

#[derive(Debug, Default)]
pub struct Numbers(AtomicUsize);

/// Work that is no step of the plan, shown as one.
pub struct Task<'a> {
    engine: &'a Engine,
    step: StepId,
    began: Instant,
}

impl<'a> Task<'a> {
    pub fn begin(engine: &'a Engine, title: String) -> Self {
        let step = StepId(FIRST + engine.numbers.0.fetch_add(1, Ordering::Relaxed));
        (engine.report)(Event::Named { step, title });
        (engine.report)(Event::Started(step));
        Self { engine, step, began: Instant::now() }
    }

    pub fn step(&self) -> StepId {
        self.step
    }

    pub fn done(self) {
        (self.engine.report)(Event::Done { step: self.step, took: super::elapsed(self.began) });
    }

    pub fn failed(self, message: String) {
        (self.engine.report)(Event::Failed { step: self.step, message });
    }
}
