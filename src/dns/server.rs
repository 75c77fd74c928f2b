//! Serves one container. The sockets are bound in its namespace and outlive this process, which may serve them again
//! after a restart; questions meanwhile wait in them.

use super::{
    answer::{Transport, Verdict, answer, failure},
    upstream::{Upstreams, read_message, write_message},
    zone::Zone,
};
use crate::model::ContainerId;
use hickory_proto::op::ResponseCode;
use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

/// Questions of one container that are with a resolver of the host at the same time. More are dropped: their askers
/// ask again.
const MOST_RELAYED: usize = 64;
const MOST_CONNECTIONS: usize = 16;
/// A connection without a question is closed.
const IDLE: Duration = Duration::from_secs(10);
/// A query over UDP is small; EDNS options make it no larger than this.
const LARGEST_QUERY: usize = 4096;

#[derive(Debug, thiserror::Error)]
#[error("cannot serve names to container {container}: {source}")]
pub struct DnsError {
    container: String,
    source: io::Error,
}

/// The resolver of a container, as long as this lives.
#[derive(Debug)]
pub struct Serving(AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts to serve. Must be called inside a tokio runtime. `udp` is bound, `tcp` listens; copies of both may be kept
/// elsewhere.
pub fn serve(
    container: ContainerId,
    udp: OwnedFd,
    tcp: OwnedFd,
    zone: watch::Receiver<Arc<Zone>>,
    upstreams: Upstreams,
) -> Result<Serving, DnsError> {
    let failed = |source| DnsError { container: container.short().to_owned(), source };
    let udp = std::net::UdpSocket::from(udp);
    let tcp = std::net::TcpListener::from(tcp);
    udp.set_nonblocking(true).map_err(failed)?;
    tcp.set_nonblocking(true).map_err(failed)?;
    let udp = UdpSocket::from_std(udp).map_err(failed)?;
    let tcp = TcpListener::from_std(tcp).map_err(failed)?;
    let resolver = Arc::new(Resolver { container, zone, upstreams });
    Ok(Serving(tokio::spawn(run(resolver, Arc::new(udp), tcp)).abort_handle()))
}

struct Resolver {
    container: ContainerId,
    zone: watch::Receiver<Arc<Zone>>,
    upstreams: Upstreams,
}

impl Resolver {
    fn answer(&self, query: &[u8], transport: Transport, turn: usize) -> Verdict {
        let zone = self.zone.borrow().clone();
        answer(query, &zone, &self.container, transport, turn)
    }

    /// What the host's resolvers say, or that they say nothing.
    async fn relay(&self, query: &[u8], transport: Transport) -> Vec<u8> {
        match self.upstreams.ask(query, transport).await {
            Some(answer) => answer,
            None => failure(query, ResponseCode::ServFail),
        }
    }
}

/// Ends when it is aborted; relays and connections, in their sets, end with it.
async fn run(resolver: Arc<Resolver>, udp: Arc<UdpSocket>, tcp: TcpListener) {
    let mut relayed = JoinSet::new();
    let mut connections = JoinSet::new();
    let mut buffer = vec![0; LARGEST_QUERY];
    let mut turn = 0_usize;
    loop {
        turn = turn.wrapping_add(1);
        tokio::select! {
            received = udp.recv_from(&mut buffer) => match received {
                Ok((length, from)) => match resolver.answer(&buffer[..length], Transport::Udp, turn) {
                    Verdict::Reply(bytes) => reply(&udp, &bytes, from).await,
                    Verdict::Relay if relayed.len() < MOST_RELAYED => {
                        let (resolver, udp, query) = (resolver.clone(), udp.clone(), buffer[..length].to_vec());
                        relayed.spawn(async move {
                            let bytes = resolver.relay(&query, Transport::Udp).await;
                            reply(&udp, &bytes, from).await;
                        });
                    }
                    Verdict::Relay | Verdict::Ignore => {}
                },
                Err(error) => wait_after(&resolver, &error).await,
            },
            accepted = tcp.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(resolver.clone(), stream));
                }
                Err(error) => wait_after(&resolver, &error).await,
            },
            Some(_) = relayed.join_next() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

/// An asker that is gone by now is nobody's trouble.
async fn reply(udp: &UdpSocket, bytes: &[u8], to: std::net::SocketAddr) {
    if let Err(error) = udp.send_to(bytes, to).await {
        tracing::debug!(%to, %error, "an answer of the resolver could not be sent");
    }
}

/// Out of descriptors or memory: a pause keeps the loop from spinning.
async fn wait_after(resolver: &Resolver, error: &io::Error) {
    tracing::warn!(container = resolver.container.short(), %error, "the resolver cannot take a question");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn converse(resolver: Arc<Resolver>, mut stream: TcpStream) {
    let mut turn = 0;
    while let Ok(Ok(Some(query))) = timeout(IDLE, read_message(&mut stream)).await {
        turn += 1;
        let bytes = match resolver.answer(&query, Transport::Tcp, turn) {
            Verdict::Reply(bytes) => bytes,
            Verdict::Relay => resolver.relay(&query, Transport::Tcp).await,
            Verdict::Ignore => return,
        };
        match timeout(IDLE, write_message(&mut stream, &bytes)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}
