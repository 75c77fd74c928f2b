//! The command of `sync+exec`, in one container.

use super::News;
use crate::{
    cli::{env::Env, exit::Error, verbs::exec::set_variables},
    model::{ContainerId, Hook},
    shim::wire::{Client, ExecSpec, Io, Request, Response, ShimSpec},
    state::{Layout, record},
};
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    os::fd::{AsFd, OwnedFd},
    thread,
};
use tokio::sync::mpsc::UnboundedSender;

pub struct Command {
    pub hook: Hook,
    pub container: ContainerId,
    pub layout: Layout,
}

/// Runs it to its end, and answers its exit code. What it writes is news.
pub fn run(command: &Command, news: &UnboundedSender<News>) -> Result<i32, Error> {
    let spec = spec(command)?;
    let client = Client::connect(&command.layout, &command.container)?;
    let null = File::open("/dev/null").map_err(Error::system("open /dev/null"))?;
    let (reader, writer) = io::pipe().map_err(Error::system("make a pipe"))?;
    let writer = OwnedFd::from(writer);
    let streams = [null.as_fd(), writer.as_fd(), writer.as_fd()];
    client.call(&Request::Exec { spec, io: Io::Fds }, &streams)?;
    drop(writer);
    let news = news.clone();
    // Somebody that it leaves behind may hold the pipe open.
    thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if news.send(News::Output(line)).is_err() {
                return;
            }
        }
    });
    loop {
        if let (Response::ExecExited { code }, _) = client.next()? {
            return Ok(code);
        }
    }
}

/// The container's own process, but for what the hook says.
fn spec(command: &Command) -> Result<ExecSpec, Error> {
    let spec: Option<ShimSpec> = record::read(&command.layout.container_spec(&command.container))?;
    let spec = spec.ok_or_else(|| Error::refused("the container is gone"))?.container;
    let mut process = spec.process;
    let hook = &command.hook;
    process.args.clone_from(&hook.command);
    process.tty = false;
    let assignments: Vec<String> = hook.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    set_variables(&mut process.env, &assignments, &Env::default());
    if let Some(user) = &hook.user {
        process.user.clone_from(user);
    }
    if let Some(directory) = &hook.working_dir {
        process.cwd.clone_from(directory);
    }
    Ok(ExecSpec { process, privileged: hook.privileged || spec.privileged })
}
