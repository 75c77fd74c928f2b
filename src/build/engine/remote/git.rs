//! The host's git, run over repositories that nobody vouches for.
//!
//! As BuildKit runs it: nothing of this host's or this user's configuration counts, nobody is asked for a password, no
//! hook and no file system monitor runs, and nothing is fetched but over `https`, `http`, `git` and `ssh`: no `ext::`,
//! which is a command, and no `file`, which is a directory of this host. Addresses stand in the repository's
//! configuration and logins in the environment, not among the arguments, which everybody on the host can read.

use super::{
    super::input::Secret,
    error::{RemoteError, Result},
};
use crate::{
    build::remote::{GitUrl, redacted},
    state::{Durability, record},
};
use base64::Engine as _;
use reqwest::Url;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

/// For every git that runs, those of submodules among them.
const CONFIGURATION: &str = "\
[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tlogAllRefUpdates = false
\taskPass =
[credential]
\thelper =
[http]
\tlowSpeedLimit = 1
\tlowSpeedTime = 60
[gc]
\tauto = 0
[maintenance]
\tauto = false
[fetch]
\trecurseSubmodules = false
\tunpackLimit = 1
\twriteCommitGraph = false
[init]
\tdefaultBranch = master
\ttemplateDir =
[advice]
\tdetachedHead = false
";
const PROTOCOLS: &str = "http:https:git:ssh";
/// Of the environment of whoever builds, what git is told.
const PASSED: [&str; 14] = [
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "TMPDIR",
];
/// Git writes what may be read by others so; files of a context would differ by the umask of whoever builds. However
/// muster ends, its end of the pipe is closed, and git is killed with its helpers, which are its process group.
const SCRIPT: &str = "umask 022
exec 3<&0 </dev/null
git \"$@\" 3<&- & git=$!
(read -r _ <&3; kill -9 -- -$$) >/dev/null 2>&1 & watch=$!
exec 3<&-
wait $git; code=$?
kill $watch
exit $code";
const NOT_FOUND: i32 = 127;
/// Of what git says.
const MAX_OUTPUT: u64 = 16 << 20;

/// What a build may use to get at repositories.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub environment: BTreeMap<String, String>,
    /// Socket of an agent, for `ssh`.
    pub agent: Option<PathBuf>,
    /// `GIT_AUTH_TOKEN` and `GIT_AUTH_HEADER`, with the host behind a dot or for all.
    pub secrets: BTreeMap<String, Secret>,
}

pub struct Git<'a> {
    pub url: &'a GitUrl,
    access: &'a Access,
    /// Where the configuration is.
    home: PathBuf,
    login: Option<Login>,
}

/// What a server is told of whoever asks, and where.
struct Login {
    /// Addresses that begin so.
    scope: String,
    header: String,
}

/// What git said when it failed.
pub struct Failure {
    pub text: String,
    missing: bool,
}

impl<'a> Git<'a> {
    /// `home` is written where it is not.
    pub fn new(url: &'a GitUrl, access: &'a Access, home: PathBuf) -> Result<Self> {
        record::write_bytes(&home.join(".gitconfig"), CONFIGURATION.as_bytes(), Durability::Volatile)?;
        Ok(Self { url, access, home, login: login(url, access)? })
    }

    pub fn shown(&self) -> String {
        redacted(&self.url.remote)
    }

    /// What it writes, or an error that says what git said.
    pub async fn run(&self, verb: &'static str, dir: &Path, args: &[&OsStr], env: &[(&str, &OsStr)]) -> Result<String> {
        self.try_run(dir, args, env).await?.map_err(|failure| self.failed(verb, &failure))
    }

    pub fn failed(&self, verb: &'static str, failure: &Failure) -> RemoteError {
        if failure.missing {
            return RemoteError::NoGit { url: self.shown() };
        }
        let mut reason = self.scrubbed(&failure.text);
        if reason.contains("terminal prompts disabled") || reason.contains("Authentication failed") {
            reason.push_str("; a login is the build secret GIT_AUTH_TOKEN, or GIT_AUTH_TOKEN.HOST");
        } else if self.url.is_ssh() && reason.contains("Permission denied (publickey") && self.access.agent.is_none() {
            reason.push_str("; build.ssh: [default] lets the build use your agent");
        } else if self.login.is_some() && reason.contains("returned error: 30") {
            reason.push_str("; it redirects, and a login is not taken to another address; write the one it leads to");
        } else if reason.contains("cannot run ssh") {
            reason.push_str("; install the package openssh-client");
        }
        RemoteError::Git { verb, url: self.shown(), reason }
    }

