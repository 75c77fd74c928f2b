//! Words in, words out: the command line. One file a verb; what is printed is made in `output`.
//!
//! Verbs that change something send an `api::Apply` to the project's supervisor and show how it goes; verbs that only
//! look read the records and log files themselves and work without a supervisor.

mod apply;
mod args;
mod attached;
mod build;
mod bundling;
mod client;
mod containers;
mod context;
mod env;
mod exit;
mod fetch;
mod locking;
mod logs;
mod output;
mod session;
mod supervisor;
mod variants;
mod verbs;
mod watch;

pub use output::schemas;

use args::{Cli, Command};
use clap::error::ErrorKind;
use context::Context;
use env::Env;
use exit::{Code, Error, Outcome};
use output::{Writer, progress, writer::Ansi};
use std::{io::Write, process::ExitCode};

/// The whole command: arguments, environment and streams are the process's own.
pub fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(usage(&error).0),
    };
    let code = match Env::read().map_err(Error::system("find the working directory")) {
        Ok(env) => run(cli, env),
        Err(error) => fail(&error),
    };
    ExitCode::from(code.0)
}

fn run(cli: Cli, env: Env) -> Code {
    trace(&env);
    let mut cx = match Context::new(cli.global, env) {
        Ok(cx) => cx,
        Err(error) => return fail(&error),
    };
    let outcome = dispatch(cli.command, &mut cx);
    let flushed = cx.out.flush().map_err(Error::from);
    match outcome.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            // A message that cannot be written leaves the exit code to speak.
            let _ = report(&error, cx.json, &mut cx.err);
            error.code()
        }
    }
}

fn dispatch(command: Command, cx: &mut Context) -> Outcome {
    use verbs::*;
    match command {
        Command::Up(args) => up::run(*args, cx),
        Command::Bundle(args) => bundle::run(args, cx),
        Command::Builder(args) => verbs::builder::run(args, cx),
        Command::Build(args) => verbs::build::run(args, cx),
        Command::Create(args) => create::run(args, cx),
        Command::Down(args) => down::run(args, cx),
        Command::Plan(args) => plan::run(*args, cx),
        Command::Ps(args) => ps::run(args, cx),
        Command::Logs(args) => logs::run(args, cx),
        Command::Exec(args) => exec::run(args, cx),
        Command::Run(args) => verbs::run::run(*args, cx),
        Command::Start(args) => start::run(args, cx),
        Command::Stop(args) => stop::run(args, cx),
        Command::Restart(args) => restart::run(args, cx),
        Command::Kill(args) => kill::run(args, cx),
        Command::Rm(args) => rm::run(args, cx),
        Command::Top(args) => top::run(args, cx),
        Command::Port(args) => port::run(args, cx),
        Command::Ls(args) => ls::run(args, cx),
        Command::Config(args) => config::run(args, cx),
        Command::Explain(args) => explain::run(args, cx),
        Command::Pull(args) => pull::run(args, cx),
        Command::Push(args) => push::run(args, cx),
        Command::Image(args) => image::run(args, cx),
        Command::Images(args) => images::run(args, cx),
        Command::Rmi(args) => rmi::run(args, cx),
        Command::Tag(args) => tag::run(args, cx),
        Command::Save(args) => save::run(args, cx),
        Command::Load(args) => load::run(args, cx),
        Command::Lock(args) => lock::run(args, cx),
        Command::Login(args) => login::run(args, cx),
        Command::Logout(args) => logout::run(args, cx),
        Command::System(args) => system::run(args, cx),
        Command::Watch(args) => verbs::watch::run(args, cx),
        Command::Version(args) => version::run(args, cx),
    }
}

/// Says what went wrong, and what to do about it.
fn report(error: &Error, json: bool, err: &mut Writer) -> std::io::Result<()> {
    if error.is_closed_output() || matches!(error, Error::Reported | Error::Interrupted) {
        return err.flush();
    }
    let text = match error {
        Error::Compose(diagnostics) if json => {
            progress::diagnostics(diagnostics, err)?;
            return err.flush();
        }
        _ if json => {
            progress::error(&error.to_string(), err)?;
            return err.flush();
        }
        Error::Compose(diagnostics) => format!("{}\n", diagnostics.render(err.colour)),
        Error::Failed(failure) => output::failure::report(failure, &[], &err.paint("31;1", "error")),
        error => {
            let hint = error.hint().map(|hint| format!("  help: {hint}\n")).unwrap_or_default();
            let told = output::failure::printable(&error.to_string());
            format!("{}: {told}\n{hint}", err.paint("31;1", "error"))
        }
    };
    err.write_all(text.as_bytes())?;
    err.flush()
}

/// Before there is a context.
fn fail(error: &Error) -> Code {
    if let Ok(mut err) = Writer::stderr(Ansi::Auto, false) {
        let _ = report(error, false, &mut err);
    }
    error.code()
}

/// Wrong usage is 1, as docker compose's; help is no error.
fn usage(error: &clap::Error) -> Code {
    let _ = error.print();
    usage_code(error)
}

fn usage_code(error: &clap::Error) -> Code {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Code::SUCCESS,
        _ => Code::FAILURE,
    }
}

/// A diagnostic log on standard error, only where it was asked for: its set-up costs more than `ps`.
fn trace(env: &Env) {
    if let Some(filter) = env.get("MUSTER_LOG") {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let _ = subscriber.try_init();
    }
}

#[cfg(test)]
mod tests;
