//! Docker's `config.json`: what it says about one registry, and a change of just that. The file is other programs' as
//! well, so that every key stays, also those that nobody here knows.

use super::{CredentialError, Login};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

const AUTHS: &str = "auths";

pub(super) struct ConfigFile {
    /// Links followed.
    path: PathBuf,
    content: Map<String, Value>,
    /// Of the directory: two who change the file at once would lose what one of them wrote.
    _lock: Option<File>,
}

impl ConfigFile {
    /// A file that is not there is empty.
    pub fn read(path: &Path) -> Result<Self, CredentialError> {
        let wrong = |source| CredentialError::File { verb: "read", path: path.to_owned(), source };
        let content = match fs::read(path) {
            Ok(text) if text.trim_ascii().is_empty() => Map::new(),
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| CredentialError::Damaged { path: path.to_owned(), reason: error.to_string() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(wrong(error)),
        };
        Ok(Self { path: path.to_owned(), content, _lock: None })
    }

    /// To be changed. Makes the directory where it lacks; waits for whoever changes it now.
    pub fn lock(path: &Path) -> Result<Self, CredentialError> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let directory = path.parent().unwrap_or(Path::new("/"));
        let wrong = |verb| move |source| CredentialError::File { verb, path: directory.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(wrong("make"))?;
        let lock = File::open(directory).map_err(wrong("open"))?;
        lock.lock().map_err(wrong("lock"))?;
        Ok(Self { _lock: Some(lock), ..Self::read(&path)? })
    }

    /// The helper that keeps this registry's login: `pass`, `secretservice`.
    pub fn helper(&self, key: &str) -> Option<String> {
        let named = |value: Option<&Value>| value?.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        let host = host_of(key);
        let own = self.content.get("credHelpers").and_then(Value::as_object).and_then(|helpers| {
            // Docker asks by the key; people write the host for Docker Hub as well.
            named(helpers.get(key)).or_else(|| named(helpers.get(host)))
        });
        own.or_else(|| named(self.content.get("credsStore")))
    }

    /// The entry of a registry, by its very key or by one that means the same host (`https://r.example/v1/`).
    fn entry(&self, key: &str) -> Option<&Map<String, Value>> {
        let auths = self.content.get(AUTHS)?.as_object()?;
        let same_host = || auths.iter().find(|(other, _)| host_of(other) == host_of(key)).map(|(_, entry)| entry);
        auths.get(key).or_else(same_host)?.as_object()
    }

    /// `None` where the file keeps nothing; an error says what is wrong with what it keeps.
    pub fn login(&self, key: &str) -> Result<Option<Login>, String> {
        let Some(entry) = self.entry(key) else { return Ok(None) };
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(token) = text("identitytoken") {
            return Ok(Some(Login::IdentityToken(token.to_owned())));
        }
        if let Some(auth) = text("auth") {
            let decoded = STANDARD.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let decoded = decoded.ok_or("its `auth` is not base64 of `user:password`")?;
            // Docker pads with zero bytes.
            let decoded = decoded.trim_end_matches('\0');
            let (user, password) = decoded.split_once(':').ok_or("its `auth` is not base64 of `user:password`")?;
            return Ok(Some(Login::Password { user: user.to_owned(), password: password.to_owned() }));
        }
        Ok(text("username").map(|user| Login::Password {
            user: user.to_owned(),
            password: text("password").unwrap_or_default().to_owned(),
        }))
    }

    /// Replaces the entry of a registry.
    pub fn put(&mut self, key: &str, login: &Login) {
        let entry = match login {
            Login::Anonymous => json!({}),
            Login::Password { user, password } => json!({"auth": STANDARD.encode(format!("{user}:{password}"))}),
            Login::IdentityToken(token) => {
                json!({"auth": STANDARD.encode("<token>:"), "identitytoken": token})
            }
        };
        let auths = self.content.entry(AUTHS).or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(key.to_owned(), entry);
        }
    }

    /// Takes the entries of a registry away; `false` when there is none.
    pub fn remove(&mut self, key: &str) -> bool {
        let Some(auths) = self.content.get_mut(AUTHS).and_then(Value::as_object_mut) else { return false };
        let before = auths.len();
        auths.retain(|other, _| other != key && host_of(other) != host_of(key));
        auths.len() < before
    }

    /// Whole or not at all, readable by its owner alone.
    pub fn write(&self) -> Result<(), CredentialError> {
        let wrong = |source| CredentialError::File { verb: "write", path: self.path.clone(), source };
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let mut text = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
        serde::Serialize::serialize(&self.content, &mut serializer).map_err(|error| wrong(error.into()))?;
        text.push(b'\n');
        // tempfile makes it 0600.
        let mut file = tempfile::Builder::new().prefix(".config.json-").tempfile_in(directory).map_err(wrong)?;
        file.write_all(&text).map_err(wrong)?;
        file.as_file().set_permissions(Permissions::from_mode(0o600)).map_err(wrong)?;
        if let Ok(old) = fs::metadata(&self.path) {
            // Root writes into the home of somebody (`sudo muster login`): it stays theirs.
            std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid())).map_err(wrong)?;
        }
        file.as_file().sync_all().map_err(wrong)?;
        file.persist(&self.path).map_err(|error| wrong(error.error))?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(wrong)
    }
}

/// `https://r.example/v1/` and `r.example` are one host.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    match host {
        "docker.io" | "registry-1.docker.io" => "index.docker.io",
        host => host,
    }
}
