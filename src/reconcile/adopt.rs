//! Taking a shim over that another supervisor started.

use super::{
    Hands,
    container::Parts,
    link::{Link, watch},
};
use crate::{
    model::ContainerId,
    shim::wire::{Request, Response, Socket, State},
    state::boot,
};
use std::{sync::Arc, time::Duration};
use tokio::io::Interest;

/// A shim answers from its poll loop; one that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(2);

/// `None`: there is no shim, or it does not answer.
pub async fn adopt(hands: &Hands, id: &ContainerId) -> Option<(Parts, State)> {
    let socket = watch(Socket::connect(&hands.layout.shim_socket(id)).ok()?).ok()?;
    socket.async_io(Interest::WRITABLE, |socket| socket.send(&Request::Adopt, &[])).await.ok()?;
    let answer = socket.async_io(Interest::READABLE, Socket::receive::<Response>);
    let Ok(Ok(Some((Response::Adopted { state, names }, fds)))) = tokio::time::timeout(PATIENCE, answer).await else {
        return None;
    };
    let socket = socket.into_inner();
    let mut parts = Parts::restored(&names, fds);
    let peer = rustix::net::sockopt::socket_peercred(&socket).ok()?;
    let pid = peer.pid.as_raw_nonzero().get();
    parts.shim = Some((pid, boot::start_time(pid).unwrap_or_default()));
    let listener = Arc::clone(&hands.listener);
    parts.link = Some(Link::open(id.clone(), socket, move |id, event| listener(id, event)).ok()?);
    Some((parts, state))
}
