//! What a name stands for: manifest and configuration for a platform.

use super::{Registry, cause, read_bounded, retry::Attempt};
use crate::image::{
    digest::Digest,
    error::{ImageError, Result},
    platform::{self, Target},
    progress::Progress,
    reference::Reference,
    source::{
        From, Package, Part,
        manifest::{self, Blob, MAX_CONFIG, MAX_MANIFEST, Parsed},
    },
};
use reqwest::{Response, StatusCode, Url, header};

const MAX_DEPTH: u32 = 3;

impl Registry {
    /// Digest of what the name stands for, without fetching it. `None` when the registry does not tell.
    pub async fn head(&self) -> Result<Option<Digest>> {
        let url = self.url("manifests", &self.name.selector())?;
        let response =
            self.request(&url, &|client| client.head(url.clone()).header(header::ACCEPT, manifest::ACCEPT)).await?;
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(self.failure(response).await);
        }
        Ok(header_digest(&response))
    }

    /// The same for a registry that does not tell: the manifest is fetched.
    pub async fn top(&self) -> Result<Digest> {
        let (bytes, _) = self.manifest(&self.name.selector(), self.name.digest()).await?;
        Ok(Digest::of(&bytes))
    }

    /// Manifest and configuration for a platform. Layers are only named; `blob::fetch` reads them.
    pub async fn resolve(&self, wanted: &[Target]) -> Result<Package> {
        let selector = self.name.selector();
        let (bytes, declared) = self.manifest(&selector, self.name.digest()).await?;
        let top = Digest::of(&bytes);
        let (manifest, bytes) = self.descend(bytes, declared, wanted).await?;
        let config = self.small_blob(&manifest.config).await?;
        let part = |layer: &Blob| Part {
            digest: Some(layer.digest),
            size: Some(layer.size),
            media_type: layer.media_type.clone(),
            from: From::Registry,
        };
        let mut package = Package::new(self.name.familiar(), config, manifest.layers.iter().map(part).collect())?;
        package.manifest = Some((bytes, manifest.media_type));
        package.names = vec![Reference::Registry(match self.name.digest() {
            Some(digest) => self.name.at(digest),
            None => self.name.clone(),
        })];
        package.repo_digest = Some(self.name.at(top).to_string());
        Ok(package)
    }

    async fn descend(
        &self,
        mut bytes: Vec<u8>,
        mut declared: Option<String>,
        wanted: &[Target],
    ) -> Result<(manifest::Manifest, Vec<u8>)> {
        for _ in 0..MAX_DEPTH {
            let parsed = manifest::parse(&bytes, declared.as_deref()).map_err(|error| self.not(error.to_string()))?;
            let entries = match parsed {
                Parsed::Image(manifest) => return Ok((manifest, bytes)),
                Parsed::Index(entries) => entries,
            };
            let entry = platform::choose(&entries, wanted).ok_or_else(|| ImageError::NoPlatform {
                image: self.name.familiar(),
                wanted: wanted.first().map(Target::name).unwrap_or_default(),
                available: platform::names(&entries),
            })?;
            let blob = Blob::of(entry).map_err(|error| self.not(error.to_string()))?;
            (bytes, _) = self.manifest(&blob.digest.to_string(), Some(blob.digest)).await?;
            declared = Some(blob.media_type);
        }
        Err(self.not("its indexes have no end".into()))
    }

    pub(super) async fn manifest(&self, selector: &str, expected: Option<Digest>) -> Result<(Vec<u8>, Option<String>)> {
        (self.report)(Progress::Resolving);
        let url = self.url("manifests", selector)?;
        let (bytes, response_type, told) = self.document(&url, manifest::ACCEPT, MAX_MANIFEST).await?;
        // A tag has no digest of its own: then the registry's header, when there is one, guards against a torn answer.
        self.check("manifest", &bytes, expected.or(told))?;
        Ok((bytes, response_type))
    }

    pub(super) async fn small_blob(&self, blob: &Blob) -> Result<Vec<u8>> {
        let url = self.url("blobs", &blob.digest.to_string())?;
        let (bytes, ..) = self.document(&url, "*/*", MAX_CONFIG).await?;
        self.check("configuration", &bytes, Some(blob.digest))?;
        Ok(bytes)
    }

    fn check(&self, what: &str, bytes: &[u8], expected: Option<Digest>) -> Result<()> {
        let actual = Digest::of(bytes);
        match expected.filter(|expected| *expected != actual) {
            None => Ok(()),
            Some(expected) => {
                let (image, what) = (self.name.familiar(), format!("its {what}"));
                Err(ImageError::DigestMismatch { image, what, expected, actual })
            }
        }
    }

    /// A whole answer, its type, and the digest that its header tells.
    async fn document(&self, url: &Url, accept: &str, limit: u64) -> Result<(Vec<u8>, Option<String>, Option<Digest>)> {
        let mut attempt = Attempt::first();
        loop {
            let response = self.request(url, &|client| client.get(url.clone()).header(header::ACCEPT, accept)).await?;
            if !response.status().is_success() {
                return Err(self.failure(response).await);
            }
            let declared = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let declared = declared.map(|value| value.split(';').next().unwrap_or_default().trim().to_owned());
            let told = header_digest(&response);
            match read_bounded(response, limit).await {
                Ok(Some(bytes)) => return Ok((bytes, declared, told)),
                Ok(None) => return Err(self.distrusted(format!("it sends a document of more than {limit} bytes"))),
                Err(error) => self.pause(&mut attempt, url, cause(&error), None).await?,
            }
        }
    }
}

pub(super) fn header_digest(response: &Response) -> Option<Digest> {
    response.headers().get("docker-content-digest")?.to_str().ok()?.parse().ok()
}
