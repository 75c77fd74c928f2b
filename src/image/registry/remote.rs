//! The places where an image may be had, in turn: mirrors, and the registry itself.

use super::{Access, Registry, blob::Chunk};
use crate::image::{
    credentials::Credentials,
    digest::Digest,
    error::{ImageError, Result},
    hosts::Endpoint,
    platform::Target,
    progress::{Progress, Report},
    reference::Name,
    source::{Package, manifest::Blob},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OnceCell, mpsc};

pub(in crate::image) struct Remote {
    name: Name,
    credentials: Credentials,
    report: Report,
    places: Vec<Place>,
}

struct Place {
    endpoint: Endpoint,
    registry: OnceCell<Arc<Registry>>,
}

/// Asks the places in turn. A macro, because what is asked is a future that borrows the registry.
macro_rules! first {
    ($remote:expr, $registry:ident => $ask:expr) => {{
        for place in &$remote.places {
            let answer = match $remote.connect(place).await {
                Ok($registry) => $ask,
                Err(error) => Err(error),
            };
            if let Some(answer) = $remote.settles(place, answer) {
                return answer;
            }
        }
        Err($remote.nowhere())
    }};
}

impl Remote {
    pub fn open(name: &Name, credentials: &Credentials, report: Report) -> Result<Arc<Self>> {
        let endpoints = credentials.hosts()?.endpoints(name.registry())?;
        let places = endpoints.into_iter().map(|endpoint| Place { endpoint, registry: OnceCell::new() }).collect();
        Ok(Arc::new(Self { name: name.clone(), credentials: credentials.clone(), report, places }))
    }

    /// Digest of what the name stands for; `None` when the registry does not tell it without the manifest.
    pub async fn head(&self) -> Result<Option<Digest>> {
        first!(self, registry => registry.head().await)
    }

    pub async fn top(&self) -> Result<Digest> {
        first!(self, registry => registry.top().await)
    }

    pub async fn resolve(&self, wanted: &[Target]) -> Result<Package> {
        first!(self, registry => registry.resolve(wanted).await)
    }

    /// A manifest as it is, whatever it is for.
    pub async fn manifest(&self, selector: &str, expected: Option<Digest>) -> Result<Vec<u8>> {
        first!(self, registry => registry.manifest(selector, expected).await.map(|(bytes, _)| bytes))
    }

    /// A document that a manifest names.
    pub async fn small_blob(&self, blob: &Blob) -> Result<Vec<u8>> {
        first!(self, registry => registry.small_blob(blob).await)
    }

    /// What one place has sent the next one need not.
    pub(super) async fn send_blob(&self, digest: Digest, from: u64, sender: &mpsc::Sender<Chunk>) -> Result<()> {
        let mut sent = from;
        first!(self, registry => registry.send_blob(digest, &mut sent, sender).await)
    }

    /// The answer that counts. A mirror's failure does not: the next place is asked.
    fn settles<T>(&self, place: &Place, answer: Result<T>) -> Option<Result<T>> {
        match answer {
            Err(error) if place.endpoint.is_mirror => {
                let (what, why) = (format!("mirror {}", place.endpoint.host), error.to_string());
                (self.report)(Progress::Retrying { what, why, wait: Duration::ZERO });
                None
            }
            answer => Some(answer),
        }
    }

    fn nowhere(&self) -> ImageError {
        let reason = "no registry is configured for it".to_owned();
        ImageError::Abandoned { image: self.name.familiar(), reason }
    }

    async fn connect<'a>(&self, place: &'a Place) -> Result<&'a Registry> {
        let connect =
            || Registry::connect(&self.name, &place.endpoint, &self.credentials, Access::Pull, self.report.clone());
        place.registry.get_or_try_init(connect).await.map(Arc::as_ref)
    }
}
