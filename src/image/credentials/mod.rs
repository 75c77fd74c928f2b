//! Credentials for registries: Docker's `config.json` and its credential helpers, read and written. Looked up per
//! registry and only when a registry asks; never logged.
//!
//! ```text
//! credHelpers.REGISTRY   the helper of that registry
//! credsStore             the helper of all others
//! auths.REGISTRY         in the file itself, where there is no helper
//! ```

mod file;
mod helper;

use super::hosts::{DOCKER_HUB, Hosts, HostsError};
use file::ConfigFile;
use helper::{Helper, HelperError};
use std::{
    env, fmt, io,
    path::{Path, PathBuf},
};

/// Docker Hub's key in `auths`, older than the name `docker.io`.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where to look credentials up.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    config: Option<PathBuf>,
    /// Counts before the file, for its registry.
    given: Option<(String, Login)>,
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

/// Who keeps what was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// `docker-credential-…`
    Helper(String),
    /// The file, where whoever can read it reads the password.
    File(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not Docker's config.json: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{}: credentials for {registry}: {reason}", path.display())]
    Unusable { path: PathBuf, registry: String, reason: String },
    #[error("there is no place for credentials: neither DOCKER_CONFIG nor HOME is set")]
    NoPlace,
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
        Self { config, given: None }
    }

    /// The same, but for one registry with what a person has just said.
    pub fn with(self, registry: &str, login: Login) -> Self {
        Self { given: Some((registry.to_owned(), login)), ..self }
    }

    /// How registries are reached by the files of this host and of whoever's credentials these are.
    pub fn hosts(&self) -> Result<Hosts, HostsError> {
        Hosts::read(self.config.as_deref().and_then(Path::parent))
    }

    /// Blocks: it may run a credential helper.
    pub fn login(&self, registry: &str) -> Result<Login, CredentialError> {
        if let Some((_, login)) = self.given.as_ref().filter(|(given, _)| given == registry) {
            return Ok(login.clone());
        }
        let Some(path) = &self.config else { return Ok(Login::Anonymous) };
        let file = ConfigFile::read(path)?;
        let key = key_of(registry);
        let unusable =
            |reason: String| CredentialError::Unusable { path: path.clone(), registry: registry.to_owned(), reason };
        match file.helper(key) {
            Some(name) => match Helper::new(&name).get(key) {
                Ok(login) => Ok(login.unwrap_or_else(|| file.login(key).ok().flatten().unwrap_or(Login::Anonymous))),
                Err(error) => Err(unusable(error.to_string())),
            },
            None => Ok(file.login(key).map_err(unusable)?.unwrap_or(Login::Anonymous)),
        }
    }

    /// Keeps a login where the file says: with a helper, else in the file. Nothing else in the file changes.
    pub fn store(&self, registry: &str, login: &Login) -> Result<Keeper, CredentialError> {
        let path = self.config.as_ref().ok_or(CredentialError::NoPlace)?;
        let key = key_of(registry);
        let mut file = ConfigFile::lock(path)?;
        let keeper = match file.helper(key) {
            Some(name) => {
                let helper = Helper::new(&name);
                helper.store(key, login).map_err(|error| unusable(path, registry, &error))?;
                // As docker does: the entry says that there is a login, and keeps nothing of it.
                file.put(key, &Login::Anonymous);
                Keeper::Helper(helper.program())
            }
            None => {
                file.put(key, login);
                Keeper::File(path.clone())
            }
        };
        file.write()?;
        Ok(keeper)
    }

    /// Forgets a login, wherever it is. `false` when there was none.
    pub fn erase(&self, registry: &str) -> Result<bool, CredentialError> {
        let path = self.config.as_ref().ok_or(CredentialError::NoPlace)?;
        let key = key_of(registry);
        let mut file = ConfigFile::lock(path)?;
        let mut known = file.remove(key);
        if let Some(name) = file.helper(key) {
            known |= Helper::new(&name).erase(key).map_err(|error| unusable(path, registry, &error))?;
        }
        if known {
            file.write()?;
        }
        Ok(known)
    }

    /// The user that a registry is known to have a login of, to offer it again.
    pub fn user(&self, registry: &str) -> Option<String> {
        match self.login(registry) {
            Ok(Login::Password { user, .. }) => Some(user),
            _ => None,
        }
    }
}

fn unusable(path: &Path, registry: &str, error: &HelperError) -> CredentialError {
    CredentialError::Unusable { path: path.to_owned(), registry: registry.to_owned(), reason: error.to_string() }
}

