//! The environment of a process, Docker's defaults filled in, and where its command is found.

use super::{
    StartError,
    failure::{During, NOT_EXECUTABLE, NOT_FOUND},
};
use crate::sys::{self, Errno, Error, file::Kind};
use std::{ffi::CString, path::PathBuf};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `env` with PATH, HOSTNAME, TERM (with a terminal) and HOME where they lack, in Docker's order.
pub(super) fn complete(env: &[String], hostname: &str, home: &str, tty: bool) -> Vec<String> {
    let has = |key: &str| env.iter().any(|entry| entry.split_once('=').is_some_and(|(name, _)| name == key));
    let mut complete = Vec::with_capacity(env.len() + 4);
    let default = |key: &str, value: &str, list: &mut Vec<String>| {
        if !has(key) {
            list.push(format!("{key}={value}"));
        }
    };
    default("PATH", DEFAULT_PATH, &mut complete);
    default("HOSTNAME", hostname, &mut complete);
    if tty {
        default("TERM", "xterm", &mut complete);
    }
    complete.extend(env.iter().cloned());
    default("HOME", home, &mut complete);
    complete
}

/// As execve(2) takes them.
pub(super) fn c_strings(texts: &[String], what: &str) -> Result<Vec<CString>, StartError> {
    let convert = |text: &String| CString::new(text.as_str()).during(format_args!("{what} {text:?}"));
    texts.iter().map(convert).collect()
}

/// The file to execute: `command` itself when it has a slash, else the first in PATH. Asked in the container, as its user.
pub(super) fn find(command: &str, env: &[String]) -> Result<PathBuf, StartError> {
    if command.contains('/') {
        let path = PathBuf::from(command);
        return match check(&path) {
            Ok(()) => Ok(path),
            Err(error) => Err(refuse(command, &error)),
        };
    }
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    let mut refused = None;
    for directory in path.split(':').filter(|_| !command.is_empty()) {
        // An empty entry is the working directory.
        let candidate = PathBuf::from(if directory.is_empty() { "." } else { directory }).join(command);
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if error.errno == Errno::ACCESS => refused = Some(error),
            Err(_) => {}
        }
    }
    match refused {
        Some(error) => Err(refuse(command, &error)),
        None => Err(StartError {
            message: format!("exec: {command:?}: executable file not found in $PATH"),
            code: NOT_FOUND,
        }),
    }
}

fn check(path: &std::path::Path) -> sys::Result<()> {
    if sys::file::kind(&sys::file::stat_path(path)?) == Kind::Directory {
        return Err(Error::new("exec", path.display(), Errno::ISDIR));
    }
    sys::file::may_execute(path)
}

/// Exit codes as a shell has them: 127 for what is not there, 126 for what cannot be executed.
pub(super) fn refuse(command: &str, error: &Error) -> StartError {
    let code = match error.errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    let why = match error.errno {
        Errno::NOEXEC => "exec format error (a script without #!, or built for another machine, which runs where binfmt_misc has an emulator for it)".to_owned(),
        // The file is there, or the look-up would have failed: its interpreter is not.
        Errno::NOENT if error.call == "exec" => "its interpreter or loader does not exist in the image".to_owned(),
        errno => std::io::Error::from(errno).to_string().split(" (os").next().unwrap_or_default().to_lowercase(),
    };
    StartError { message: format!("exec: {command:?}: {why}"), code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fill_only_what_lacks() {
        let env = ["HOME=/x".to_owned(), "A=1".to_owned()];
        insta::assert_snapshot!(complete(&env, "web", "/root", false).join("\n"), @r"
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        HOSTNAME=web
        HOME=/x
        A=1
        ");
        let env = ["PATH=/bin".to_owned(), "TERM=dumb".to_owned()];
        assert_eq!(complete(&env, "h", "/root", true), ["HOSTNAME=h", "PATH=/bin", "TERM=dumb", "HOME=/root"]);
        assert!(complete(&[], "h", "/", true).contains(&"TERM=xterm".to_owned()));
    }

    #[test]
    fn a_command_is_found_by_path_and_refused_with_docker_s_codes() {
        let env = ["PATH=/nonexistent:/bin".to_owned()];
        assert_eq!(find("sh", &env).unwrap(), PathBuf::from("/bin/sh"));
        let error = find("nosuch", &env).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.code),
            ("exec: \"nosuch\": executable file not found in $PATH", 127)
        );
        let error = find("/nosuch", &env).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.code), ("exec: \"/nosuch\": no such file or directory", 127));
        assert_eq!(find("/etc", &env).unwrap_err().code, 126);
        assert_eq!(find("/etc/passwd", &env).unwrap_err().code, 126);
        assert_eq!(find("", &env).unwrap_err().code, 127);
    }

    #[test]
    fn a_nul_byte_is_refused_by_name() {
        let error = c_strings(&["a\0b".to_owned()], "environment").unwrap_err();
        assert!(error.message.contains(r#"environment "a\0b""#), "{error}");
    }
}
