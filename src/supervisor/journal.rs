//! What happened, for whoever asks later or listens now: `events.jsonl` and the subscribers of `/v1/events`.

use crate::{api::Event, state::Layout};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use tokio::sync::broadcast;

/// Beyond this size the file becomes `events.jsonl.1` and a new one begins.
const MAX_SIZE: u64 = 8 << 20;
/// Events that a slow listener may lag behind before it loses some.
const BACKLOG: usize = 1024;

/// Appends events; one owner.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    size: u64,
    listeners: broadcast::Sender<Event>,
}

impl Journal {
    pub fn open(layout: &Layout, project: &str) -> io::Result<Self> {
        let path = layout.events(project);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = append_to(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, listeners: broadcast::channel(BACKLOG).0 })
    }

    pub fn listeners(&self) -> broadcast::Sender<Event> {
        self.listeners.clone()
    }

    /// Writes one event, and tells the listeners. A full disk loses the line, never the supervisor: the caller
    /// decides whether to say so.
    pub fn append(&mut self, event: Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        let _ = self.listeners.send(event);
        if self.size + line.len() as u64 > MAX_SIZE {
            std::fs::rename(&self.path, self.path.with_extension("jsonl.1"))?;
            self.file = append_to(&self.path)?;
            self.size = 0;
        }
        self.file.write_all(&line)?;
        self.size += line.len() as u64;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}
