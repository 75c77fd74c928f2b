//! Asks other resolvers on a container's behalf. Bytes pass unchanged both ways, so that record types and options that
//! nobody here knows arrive.

use super::{answer::Transport, resolv::ResolvConf};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

const PORT: u16 = 53;
/// glibc waits five seconds for us; two resolvers that say nothing fit in.
const PATIENCE: Duration = Duration::from_secs(2);
/// glibc knows three.
const AT_MOST: usize = 3;
const SERVFAIL: u8 = 2;

/// Who is asked for names that no container has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstreams {
    /// The host's, as its resolv.conf says at the moment of the question: it changes with VPNs and leases, and is
    /// read in less time than the first packet takes.
    Host(PathBuf),
    /// `dns:` of the service.
    Fixed(Vec<SocketAddr>),
}

impl Upstreams {
    pub fn host() -> Self {
        Self::Host(PathBuf::from("/etc/resolv.conf"))
    }
    /// Nobody: for a container on internal networks alone, whose questions would carry what it knows out into the world
    /// (CVE-2024-29018).
    pub fn none() -> Self {
        Self::Fixed(Vec::new())
    }
    pub fn fixed(addresses: &[IpAddr]) -> Self {
        Self::Fixed(addresses.iter().map(|address| SocketAddr::new(*address, PORT)).collect())
    }

    fn servers(&self) -> Vec<SocketAddr> {
        match self {
            Self::Fixed(servers) => servers.clone(),
            Self::Host(path) => {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                ResolvConf::parse(&text).nameservers.iter().map(|ip| SocketAddr::new(*ip, PORT)).collect()
            }
        }
    }

    /// The first good answer; the last bad one where there is none; `None` where nobody says anything.
    pub async fn ask(&self, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let mut bad = None;
        for server in self.servers().into_iter().take(AT_MOST) {
            let asked = async {
                match transport {
                    Transport::Udp => over_udp(server, query).await,
                    Transport::Tcp => over_tcp(server, query).await,
                }
            };
            match timeout(PATIENCE, asked).await {
                Ok(Ok(answer)) if answer.get(3).is_some_and(|flags| flags & 0x0f == SERVFAIL) => bad = Some(answer),
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver of the host failed"),
                Err(_) => tracing::debug!(%server, "a resolver of the host did not answer"),
            }
        }
        bad
    }
}

/// A socket of its own, with a port of its own, that only hears this server: what a forger has to guess.
async fn over_udp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if answers(&buffer[..length], query) {
            buffer.truncate(length);
            buffer.shrink_to_fit();
            return Ok(buffer);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_message(&mut stream, query).await?;
    let answer = read_message(&mut stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    if answers(&answer, query) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Same id, a response.
fn answers(answer: &[u8], query: &[u8]) -> bool {
    answer.len() >= 12 && answer[..2] == query[..2] && answer[2] & 0x80 != 0
}

/// Over TCP two bytes of length come first (RFC 1035, 4.2.2). `None` at the end of the stream.
pub async fn read_message(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}

pub async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    stream.write_all(&bytes).await
}
