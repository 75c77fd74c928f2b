//! The loop: one input at a time into the world, and its deeds out.

use super::{
    apply,
    deed::Deed,
    http,
    inbox::{Inbox, Input},
    journal::Journal,
    names::Names,
    queue::Queue,
    recover,
    world::World,
};
use crate::{
    api::{Event, Failure, Status},
    lifecycle::Moment,
    model::ContainerId,
    reconcile::{
        Hands, launch, observe,
        owner::{Ask, Owner},
        probe, remove,
    },
    state::{
        Durability, Layout, record,
        records::{self, ContainerRecord},
    },
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    net::UnixListener,
    sync::{mpsc, watch},
};

pub struct Supervisor {
    world: World,
    queue: Queue,
    /// Commands whose turn is over and that still have something to do: `run --rm`.
    following: u32,
    /// Plans that are being made for somebody who only wants to see them.
    planning: u32,
    names: Names,
    journal: Journal,
    hands: Arc<Hands>,
    owner: Owner,
    inbox: Inbox,
    inputs: mpsc::UnboundedReceiver<Input>,
    asks: mpsc::UnboundedReceiver<Ask>,
    since: String,
}

impl Supervisor {
    pub fn new(hands: Arc<Hands>, inbox: Inbox, inputs: mpsc::UnboundedReceiver<Input>) -> io::Result<Self> {
        let (sender, asks) = mpsc::unbounded_channel();
        Ok(Self {
            world: World::default(),
            queue: Queue::default(),
            following: 0,
            planning: 0,
            names: Names::new(Arc::clone(&hands), inbox.clone()),
            journal: Journal::open(&hands.layout, &hands.project)?,
            hands,
            owner: Owner::new(sender),
            inbox,
            inputs,
            asks,
            since: records::now(),
        })
    }

    /// Until nothing is left to look after.
    pub async fn run(mut self, listener: UnixListener) -> io::Result<()> {
        let deeds = recover::recover(&mut self.world, &self.hands, now()).await;
        self.carry_out(deeds);
        let (leaving, left) = watch::channel(false);
        let service =
            http::Service { inbox: self.inbox.clone(), events: self.journal.listeners(), leaving: left.clone() };
        let server = tokio::spawn(http::serve(listener, service));
        self.names.watch();
        apply::say_ready();
        let first = Duration::from_secs(10);
        let mut idle_until = tokio::time::Instant::now() + first;
        loop {
            self.next_command();
            let idle = self.queue.is_idle() && self.following == 0 && self.planning == 0 && !self.world.any_alive();
            let deadline = self.world.deadline();
            tokio::select! {
                Some(ask) = self.asks.recv() => self.asked(ask),
                Some(input) = self.inputs.recv() => {
                    let was_command = matches!(input, Input::Applied | Input::Followed | Input::Planned);
                    self.take(input);
                    if was_command {
                        // Nothing is up any more: whoever comes next starts a supervisor of their own.
                        idle_until = tokio::time::Instant::now();
                    }
                }
                () = sleep_until(deadline), if deadline.is_some() => {
                    let deeds = self.world.tick(now());
                    self.carry_out(deeds);
                }
                () = tokio::time::sleep_until(idle_until), if idle => {
                    // What came in meanwhile goes first.
                    if self.inputs.is_empty() && self.asks.is_empty() {
                        break;
                    }
                }
            }
        }
        self.leave(&leaving, server).await
    }

    /// Nobody can connect any more, those who are connected get the rest of their answers, and the run directory of the
    /// project goes.
    async fn leave(mut self, leaving: &watch::Sender<bool>, server: tokio::task::JoinHandle<()>) -> io::Result<()> {
        let socket = self.hands.layout.supervisor_socket(&self.hands.project);
        std::fs::remove_file(&socket)?;
        leaving.send_replace(true);
        for container in self.world.containers.values() {
            if let Some(link) = &container.parts.link {
                link.send(crate::shim::wire::Request::Quit);
            }
        }
        // Commands that slipped in before the socket was gone are told to ask again.
        self.inputs.close();
        while self.inputs.recv().await.is_some() {}
        let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
        if self.world.containers.is_empty() {
            remove_run_directory(&self.hands.layout, &self.hands.project);
        }
        Ok(())
    }