fn key_of(registry: &str) -> &str {
    if registry == DOCKER_HUB { DOCKER_HUB_KEY } else { registry }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new(config: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("config.json"), config).unwrap();
            Self { dir }
        }
        fn path(&self) -> PathBuf {
            self.dir.path().join("config.json")
        }
        fn credentials(&self) -> Credentials {
            Credentials::from_docker_config(Some(&self.path()))
        }
        fn text(&self) -> String {
            fs::read_to_string(self.path()).unwrap()
        }
    }

    fn me() -> Login {
        Login::Password { user: "me".into(), password: "p:w".into() }
    }

    #[test]
    fn a_registry_finds_its_own_entry_and_no_other() {
        // base64 of `me:p:w`
        let place = Place::new(
            r#"{"auths":{"localhost:5000":{"auth":"bWU6cDp3"},"https://index.docker.io/v1/":{"auth":"bWU6cDp3"},
            "https://old.example/v1/":{"username":"me","password":"p:w"}}}"#,
        );
        let login = |registry| place.credentials().login(registry).unwrap();
        assert_eq!(login("localhost:5000"), me());
        assert_eq!(login("docker.io"), me());
        assert_eq!(login("old.example"), me());
        assert_eq!(login("localhost:5001"), Login::Anonymous);
        assert_eq!(login("ghcr.io"), Login::Anonymous);
        assert_eq!(format!("{:?}", me()), "Password(…)");
    }

    #[test]
    fn an_identity_token_is_one() {
        let place = Place::new(r#"{"auths":{"r.example":{"auth":"","identitytoken":"t"}}}"#);
        assert_eq!(place.credentials().login("r.example").unwrap(), Login::IdentityToken("t".into()));
    }

    #[test]
    fn a_missing_file_is_anonymous_and_a_damaged_one_is_named() {
        let none = Credentials::from_docker_config(Some(Path::new("/nonexistent/config.json")));
        assert_eq!(none.login("ghcr.io").unwrap(), Login::Anonymous);
        let error = |config: &str| Place::new(config).credentials().login("ghcr.io").unwrap_err().to_string();
        assert!(error("{").contains("config.json is not Docker's config.json"));
        assert!(error("[]").contains("is not Docker's config.json"));
        assert!(error(r#"{"auths":{"ghcr.io":{"auth":"%%%"}}}"#).contains("credentials for ghcr.io"));
        let error = error(r#"{"credHelpers":{"ghcr.io":"no-such-helper-here"}}"#);
        assert!(error.contains("cannot run `docker-credential-no-such-helper-here`"), "{error}");
    }

    #[test]
    fn a_login_is_kept_and_forgotten_and_nothing_else_of_the_file_is() {
        let place =
            Place::new(r#"{"psFormat":"x","auths":{"other":{"auth":"eDp5","extra":1}},"HttpHeaders":{"A":"b"}}"#);
        let credentials = place.credentials();
        assert_eq!(credentials.store("r.example", &me()).unwrap(), Keeper::File(place.path()));
        assert_eq!(credentials.login("r.example").unwrap(), me());
        assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
        credentials.store("docker.io", &Login::IdentityToken("t".into())).unwrap();
        assert_eq!(credentials.login("docker.io").unwrap(), Login::IdentityToken("t".into()));
        assert!(credentials.erase("r.example").unwrap() && credentials.erase("docker.io").unwrap());
        assert!(!credentials.erase("r.example").unwrap());
        assert_eq!(credentials.login("r.example").unwrap(), Login::Anonymous);
        let left: serde_json::Value = serde_json::from_str(&place.text()).unwrap();
        let before = r#"{"psFormat":"x","auths":{"other":{"auth":"eDp5","extra":1}},"HttpHeaders":{"A":"b"}}"#;
        assert_eq!(left.to_string(), before);
        assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn the_first_login_makes_directory_and_file_for_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home/.docker/config.json");
        let credentials = Credentials::from_docker_config(Some(&path));
        credentials.store("r.example", &me()).unwrap();
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(credentials.user("r.example").as_deref(), Some("me"));
        assert!(matches!(Credentials::none().store("r.example", &me()), Err(CredentialError::NoPlace)));
    }

    #[test]
    fn a_file_behind_a_link_stays_behind_it() {
        let place = Place::new("{}");
        let real = place.dir.path().join("real.json");
        fs::rename(place.path(), &real).unwrap();
        std::os::unix::fs::symlink("real.json", place.path()).unwrap();
        place.credentials().store("r.example", &me()).unwrap();
        assert!(fs::symlink_metadata(place.path()).unwrap().is_symlink());
        assert!(fs::read_to_string(real).unwrap().contains("r.example"));
    }
}
