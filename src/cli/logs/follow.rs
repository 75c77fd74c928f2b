//! The logs of a project's containers: what there is, then what comes, with who ended and how. It reads records and
//! log files alone, so it goes on while a supervisor is replaced.

use super::{
    merge,
    printer::Printer,
    reader::Reader,
    watch::{Changes, Watch},
    window::Window,
};
use crate::{
    cli::{
        containers::{self, Container},
        exit::Error,
        output::Writer,
    },
    model::ContainerId,
    state::{
        Layout,
        records::{ContainerRecord, Exit, Status},
    },
};
use std::{
    collections::BTreeSet,
    io::Write,
    os::fd::{AsFd, OwnedFd},
};

/// What a container is to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Its lines are printed.
    Shown,
    /// Only its end counts.
    Watched,
    Other,
}

pub type Roles = Box<dyn Fn(&ContainerRecord) -> Role>;

/// What to follow, and how.
pub struct Subject<'a> {
    pub project: &'a str,
    pub roles: Roles,
    pub window: Window,
    /// Lines of what is there already; all without it.
    pub tail: Option<usize>,
    /// Go on with what comes.
    pub follow: bool,
}

pub struct Follower {
    layout: Layout,
    project: String,
    roles: Roles,
    window: Window,
    printer: Printer,
    watch: Option<Watch>,
    sources: Vec<Source>,
    /// Directories whose record is still to come.
    nameless: BTreeSet<ContainerId>,
    /// Containers of no concern.
    others: BTreeSet<ContainerId>,
    ignored: BTreeSet<ContainerId>,
}

struct Source {
    id: ContainerId,
    name: String,
    service: String,
    shown: bool,
    reader: Reader,
    seen: Seen,
}

/// What of a container's life has been told already.
#[derive(Clone, Debug, Default)]
struct Seen {
    up: bool,
    run: Option<(i32, u64)>,
    exit: Option<Exit>,
}

/// A run of a container that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub id: ContainerId,
    pub name: String,
    pub service: String,
    pub shown: bool,
    pub exit: Exit,
    /// Its policy brings it back.
    pub restarting: bool,
}

impl Follower {
    pub fn new(layout: &Layout, subject: Subject<'_>, printer: Printer) -> Result<Self, Error> {
        let mut follower = Self {
            layout: layout.clone(),
            project: subject.project.to_owned(),
            roles: subject.roles,
            window: subject.window,
            printer,
            watch: if subject.follow { Some(Watch::new(layout)?) } else { None },
            sources: Vec::new(),
            nameless: BTreeSet::new(),
            others: BTreeSet::new(),
            ignored: BTreeSet::new(),
        };
        for container in containers::list(layout, None).containers {
            let record = &container.record;
            let role = follower.role(record);
            if role != Role::Other {
                follower.add(&container, role, subject.tail)?;
                // Its state as found is no news.
                if let Some(source) = follower.sources.last_mut() {
                    source.seen.observe(&container, || None);
                }
            } else {
                follower.others.insert(record.id.clone());
            }
        }
        Ok(follower)
    }

    fn role(&self, record: &ContainerRecord) -> Role {
        if record.project == self.project { (self.roles)(record) } else { Role::Other }
    }

    /// Names of what is shown and up, as in the prefixes.
    pub fn names(&self) -> Vec<String> {
        let up =
            self.sources.iter().filter(|source| source.shown && source.seen.up && !self.ignored.contains(&source.id));
        up.map(|source| source.name.clone()).collect()
    }

    /// Something that is shown runs, or will again; or anything at all, where nothing is to be shown.
    pub fn is_any_up(&self) -> bool {
        let counts = |source: &&Source| !self.ignored.contains(&source.id);
        let shows = self.sources.iter().filter(counts).any(|source| source.shown);
        self.sources.iter().filter(counts).any(|source| source.seen.up && (source.shown || !shows))
    }

    /// Their end is no news: a plan replaces them.
    pub fn ignore(&mut self, ids: impl IntoIterator<Item = ContainerId>) {
        self.ignored.extend(ids);
    }

    /// Prints all that can be read now, and tells which runs are over. Lines of a run come before its end.
    pub fn step(&mut self, out: &mut Writer, err: &mut Writer) -> Result<Vec<Ended>, Error> {
        let changes = match &mut self.watch {
            Some(watch) => watch.changes()?,
            None => Changes::default(),
        };
        let ended = self.look(changes)?;
        self.drain(out, err)?;
        for ended in &ended {
            self.finish_line(&ended.id, out, err)?;
        }
        out.flush()?;
        Ok(ended)
    }

    /// `web-1 exited with code 0`, where its log is shown.
    pub fn tell(&self, ended: &Ended, out: &mut Writer) -> Result<(), Error> {
        if ended.shown {
            let again = if ended.restarting { " (restarting)" } else { "" };
            writeln!(out, "{} exited with code {}{again}", ended.name, ended.exit.code)?;
            out.flush()?;
        }
        Ok(())
    }

    /// A line of a watch, among those of the containers.
    pub fn mark(&self, text: &str, out: &mut Writer) -> Result<(), Error> {
        Ok(self.printer.mark(text, out)?)
    }

    /// Sleeps until there is something to do for `step`.
    pub fn wait(&self) -> Result<(), Error> {
        match &self.watch {
            Some(watch) => watch.wait(),
            None => Ok(()),
        }
    }

    fn look(&mut self, changes: Changes) -> Result<Vec<Ended>, Error> {
        let Changes { containers, mut records, late_logs, lost, .. } = changes;
        if containers || lost {
            records.extend(self.new_ids());
        }
        if lost {
            records.extend(self.sources.iter().map(|source| source.id.clone()));
        }
        for id in late_logs {
            self.watch_log(&id);
        }
        records.append(&mut self.nameless);
        let mut ended = Vec::new();
        for id in records {
            ended.extend(self.look_at(&id)?);
        }
        Ok(ended)
    }