    /// The last lines, without a login.
    fn scrubbed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Ok(url) = Url::parse(&self.url.remote)
            && !matches!(url.scheme(), "ssh")
        {
            for secret in [url.password(), Some(url.username())].into_iter().flatten().filter(|s| !s.is_empty()) {
                text = text.replace(secret, "xxxxx");
            }
        }
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.iter().skip(lines.len().saturating_sub(6));
        let told: Vec<String> = last.map(|line| line.chars().filter(|c| !c.is_control()).take(500).collect()).collect();
        if told.is_empty() { "git failed and does not say why".into() } else { told.join("; ") }
    }

    /// # Errors
    /// That it cannot be run; what it says itself is a `Failure`.
    pub async fn try_run(
        &self,
        dir: &Path,
        args: &[&OsStr],
        env: &[(&str, &OsStr)],
    ) -> Result<std::result::Result<String, Failure>> {
        let broken =
            |source: io::Error| RemoteError::Git { verb: "run git for", url: self.shown(), reason: source.to_string() };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "git"]).args(args).current_dir(dir).env_clear();
        for name in PASSED {
            if let Some(value) = self.access.environment.get(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", self.home.join(".gitconfig"))
            .env("GIT_ALLOW_PROTOCOL", PROTOCOLS)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSH_COMMAND", self.ssh_command())
            .env("LC_ALL", "C");
        if let Some(agent) = &self.access.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        if let Some(login) = &self.login {
            command.env("GIT_CONFIG_COUNT", "2");
            // Git goes on with the address that it was led to, and takes its headers there.
            let settings = [("extraHeader", login.header.as_str()), ("followRedirects", "false")];
            for (number, (name, value)) in settings.into_iter().enumerate() {
                command.env(format!("GIT_CONFIG_KEY_{number}"), format!("http.{}.{name}", login.scope));
                command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
            }
        }
        command.envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
        let mut child = command.spawn().map_err(broken)?;
        let mut group = Group(child.id());
        // To be closed by our end alone; waiting for the child would close it.
        let _alive = child.stdin.take();
        let (output, said) = tokio::join!(read(child.stdout.take()), read(child.stderr.take()));
        let status = child.wait().await.map_err(broken)?;
        group.0 = None;
        if status.success() {
            return Ok(Ok(String::from_utf8_lossy(&output).into_owned()));
        }
        let text = String::from_utf8_lossy(&said).into_owned();
        Ok(Err(Failure { missing: status.code() == Some(NOT_FOUND), text }))
    }

    /// A host that is new is noted with its key, one whose key has changed is refused. Nobody is asked.
    fn ssh_command(&self) -> String {
        let known = self.home.join("known_hosts");
        // ssh reads the value as a list of files, and git the whole as a shell does.
        format!(
            "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ServerAliveInterval=15 \
             -o 'UserKnownHostsFile=\"{}\" ~/.ssh/known_hosts'",
            known.display()
        )
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What is cut off ends git by SIGPIPE, which is told as a failure.
        let _ = pipe.take(MAX_OUTPUT).read_to_end(&mut bytes).await;
    }
    bytes
}

/// Git has helpers, which nothing else would end.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

/// The login for this host.
fn login(url: &GitUrl, access: &Access) -> Result<Option<Login>> {
    let Ok(parsed) = Url::parse(&url.remote) else { return Ok(None) };
    let host = parsed.host_str().unwrap_or_default();
    if !matches!(parsed.scheme(), "http" | "https") {
        return Ok(None);
    }
    let names = [
        (format!("GIT_AUTH_HEADER.{host}"), false),
        (format!("GIT_AUTH_TOKEN.{host}"), true),
        ("GIT_AUTH_HEADER".to_owned(), false),
        ("GIT_AUTH_TOKEN".to_owned(), true),
    ];
    let Some((secret, is_token)) =
        names.iter().find_map(|(name, is_token)| Some((access.secrets.get(name)?, *is_token)))
    else {
        return Ok(None);
    };
    let bytes = match secret {
        Secret::Bytes(bytes) => bytes.clone(),
        Secret::File(path) => std::fs::read(path).map_err(RemoteError::file("read the secret", path))?,
    };
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    let value = match is_token {
        true => {
            let login = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{text}"));
            format!("basic {login}")
        }
        false => text,
    };
    // For this repository alone, so that a submodule elsewhere does not get it; GitHub's are one house.
    let scope = match host {
        "github.com" | "www.github.com" => format!("https://{host}/"),
        _ => url.remote.clone(),
    };
    Ok(Some(Login { scope, header: format!("Authorization: {value}") }))
}
