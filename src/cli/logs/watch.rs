//! What has changed under the containers' directory, by inotify(7). Nothing is polled.

use crate::{cli::exit::Error, model::ContainerId, state::Layout};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use std::{
    collections::{BTreeSet, HashMap},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Of what a watch tells.
#[derive(Clone, Debug)]
enum Place {
    /// `<data>/containers`: containers come.
    All,
    /// `<data>/containers/<id>`: its records are replaced by rename, its log directory may come.
    Container(ContainerId),
    /// `<id>/log`
    Log,
}

#[derive(Debug)]
pub struct Watch {
    fd: OwnedFd,
    places: HashMap<i32, Place>,
}

/// What to look at again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Any log has grown or was rotated.
    pub logs: bool,
    /// Containers have come.
    pub containers: bool,
    /// Records of these were replaced, or they are gone.
    pub records: BTreeSet<ContainerId>,
    /// The log directory of these has come: `add_log`.
    pub late_logs: BTreeSet<ContainerId>,
    /// The kernel dropped events: look at everything.
    pub lost: bool,
}

impl Watch {
    pub fn new(layout: &Layout) -> Result<Self, Error> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(Error::system("watch logs"))?;
        let mut watch = Self { fd, places: HashMap::new() };
        let directory = layout.containers();
        std::fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        let come = WatchFlags::CREATE | WatchFlags::MOVED_TO;
        let descriptor =
            inotify::add_watch(&watch.fd, &directory, come).map_err(|e| Error::file("watch", &directory)(e.into()))?;
        watch.places.insert(descriptor, Place::All);
        Ok(watch)
    }

    /// Watches a container's records. One that is gone by now needs no watch: whoever reads its record sees it.
    pub fn add(&mut self, layout: &Layout, id: &ContainerId) {
        let records = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF;
        if let Ok(descriptor) = inotify::add_watch(&self.fd, layout.container(id), records) {
            self.places.insert(descriptor, Place::Container(id.clone()));
        }
    }

    /// Watches a container's log, if its directory is there.
    pub fn add_log(&mut self, layout: &Layout, id: &ContainerId) {
        let lines = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        if let Ok(descriptor) = inotify::add_watch(&self.fd, layout.container_log(id), lines) {
            self.places.insert(descriptor, Place::Log);
        }
    }

    /// Everything that happened since the last call.
    pub fn changes(&mut self) -> Result<Changes, Error> {
        let mut changes = Changes::default();
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = inotify::Reader::new(&self.fd, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(changes),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(Error::system("watch logs")(error)),
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.lost = true;
                continue;
            }
            let name = event.file_name().map(|name| name.to_bytes()).unwrap_or_default();
            match self.places.get(&event.wd()) {
                Some(Place::All) => changes.containers = true,
                Some(Place::Log) => changes.logs = true,
                Some(Place::Container(id)) if name == b"log" => {
                    changes.late_logs.insert(id.clone());
                }
                Some(Place::Container(id)) if matches!(name, b"record.json" | b"exit.json" | b"") => {
                    changes.records.insert(id.clone());
                }
                Some(Place::Container(_)) | None => {}
            }
        }
    }

    /// Sleeps until there are changes.
    pub fn wait(&self) -> Result<(), Error> {
        loop {
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], None) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::system("wait for logs")(error)),
                Ok(_) => return Ok(()),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
