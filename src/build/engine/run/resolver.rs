//! 127.0.0.11 of a step: every question goes to the host's resolver as it is, and its answer back. So names mean in a
//! build what they mean on the host, also where the host's resolver is on its loopback.

use super::super::error::{Result, StepError};
use std::{
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    task::{JoinHandle, JoinSet},
};

const PATIENCE: Duration = Duration::from_secs(5);
/// EDNS allows as much.
const LONGEST: usize = 65_535;
/// Questions at once; more are dropped, and asked again by who asked them.
const AT_ONCE: usize = 256;

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Resolver(JoinHandle<()>);

impl Drop for Resolver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Resolver {
    /// The sockets are bound in the step's network namespace.
    pub fn start(udp: &OwnedFd, tcp: &OwnedFd) -> Result<Self> {
        let wrong = || StepError::file("listen at", Path::new("127.0.0.11"));
        let copy = |fd: &OwnedFd| fd.as_fd().try_clone_to_owned();
        let udp = UdpSocket::from_std(copy(udp).map_err(wrong())?.into()).map_err(wrong())?;
        let tcp = TcpListener::from_std(copy(tcp).map_err(wrong())?.into()).map_err(wrong())?;
        let servers = Arc::new(servers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()));
        Ok(Self(tokio::spawn(serve(Arc::new(udp), tcp, servers))))
    }
}

/// As glibc: without a server it is the one on the host itself.
fn servers(conf: &str) -> Vec<SocketAddr> {
    let address = |line: &str| -> Option<IpAddr> {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
    };
    let mut servers: Vec<SocketAddr> =
        conf.lines().filter_map(address).map(|address| SocketAddr::new(address, 53)).take(3).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::from(([127, 0, 0, 1], 53)));
    }
    servers
}

async fn serve(udp: Arc<UdpSocket>, tcp: TcpListener, servers: Arc<Vec<SocketAddr>>) {
    let mut asked = JoinSet::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        tokio::select! {
            received = udp.recv_from(&mut buffer) => {
                let Ok((length, from)) = received else { continue };
                if asked.len() < AT_ONCE {
                    let (question, udp, servers) = (buffer[..length].to_vec(), udp.clone(), servers.clone());
                    asked.spawn(async move {
                        if let Some(answer) = ask(&question, &servers).await {
                            let _ = udp.send_to(&answer, from).await;
                        }
                    });
                }
            }
            accepted = tcp.accept() => {
                let Ok((mut theirs, _)) = accepted else { continue };
                if asked.len() < AT_ONCE {
                    let servers = servers.clone();
                    asked.spawn(async move {
                        for server in servers.iter() {
                            if let Ok(Ok(mut ours)) = tokio::time::timeout(PATIENCE, TcpStream::connect(server)).await {
                                let _ = tokio::io::copy_bidirectional(&mut theirs, &mut ours).await;
                                return;
                            }
                        }
                    });
                }
            }
            Some(_) = asked.join_next() => {}
        }
    }
}

/// The first server that answers; a connected socket takes answers of that server alone.
async fn ask(question: &[u8], servers: &[SocketAddr]) -> Option<Vec<u8>> {
    for server in servers {
        let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let Ok(socket) = UdpSocket::bind(any).await else { continue };
        if socket.connect(server).await.is_err() || socket.send(question).await.is_err() {
            continue;
        }
        let mut answer = vec![0; LONGEST];
        if let Ok(Ok(length)) = tokio::time::timeout(PATIENCE, socket.recv(&mut answer)).await {
            answer.truncate(length);
            return Some(answer);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_goes_to_the_first_server_that_answers() {
        let local = || async { UdpSocket::bind("127.0.0.1:0").await.unwrap() };
        let (silent, server, own, client) = (local().await, local().await, local().await, local().await);
        let address = silent.local_addr().unwrap();
        drop(silent);
        let servers = Arc::new(vec![address, server.local_addr().unwrap()]);
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let resolver = own.local_addr().unwrap();
        let task = Resolver(tokio::spawn(serve(Arc::new(own), tcp, servers)));
        client.send_to(b"question", resolver).await.unwrap();
        let mut buffer = [0; 100];
        let (length, from) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"question");
        server.send_to(b"answer", from).await.unwrap();
        let (length, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"answer"[..], resolver));
        drop(task);
    }

    #[test]
    fn servers_are_those_of_the_file() {
        let text = |conf: &str| servers(conf).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(text("search x\nnameserver 192.0.2.1\nnameserver ::1\n"), ["192.0.2.1:53", "[::1]:53"]);
        assert_eq!(text(""), ["127.0.0.1:53"]);
    }
}
