//! Every verb on a file system that is too small for it: it says so, what was there stays, and with more room it works.
//!
//! The file system is a tmpfs in the mount namespace of the test.

use crate::{
    sweep::ends_well,
    verbs::Verb,
    world::{Ended, World},
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// More than anything here takes.
const ENOUGH: u64 = 512 << 20;

/// A world that is a file system.
struct Room {
    world: Option<World>,
    dir: PathBuf,
}

impl Room {
    fn new(dir: &Path) -> Self {
        fs::create_dir_all(dir).unwrap();
        mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        Self { world: Some(World::new(dir)), dir: dir.to_owned() }
    }

    fn world(&mut self) -> &mut World {
        self.world.as_mut().unwrap()
    }

    fn used(&self) -> u64 {
        let space = rustix::fs::statvfs(&self.dir).unwrap();
        (space.f_blocks - space.f_bfree) * space.f_frsize
    }

    fn resize(&self, bytes: u64) {
        // No size at all would be no limit.
        let size = format!("size={}", bytes.max(4096));
        mount(None::<&str>, &self.dir, None::<&str>, MsFlags::MS_REMOUNT, Some(size.as_str())).unwrap();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        drop(self.world.take());
        let _ = umount2(&self.dir, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.dir);
    }
}

/// With nothing of the room that a verb needs, and so many parts of it, less one. How often that was too little, and what
/// was wrong.
pub fn run(verb: &'static Verb, dir: &Path, steps: u64) -> (usize, Vec<String>) {
    let mut room = Room::new(dir);
    room.resize(ENOUGH);
    room.world().begin(verb.prepare);
    let begins = room.used();
    let words = verb.words(room.world());
    let ended = room.world().run(&words);
    assert!(ends_well(verb, &ended), "{}: {}", verb.name, ended.stderr);
    let needs = room.used().saturating_sub(begins);
    let made = (verb.made)(room.world()).unwrap();
    let (mut full, mut wrong) = (0, Vec::new());
    for step in 0..steps {
        // Also where it frees more than it takes, it may have to write something before.
        let given = needs.max(64 << 10) * step / steps;
        room.world().restore();
        room.resize(room.used() + given);
        let ended = room.world().run(&words);
        full += usize::from(!ends_well(verb, &ended));
        room.resize(ENOUGH);
        let mut look = || -> Result<(), String> {
            judge(verb, room.world(), &ended, &made)?;
            let again = room.world().run(&words);
            let was_done = !verb.was_done.is_empty() && again.stderr.contains(verb.was_done);
            if !ends_well(verb, &again) && !was_done {
                return Err(format!("with more room: {}", again.stderr));
            }
            if (verb.made)(room.world())? != made {
                return Err("with more room it made something else".into());
            }
            room.world().is_whole()?;
            room.world().is_clean()
        };
        if let Err(error) = look() {
            wrong.push(format!("{}: with {given} of {needs} bytes: {error}", verb.name));
        }
    }
    (full, wrong)
}

fn judge(verb: &Verb, world: &World, ended: &Ended, made: &str) -> Result<(), String> {
    world.is_whole()?;
    if ends_well(verb, ended) {
        let now = (verb.made)(world)?;
        return if now == made { Ok(()) } else { Err("it says that it is done, but made something else".into()) };
    }
    let told = ["No space left on device", "that is free"].iter().any(|words| ended.stderr.contains(words));
    if ended.code == Some(1) && told && !ended.stderr.contains("panicked") {
        return Ok(());
    }
    Err(format!("its end ({:?}) does not tell of a full disk: {}", ended.code, ended.stderr))
}
