//! `muster exec`: a further process in a running container. The supervisor is not asked; the shim starts it.

use crate::{
    cli::{
        containers::{self, Container},
        context::{Context, check_services},
        env::Env,
        exit::{Code, Error, Outcome},
        session::{Aim, End, Given, Session, Wish},
    },
    shim::wire::{Client, ClientError, ExecSpec, Io, Request, ShimSpec},
    state::record,
};
use std::{io::IsTerminal, path::PathBuf};

/// Execute a command in a running container
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Run the command in the background
    #[arg(short, long)]
    detach: bool,
    /// Set environment variables; without a value they are ours
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Index of the container if there are several instances of the service
    #[arg(long, value_name = "N")]
    index: Option<u32>,
    /// Give extended privileges to the process
    #[arg(long)]
    privileged: bool,
    /// Run the command as this user
    #[arg(short, long)]
    user: Option<String>,
    /// Do not allocate a terminal; it is allocated when input and output are terminals
    #[arg(short = 'T', long = "no-tty", alias = "no-TTY")]
    no_tty: bool,
    /// Allocate a terminal; that is the default
    #[arg(short = 't', long = "tty", hide = true)]
    tty: bool,
    /// Keep standard input open; it always is
    #[arg(short, long, hide = true)]
    interactive: bool,
    /// Path to working directory for this command
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Service
    service: String,
    /// Command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let container = find(&args, cx)?;
    let wish = wish(&args);
    let spec = exec_spec(&args, cx, &container, wish == Wish::Terminal)?;
    let not_running =
        || Error::NotRunning { service: args.service.clone(), container: Some(container.record.name.clone()) };
    let client = match Client::connect(&cx.layout, &container.record.id) {
        Err(ClientError::NotRunning { .. }) => return Err(not_running()),
        client => client?,
    };
    if args.detach {
        client.call(&Request::Exec { spec, io: Io::Null }, &[])?;
        return Ok(Code::SUCCESS);
    }
    let given = Given::new(wish)?;
    let signals = Session::block_signals()?;
    let request = Request::Exec { spec, io: given.io };
    match Session::start(client, request, given, Aim::Exec, true, signals)?.run()? {
        End::Code(code) => Ok(Code::of_process(code)),
        End::Left => Err(Error::Interrupted),
    }
}

fn find(args: &Args, cx: &mut Context) -> Result<Container, Error> {
    let target = cx.target(&[])?;
    let all = containers::list(&cx.layout, Some(&target.name)).containers;
    match containers::of_service(all, &args.service, args.index) {
        Some(container) if container.is_running() => Ok(container),
        found => {
            if let (None, Some(project)) = (&found, &target.project) {
                check_services(project, std::slice::from_ref(&args.service))?;
            }
            let container = found.map(|container| container.record.name);
            Err(Error::NotRunning { service: args.service.clone(), container })
        }
    }
}

fn wish(args: &Args) -> Wish {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if terminal && !args.no_tty { Wish::Terminal } else { Wish::Streams { stdin: true } }
}

/// The container's own process, but for what the flags say.
fn exec_spec(args: &Args, cx: &Context, container: &Container, tty: bool) -> Result<ExecSpec, Error> {
    let path = cx.layout.container_spec(&container.record.id);
    let spec: ShimSpec = record::read(&path)?.ok_or_else(|| Error::NotRunning {
        service: args.service.clone(),
        container: Some(container.record.name.clone()),
    })?;
    let mut process = spec.container.process;
    process.args = args.command.clone();
    process.tty = tty;
    set_variables(&mut process.env, &args.env, &cx.env);
    if let Some(user) = &args.user {
        process.user.clone_from(user);
    }
    if let Some(directory) = &args.workdir {
        process.cwd.clone_from(directory);
    }
    Ok(ExecSpec { process, privileged: args.privileged || spec.container.privileged })
}

/// `KEY=VALUE` replaces; `KEY` alone takes the caller's value, and nothing where there is none.
pub fn set_variables(environment: &mut Vec<String>, assignments: &[String], ours: &Env) {
    for assignment in assignments {
        let (key, value) = match assignment.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (assignment.as_str(), ours.variables.get(assignment).cloned()),
        };
        environment.retain(|entry| entry.split_once('=').map_or(entry.as_str(), |(known, _)| known) != key);
        environment.extend(value.map(|value| format!("{key}={value}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_replace_and_are_taken_over() {
        let mut environment = vec!["PATH=/bin".to_owned(), "LEVEL=info".to_owned()];
        let mut ours = Env::default();
        ours.variables.insert("TOKEN".into(), "t".into());
        let assignments = ["LEVEL=debug", "TOKEN", "NONE", "EMPTY=", "A=b=c"].map(str::to_owned);
        set_variables(&mut environment, &assignments, &ours);
        assert_eq!(environment, ["PATH=/bin", "LEVEL=debug", "TOKEN=t", "EMPTY=", "A=b=c"]);
    }
}