    /// Directories that were not there before; each is watched from here on.
    fn new_ids(&mut self) -> Vec<ContainerId> {
        let ids = containers::ids(&self.layout)
            .into_iter()
            .filter(|id| !self.others.contains(id) && self.sources.iter().all(|source| source.id != *id));
        let ids: Vec<ContainerId> = ids.collect();
        if let Some(watch) = &mut self.watch {
            ids.iter().for_each(|id| watch.add(&self.layout, id));
        }
        ids
    }

    fn look_at(&mut self, id: &ContainerId) -> Result<Option<Ended>, Error> {
        // A record that cannot be read is told by `ps`; its log lines are good all the same.
        let container = Container::read_as_written(&self.layout, id).ok().flatten();
        let position = self.sources.iter().position(|source| source.id == *id);
        match (container, position) {
            (None, Some(position)) => {
                self.sources[position].seen.up = false;
                Ok(None)
            }
            (None, None) => {
                if !self.others.contains(id) && self.layout.container(id).exists() {
                    self.nameless.insert(id.clone());
                }
                Ok(None)
            }
            (Some(container), position) => {
                let record = &container.record;
                if position.is_none() {
                    let role = self.role(record);
                    if role == Role::Other {
                        self.others.insert(id.clone());
                        return Ok(None);
                    }
                    self.add(&container, role, None)?;
                }
                let position = position.unwrap_or(self.sources.len() - 1);
                let source = &mut self.sources[position];
                let news = source.seen.observe(&container, || containers::last_exit(&self.layout, id));
                let told = news.filter(|_| !self.ignored.contains(id));
                Ok(told.map(|(exit, restarting)| Ended {
                    id: id.clone(),
                    name: source.name.clone(),
                    service: source.service.clone(),
                    shown: source.shown,
                    exit,
                    restarting,
                }))
            }
        }
    }

    fn add(&mut self, container: &Container, role: Role, tail: Option<usize>) -> Result<(), Error> {
        let id = &container.record.id;
        if let Some(watch) = &mut self.watch {
            watch.add(&self.layout, id);
        }
        let name = container.short_name().to_owned();
        let directory = self.layout.container_log(id);
        let reader = if role == Role::Shown {
            self.watch_log(id);
            self.printer.add(&name, self.sources.len());
            Reader::open(&directory, tail).map_err(Error::file("read", &directory))?
        } else {
            Reader::closed()
        };
        self.sources.push(Source {
            id: id.clone(),
            name,
            service: container.record.service.clone(),
            shown: role == Role::Shown,
            reader,
            seen: Seen::default(),
        });
        Ok(())
    }

    fn watch_log(&mut self, id: &ContainerId) {
        if let Some(watch) = &mut self.watch
            && self.sources.iter().all(|source| source.shown || source.id != *id)
            && !self.others.contains(id)
        {
            watch.add_log(&self.layout, id);
        }
    }

    fn drain(&mut self, out: &mut Writer, err: &mut Writer) -> Result<(), Error> {
        let (window, printer) = (self.window, &self.printer);
        let readers = self.sources.iter_mut().map(|source| &mut source.reader);
        merge::drain(readers, |source, reader| {
            if let Some(entry) = reader.head()
                && window.contains(entry.time)
            {
                printer.print(source, entry, out, err)?;
            }
            Ok(())
        })
    }

    /// What the container wrote last, without ending the line.
    fn finish_line(&mut self, id: &ContainerId, out: &mut Writer, err: &mut Writer) -> Result<(), Error> {
        let Some(position) = self.sources.iter().position(|source| source.id == *id) else { return Ok(()) };
        while let Some((stream, text)) = self.sources[position].reader.take_unfinished() {
            let entry = super::reader::Entry { time: "", stream, text: &text };
            self.printer.print(position, entry, out, err)?;
        }
        Ok(())
    }

    /// At the very end: unfinished lines of all.
    pub fn finish(&mut self, out: &mut Writer, err: &mut Writer) -> Result<(), Error> {
        let ids: Vec<ContainerId> = self.sources.iter().map(|source| source.id.clone()).collect();
        for id in ids {
            self.finish_line(&id, out, err)?;
        }
        out.flush()?;
        Ok(())
    }

    /// Readable when there is something to do for `step`; a descriptor of its own.
    pub fn readiness(&self) -> Result<Option<OwnedFd>, Error> {
        let fd = self.watch.as_ref().map(|watch| watch.as_fd().try_clone_to_owned());
        fd.transpose().map_err(Error::system("watch logs"))
    }
}

impl Seen {
    /// Takes a state over; answers the end of a run that was not told yet. `last_exit` is asked when a new run hides
    /// how the one before it ended.
    fn observe(&mut self, container: &Container, last_exit: impl FnOnce() -> Option<Exit>) -> Option<(Exit, bool)> {
        let news = match &container.record.status {
            Status::Running { pid, start_time, .. } => {
                let run = Some((*pid, *start_time));
                let replaced = self.run.is_some() && self.run != run;
                self.run = run;
                if replaced { last_exit().map(|exit| (exit, true)) } else { None }
            }
            Status::Restarting { exit } => {
                self.run = None;
                Some((exit.clone(), true))
            }
            Status::Exited { exit } => {
                self.run = None;
                Some((exit.clone(), false))
            }
            Status::Created | Status::Dead { .. } => {
                self.run = None;
                None
            }
        };
        self.up = container.is_up();
        let news = news.filter(|(exit, _)| self.exit.as_ref() != Some(exit));
        if let Some((exit, _)) = &news {
            self.exit = Some(exit.clone());
        }
        news
    }
}
