//! Credentials for registries, from Docker's `config.json` and its credential helpers. Looked up per registry and
//! only when a registry asks; never logged.

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use std::{
    env, fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// Docker Hub's key in `auths`, older than the name `docker.io`.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Where to look credentials up.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    config: Option<PathBuf>,
}

/// What to say to one registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    Anonymous,
    Password {
        user: String,
        password: String,
    },
    /// An OAuth2 refresh token, which a token server changes for an access token.
    IdentityToken(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Password { .. } => "Password(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: credentials for {registry}: {reason}", path.display())]
    Unusable { path: PathBuf, registry: String, reason: String },
}

impl Credentials {
    /// No credentials for anybody.
    pub fn none() -> Self {
        Self::default()
    }

    /// `config.json` at `path`; without a path that of `$DOCKER_CONFIG`, else of `~/.docker`. A file that is not
    /// there means anonymous access.
    pub fn from_docker_config(path: Option<&Path>) -> Self {
        let config = path.map(Path::to_owned).or_else(|| {
            let directory = env::var_os("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".docker")))?;
            Some(directory.join("config.json"))
        });
        Self { config }
    }

    /// Blocks: it may run a credential helper.
    pub fn login(&self, registry: &str) -> Result<Login, CredentialError> {
        let Some(path) = &self.config else { return Ok(Login::Anonymous) };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Login::Anonymous),
            Err(source) => return Err(CredentialError::Read { path: path.clone(), source }),
        };
        let key = if registry == "docker.io" { DOCKER_HUB } else { registry };
        match get_credential_from_reader(io::BufReader::new(file), key) {
            Ok(DockerCredential::UsernamePassword(user, password)) if user.is_empty() && password.is_empty() => {
                Ok(Login::Anonymous)
            }
            Ok(DockerCredential::UsernamePassword(user, password)) => Ok(Login::Password { user, password }),
            Ok(DockerCredential::IdentityToken(token)) => Ok(Login::IdentityToken(token)),
            Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(Login::Anonymous),
            Err(error) if helper_has_none(&error) => Ok(Login::Anonymous),
            Err(error) => Err(CredentialError::Unusable {
                path: path.clone(),
                registry: registry.to_owned(),
                reason: reason(error),
            }),
        }
    }
}

/// The helpers' protocol has this text for it (docker-credential-helpers, `credentials/error.go`).
fn helper_has_none(error: &CredentialRetrievalError) -> bool {
    matches!(error, CredentialRetrievalError::HelperFailure { stdout, .. } if stdout.contains("credentials not found"))
}

/// What a helper prints may hold secrets, so it stays out.
fn reason(error: CredentialRetrievalError) -> String {
    match error {
        CredentialRetrievalError::HelperFailure { helper, .. } => format!("`{helper} get` failed"),
        CredentialRetrievalError::HelperCommunicationError => "cannot run the credential helper it names".into(),
        CredentialRetrievalError::ConfigReadError => "the file is not Docker's config.json".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn login(config: &str, registry: &str) -> Result<Login, CredentialError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, config).unwrap();
        Credentials::from_docker_config(Some(&path)).login(registry)
    }

    #[test]
    fn a_registry_finds_its_own_entry_and_no_other() {
        // base64 of `me:p:w`
        let config =
            r#"{"auths":{"localhost:5000":{"auth":"bWU6cDp3"},"https://index.docker.io/v1/":{"auth":"bWU6cDp3"}}}"#;
        let me = Login::Password { user: "me".into(), password: "p:w".into() };
        assert_eq!(login(config, "localhost:5000").unwrap(), me);
        assert_eq!(login(config, "docker.io").unwrap(), me);
        assert_eq!(login(config, "localhost:5001").unwrap(), Login::Anonymous);
        assert_eq!(login("{}", "ghcr.io").unwrap(), Login::Anonymous);
        assert_eq!(format!("{me:?}"), "Password(…)");
    }

    #[test]
    fn an_identity_token_is_one() {
        let config = r#"{"auths":{"r.example":{"auth":"","identitytoken":"t"}}}"#;
        assert_eq!(login(config, "r.example").unwrap(), Login::IdentityToken("t".into()));
    }

    #[test]
    fn a_missing_file_is_anonymous_and_a_damaged_one_is_named() {
        let none = Credentials::from_docker_config(Some(Path::new("/nonexistent/config.json")));
        assert_eq!(none.login("ghcr.io").unwrap(), Login::Anonymous);
        let error = login("{", "ghcr.io").unwrap_err().to_string();
        assert!(error.contains("config.json: credentials for ghcr.io: the file is not"), "{error}");
        let error = login(r#"{"credHelpers":{"ghcr.io":"no-such-helper-here"}}"#, "ghcr.io").unwrap_err().to_string();
        assert!(error.contains("cannot run the credential helper"), "{error}");
    }
}