    fn next_command(&mut self) {
        if let Some(job) = self.queue.next() {
            tokio::spawn(apply::run(job, Arc::clone(&self.hands), self.owner.clone(), self.inbox.clone()));
        }
    }

    fn take(&mut self, input: Input) {
        let deeds = match input {
            Input::Status(done) => {
                let _ = done.send(Status {
                    project: self.hands.project.clone(),
                    pid: i32::try_from(std::process::id()).unwrap_or_default(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    since: self.since.clone(),
                });
                Vec::new()
            }
            Input::Containers(done) => {
                let _ = done.send(self.world.containers.values().map(|container| container.record.clone()).collect());
                Vec::new()
            }
            Input::Plan { apply, done } => {
                self.planning += 1;
                tokio::spawn(apply::plan(apply, Arc::clone(&self.hands), self.inbox.clone(), done));
                Vec::new()
            }
            Input::Apply { apply, progress } => {
                self.queue.push(apply, progress);
                Vec::new()
            }
            Input::Applied => {
                self.queue.finished();
                Vec::new()
            }
            Input::Follows => {
                self.following += 1;
                Vec::new()
            }
            Input::Followed => {
                self.following -= 1;
                Vec::new()
            }
            Input::Planned => {
                self.planning -= 1;
                Vec::new()
            }
            Input::Observe(done) => {
                let records = self.world.containers.values().map(|container| &container.record);
                let _ = done.send(observe::containers(&self.hands.project, records));
                Vec::new()
            }
            Input::Link { id, event } => self.world.linked(&id, event, now()),
            Input::Launched { id, result } => self.launched(&id, *result),
            Input::Probed { id, run, probed } => self.world.probed(&id, run, probed, now()),
            Input::Buried { id, exit } => {
                let path = self.hands.layout.container_exit(&id);
                // The record that follows says the same; this file is for those who read it without a supervisor.
                let _ = record::write(&path, &exit, Durability::Volatile);
                self.world.ended(&id, exit, now())
            }
            Input::FirewallChanged => {
                self.names.repair(&self.world);
                Vec::new()
            }
            Input::FirewallWritten { result, waiting } => {
                self.names.written(result, waiting, &self.world);
                Vec::new()
            }
        };
        self.carry_out(deeds);
    }

    fn asked(&mut self, ask: Ask) {
        let deeds = match ask {
            Ask::Adopt { container, done } => {
                let probe = probe::spec_of(&self.hands.layout, &container.record);
                let deeds = self.world.adopt(*container, probe);
                let _ = done.send(());
                deeds
            }
            Ask::Start { which, done } => self.world.start(&which, done, now()),
            Ask::Stop { id, grace, done } => self.world.stop(&id, grace, done, now()),
            Ask::Kill { id, signal, done } => self.world.kill(&id, signal, done, now()),
            Ask::Ended { id, done } => {
                self.world.when_ended(&id, done);
                Vec::new()
            }
            Ask::Release { id, done } => self.world.release(&id, done),
            Ask::Await { service, until, done } => {
                self.world.wait_for(service, until, done);
                Vec::new()
            }
            Ask::Records { of, done } => {
                let _ = done.send(self.world.records(&of));
                Vec::new()
            }
            Ask::Firewall { done } => {
                self.names.firewall(&self.world, Some(done));
                Vec::new()
            }
            Ask::Names => vec![Deed::Names],
            Ask::Note { kind, action, id, name } => {
                self.journal(kind, action.to_owned(), String::new(), id, name, serde_json::Map::new());
                Vec::new()
            }
        };
        self.carry_out(deeds);
    }

    fn carry_out(&mut self, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Persist { id } => self.persist(&id),
                Deed::Launch { id } => self.launch(&id),
                Deed::Probe { id, run } => self.probe(id, run),
                Deed::Serve { id } => self.names.serve(&mut self.world, &id),
                Deed::Bury { id } => {
                    let (hands, inbox) = (Arc::clone(&self.hands), self.inbox.clone());
                    tokio::spawn(async move {
                        let exit = remove::bury(&id, &hands).await;
                        let _ = inbox.send(Input::Buried { id, exit });
                    });
                }
                Deed::Names => self.names.publish(&self.world),
                Deed::Note { id, action, attributes } => {
                    let (service, name) = match self.world.containers.get(&id) {
                        Some(container) => (container.record.service.clone(), container.record.name.clone()),
                        None => Default::default(),
                    };
                    self.journal("container", action, service, id.as_str().to_owned(), name, attributes);
                }
                Deed::Forgotten { record } => {
                    let ContainerRecord { id, service, name, .. } = *record;
                    let id = id.as_str().to_owned();
                    self.journal("container", "destroy".to_owned(), service, id, name, serde_json::Map::new());
                    self.names.publish(&self.world);
                }
            }
        }
    }

    fn persist(&self, id: &ContainerId) {
        let Some(container) = self.world.containers.get(id) else { return };
        let path = self.hands.layout.container_record(id);
        // A full disk must not end the supervisor: the state in memory goes on, and the next change tries again.
        if let Err(error) = record::write(&path, &container.record, Durability::Volatile) {
            tracing::error!("{error}");
        }
    }

    /// A restart, or the first start after a supervisor's end: what the container lost is made again.
    fn launch(&mut self, id: &ContainerId) {
        let Some(container) = self.world.containers.get_mut(id) else { return };
        let mut parts = std::mem::take(&mut container.parts);
        let record = container.record.clone();
        let (hands, inbox, id) = (Arc::clone(&self.hands), self.inbox.clone(), id.clone());
        tokio::spawn(async move {
            let result =
                launch::again(&hands, &record, &mut parts).await.map(|facts| launch::Launched { parts, facts });
            let _ = inbox.send(Input::Launched { id, result: Box::new(result) });
        });
    }

    fn launched(&mut self, id: &ContainerId, result: Result<launch::Launched, Failure>) -> Vec<Deed> {
        let launched = match result {
            Ok(launched) => launched,
            Err(failure) => return self.world.start_failed(id, failure, now()),
        };
        let Some(container) = self.world.containers.get_mut(id) else { return Vec::new() };
        if let Some(link) = &launched.parts.link {
            link.send(crate::shim::wire::Request::Start);
        }
        container.parts = launched.parts;
        if let Some((networks, ports)) = launched.facts {
            container.record.networks = networks;
            container.record.ports = ports;
            self.names.firewall(&self.world, None);
        }
        vec![Deed::Serve { id: id.clone() }, Deed::Names]
    }

    fn probe(&self, id: ContainerId, run: u32) {
        let Some(container) = self.world.containers.get(&id) else { return };
        let (Some(spec), Some(health)) = (container.probe.clone(), &container.config.health) else { return };
        let (timeout, hands, inbox) = (health.timeout, Arc::clone(&self.hands), self.inbox.clone());
        tokio::spawn(async move {
            let probed = probe::probe(&hands.layout, &id, spec, timeout).await;
            let _ = inbox.send(Input::Probed { id, run, probed });
        });
    }

    fn journal(
        &mut self,
        kind: &str,
        action: String,
        service: String,
        id: String,
        name: String,
        attributes: serde_json::Map<String, serde_json::Value>,
    ) {
        let event = Event { time: records::now(), kind: kind.to_owned(), action, service, id, name, attributes };
        if let Err(error) = self.journal.append(event) {
            tracing::error!("cannot write the events of project {}: {error}", self.hands.project);
        }
    }
}

/// The lock's file goes last: whoever waits for it sees that it is gone and makes another one, in a directory that is
/// then no longer empty and stays.
fn remove_run_directory(layout: &Layout, project: &str) {
    let (directory, lock) = (layout.run_project(project), layout.supervisor_lock(project));
    let Ok(entries) = std::fs::read_dir(&directory) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| *path != lock) {
        // What stays is of no use to anybody, and the next supervisor of the project finds its place all the same.
        let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    }
    let _ = std::fs::remove_file(lock);
    let _ = std::fs::remove_dir(directory);
}

/// CLOCK_BOOTTIME, see `lifecycle::Moment`.
pub fn now() -> Moment {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Moment(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default()))
}

async fn sleep_until(deadline: Option<Moment>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep(deadline.since(now())).await;
    }
}
