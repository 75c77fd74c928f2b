//! `muster login`: a registry's user and password, kept where docker keeps them.

use crate::{
    cli::{
        apply::{self, interrupted},
        context::Context,
        exit::{Code, Error, Outcome},
        session::terminal,
    },
    image::{self, Keeper, Login},
};
use std::io::{BufRead, IsTerminal, Read, Write};

/// Longer than any token in use.
const MAX_SECRET: u64 = 64 << 10;

/// Log in to a registry
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// User name
    #[arg(short, long)]
    username: Option<String>,
    /// Password or access token; whoever lists processes sees it
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Take the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Host of the registry
    #[arg(value_name = "SERVER", default_value = "docker.io")]
    server: String,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let registry = registry_of(&args.server)?;
    let credentials = cx.credentials();
    if args.password_stdin && args.username.is_none() {
        return Err(Error::Usage("--password-stdin needs --username".into()));
    }
    if args.password.is_some() {
        cx.warn("other users of this host can see a password on the command line; --password-stdin hides it")?;
    }
    let user = match args.username {
        Some(user) => user,
        None => ask_user(cx, credentials.user(&registry))?,
    };
    let password = match (args.password, args.password_stdin) {
        (Some(password), _) => password,
        (None, true) => read_secret()?,
        (None, false) => ask_password(cx)?,
    };
    if user.is_empty() || password.is_empty() {
        return Err(Error::Usage("user name and password must not be empty".into()));
    }
    if user.contains(':') {
        return Err(Error::Usage("a user name has no colon".into()));
    }
    let login = Login::Password { user, password };
    apply::runtime()?.block_on(async {
        tokio::select! {
            checked = image::check_login(&registry, &login, &credentials) => Ok(checked?),
            result = interrupted() => result.and(Err(Error::Interrupted)),
        }
    })?;
    let keeper = credentials.store(&registry, &login).map_err(image::ImageError::from)?;
    if let Keeper::File(path) = keeper {
        cx.warn(&format!(
            "the password is kept unencrypted in {}; a credential helper (`credsStore` there) would hide it",
            path.display()
        ))?;
    }
    writeln!(cx.out, "Login Succeeded")?;
    Ok(Code::SUCCESS)
}

/// `https://r.example/v1/` is `r.example`; Docker Hub has several addresses.
pub fn registry_of(server: &str) -> Result<String, Error> {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    match host {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => Ok("docker.io".into()),
        host if !host.is_empty() && !host.contains(['@', '?', '#', ' ']) => Ok(host.to_owned()),
        _ => Err(Error::Usage(format!("`{server}` is not the host of a registry"))),
    }
}

fn ask_user(cx: &mut Context, known: Option<String>) -> Result<String, Error> {
    check_terminal()?;
    match &known {
        Some(user) => write!(cx.err, "Username ({user}): ")?,
        None => write!(cx.err, "Username: ")?,
    }
    cx.err.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Error::system("read the user name"))?;
    let line = line.trim();
    Ok(if line.is_empty() { known.unwrap_or_default() } else { line.to_owned() })
}

fn ask_password(cx: &mut Context) -> Result<String, Error> {
    check_terminal()?;
    write!(cx.err, "Password: ")?;
    cx.err.flush()?;
    let mut line = String::new();
    let hidden = terminal::Hidden::enter().map_err(Error::system("hide the password"))?;
    let read = std::io::stdin().lock().take(MAX_SECRET).read_line(&mut line);
    drop(hidden);
    writeln!(cx.err)?;
    read.map_err(Error::system("read the password"))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn check_terminal() -> Result<(), Error> {
    match std::io::stdin().is_terminal() {
        true => Ok(()),
        false => Err(Error::Usage("there is no terminal to ask at: give --username and --password-stdin".into())),
    }
}

fn read_secret() -> Result<String, Error> {
    let mut text = String::new();
    std::io::stdin().take(MAX_SECRET).read_to_string(&mut text).map_err(Error::system("read the password"))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_host() {
        for (text, host) in [
            ("docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("ghcr.io", "ghcr.io"),
            ("https://r.example:5000/v2/", "r.example:5000"),
            ("localhost:5000", "localhost:5000"),
        ] {
            assert_eq!(registry_of(text).unwrap(), host, "{text}");
        }
        for text in ["", "https://", "me@host", "a b"] {
            assert!(registry_of(text).is_err(), "{text}");
        }
    }
}
