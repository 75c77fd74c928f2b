//! The files of one `certs.d/HOST[:PORT]`: whom to believe, and who we are.

use super::{HostsError, is_absent};
use reqwest::{Certificate, ClientBuilder, Identity};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Paths; the files are read when a connection is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// PEM, one or several in a file.
    pub authorities: Vec<PathBuf>,
    /// Certificate and key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Certificates {
    /// Adds what a directory has; one that is not there has nothing.
    pub fn gather(&mut self, directory: &Path) -> Result<(), HostsError> {
        let wrong = |source| HostsError::Read { path: directory.to_owned(), source };
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(wrong(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            files.push(entry.map_err(wrong)?.path());
        }
        files.sort();
        for file in &files {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.authorities.push(file.clone()),
                Some("cert") => {
                    let key = file.with_extension("key");
                    if !files.contains(&key) {
                        let reason = format!("its key {} is not there", key.display());
                        return Err(HostsError::Unusable { path: file.clone(), reason });
                    }
                    self.client = Some((file.clone(), key));
                }
                Some("key") if !files.contains(&file.with_extension("cert")) => {
                    let reason = "the certificate that it is the key of is not there; one ends in .cert".to_owned();
                    return Err(HostsError::Unusable { path: file.clone(), reason });
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, HostsError> {
        let read = |path: &Path| fs::read(path).map_err(|source| HostsError::Read { path: path.to_owned(), source });
        let unusable =
            |path: &Path, reason: &str| HostsError::Unusable { path: path.to_owned(), reason: reason.to_owned() };
        for path in &self.authorities {
            let certificates = Certificate::from_pem_bundle(&read(path)?)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| unusable(path, "it holds no PEM certificate"))?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some((certificate, key)) = &self.client {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            let identity = Identity::from_pem(&pem);
            let identity = identity.map_err(|_| unusable(certificate, "with its key it is no PEM pair"))?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }
}
