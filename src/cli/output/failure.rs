//! An error for people, with what was found out about its cause.

use crate::{api::Failure, state::records::Exit};
use std::fmt::Write;

/// Several lines, each with its newline.
///
/// ```text
/// error: dependency failed to start: container app-db-1 exited (137)
///   app-db-1: exit code 137 (SIGKILL): out of memory, killed by the kernel
///   last lines of its log:
///     | allocating
///   because of it not done: start app-web-1
///   help: raise mem_limit
/// ```
pub fn report(failure: &Failure, skipped: &[String], error: &str) -> String {
    let mut out = format!("{error}: {}\n", printable(&failure.message));
    let name = failure.container.as_deref().unwrap_or("it");
    if let Some(exit) = &failure.exit {
        let _ = writeln!(out, "  {name}: {}", cause(exit));
    }
    if let Some(probe) = &failure.probe {
        block(&mut out, "output of its last health check", probe.lines());
    }
    block(&mut out, "last lines of its log", failure.log.iter().map(String::as_str));
    if !skipped.is_empty() {
        let _ = writeln!(out, "  because of it not done: {}", skipped.join(", "));
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(out, "  help: {hint}");
    }
    out
}

fn block<'a>(out: &mut String, title: &str, lines: impl Iterator<Item = &'a str>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        let _ = writeln!(out, "  {title}:");
    }
    for line in lines {
        let _ = writeln!(out, "    | {}", printable(line));
    }
}

/// What others wrote (a container, an archive, a cache) must not move the cursor of whoever reads it.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\t' | '\n') || !c.is_control()).collect()
}

/// How a run ended, in words.
fn cause(exit: &Exit) -> String {
    let mut text = format!("exit code {}", exit.code);
    if let Some(signal) = exit.signal {
        let name =
            nix::sys::signal::Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.to_string());
        let _ = write!(text, " ({name})");
    }
    if exit.oom {
        text.push_str(": out of memory, killed by the kernel");
    }
    if let Some(note) = &exit.note {
        let _ = write!(text, "; {note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::containers::tests::exit;

    #[test]
    fn a_report_tells_cause_log_consequence_and_remedy() {
        let failure = Failure {
            message: "dependency failed to start: container app-db-1 exited (137)".into(),
            hint: Some("raise mem_limit of service db".into()),
            container: Some("app-db-1".into()),
            exit: Some(Exit { signal: Some(9), oom: true, ..exit(137) }),
            log: vec!["allocating".into(), "\x1b[2Jmore".into()],
            probe: Some("connection refused\n".into()),
        };
        insta::assert_snapshot!(report(&failure, &["start app-web-1".into()], "error"), @r"
        error: dependency failed to start: container app-db-1 exited (137)
          app-db-1: exit code 137 (SIGKILL): out of memory, killed by the kernel
          output of its last health check:
            | connection refused
          last lines of its log:
            | allocating
            | [2Jmore
          because of it not done: start app-web-1
          help: raise mem_limit of service db
        ");
    }

    #[test]
    fn a_bare_failure_is_one_line() {
        let failure = Failure { message: "no\x1b[2J".into(), ..Failure::default() };
        assert_eq!(report(&failure, &[], "error"), "error: no[2J\n");
    }
}
