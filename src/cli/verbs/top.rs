//! `muster top`: processes of running containers. The shims know them; /proc describes them.

use crate::{
    cli::{
        containers::{self, Container},
        context::Context,
        exit::{Code, Error, Outcome},
        output::top,
    },
    shim::wire::{Client, ClientError, Request, Response},
    state::Layout,
};
use jiff::{Timestamp, tz::TimeZone};
use std::io::Write;

/// Display the running processes
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Services; all without any
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let target = cx.target(&args.services)?;
    let running = containers::list(&cx.layout, Some(&target.name)).containers.into_iter().filter(|container| {
        container.is_running() && (args.services.is_empty() || args.services.contains(&container.record.service))
    });
    let host = top::Host::read();
    let now = Timestamp::now();
    let mut rows = Vec::new();
    for container in running {
        for pid in pids(&cx.layout, &container)? {
            if let Some(process) = top::Process::read(pid) {
                rows.push(top::row(&container, &process, &host, now, &TimeZone::system()));
            }
        }
    }
    if !rows.is_empty() {
        cx.out.write_all(top::render(rows).as_bytes())?;
    }
    Ok(Code::SUCCESS)
}

/// None for a container that ended meanwhile.
fn pids(layout: &Layout, container: &Container) -> Result<Vec<i32>, Error> {
    let asked = Client::connect(layout, &container.record.id).and_then(|client| client.call(&Request::Processes, &[]));
    match asked {
        Ok((Response::Processes { pids }, _)) => Ok(pids),
        Ok(_) | Err(ClientError::NotRunning { .. } | ClientError::Gone { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
