//! `muster port`: where a container's port is published.

use crate::cli::{
    containers,
    context::Context,
    exit::{Code, Error, Outcome},
};
use std::{io::Write, net::SocketAddr};

/// Print the public port for a port binding
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// tcp or udp
    #[arg(long, default_value = "tcp", value_parser = ["tcp", "udp"])]
    protocol: String,
    /// Index of the container if there are several instances of the service
    #[arg(long, value_name = "N")]
    index: Option<u32>,
    /// Service
    service: String,
    /// Port in the container
    #[arg(value_name = "PRIVATE_PORT")]
    port: u16,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let target = cx.target(&[])?;
    let all = containers::list(&cx.layout, Some(&target.name)).containers;
    let container = containers::of_service(all, &args.service, args.index)
        .ok_or_else(|| Error::NotRunning { service: args.service.clone(), container: None })?;
    let mut bound: Vec<SocketAddr> = container
        .record
        .ports
        .iter()
        .filter(|port| port.target == args.port && port.protocol.as_str() == args.protocol)
        .map(|port| SocketAddr::new(port.host_ip, port.host_port))
        .collect();
    bound.sort();
    let Some(address) = bound.first() else {
        return Err(Error::refused(format!(
            "no port {}/{} is published by container {}",
            args.port, args.protocol, container.record.name
        )));
    };
    writeln!(cx.out, "{address}")?;
    Ok(Code::SUCCESS)
}
