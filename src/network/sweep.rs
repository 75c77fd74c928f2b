//! Takes links away, many at a time.
//!
//! Unregistering a link waits for RCU grace periods under the RTNL lock, some ten milliseconds whatever the number of
//! links. So whoever wants links gone puts them on a queue; one thread takes all that is there, marks them with a link
//! group of their own and deletes the group: one wait for all. What comes meanwhile makes the next batch. Leaving
//! links to the death of their namespace would be no faster, and would not be done when `down` returns.

use super::{error::NetworkError, netlink::Channel, route};
use std::{
    io,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};
use tokio::sync::oneshot;

/// Whoever comes this soon after another goes with it: a small part of what a batch costs.
const GATHER: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
pub struct Sweep {
    /// Started by the first who needs it.
    queue: Mutex<Option<Sender<Job>>>,
}

#[derive(Debug)]
struct Job {
    links: Vec<String>,
    done: oneshot::Sender<Result<(), String>>,
}

impl Sweep {
    /// Returns when none of the links is there any more, at either end. Links that are gone already are no error.
    pub async fn delete(&self, links: Vec<String>) -> Result<(), NetworkError> {
        if links.is_empty() {
            return Ok(());
        }
        let (done, answer) = oneshot::channel();
        self.enqueue(Job { links, done })?;
        match answer.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(text)) => Err(NetworkError::kernel("delete links")(io::Error::other(text))),
            Err(_) => Err(NetworkError::ThreadLost("delete links")),
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), NetworkError> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_none() {
            let (sender, jobs) = channel();
            std::thread::Builder::new()
                .name("link-sweep".into())
                .stack_size(256 * 1024)
                .spawn(move || work(&jobs))
                .map_err(NetworkError::kernel("start a thread that deletes links"))?;
            *queue = Some(sender);
        }
        match queue.as_ref().map(|sender| sender.send(job)) {
            Some(Ok(())) => Ok(()),
            _ => Err(NetworkError::ThreadLost("delete links")),
        }
    }
}

/// Ends when the engine that owns the queue is dropped.
fn work(jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while let Ok(next) = jobs.recv_timeout(GATHER) {
            batch.push(next);
        }
        let links: Vec<&str> = batch.iter().flat_map(|job| job.links.iter().map(String::as_str)).collect();
        let result = route::open().and_then(|host| delete(&host, &links)).map_err(|error| error.to_string());
        for job in batch {
            // A caller that went away does not need the answer.
            let _ = job.done.send(result.clone());
        }
    }
}

/// The same at once, on the calling thread, in the namespace of the channel.
pub fn delete(channel: &Channel, links: &[&str]) -> io::Result<()> {
    let group = unused_group()?;
    let mut messages: Vec<_> = links.iter().map(|link| route::set_group(link, group)).collect();
    messages.push(route::delete_group(group));
    let refusals = channel.send_all(messages)?;
    match refusals.into_iter().find(|refusal| refusal.errno != libc::ENODEV) {
        Some(refusal) => Err(refusal.into()),
        None => Ok(()),
    }
}

/// A group number nobody else has: deleting a group deletes whatever is in it.
fn unused_group() -> io::Result<u32> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    // Administrators number groups from 0; the upper half is out of their way.
    Ok(u32::from_ne_bytes(bytes) | 0x8000_0000)
}
