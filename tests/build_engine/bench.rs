//! How long builds take: cold, cached, with one file changed. `--bench` alone runs it.

use crate::world::{Plans, World};
use std::{
    fs,
    io::Write,
    time::{Duration, Instant},
};

pub fn run() {
    let world = World::new();
    for directory in 0..100 {
        for file in 0..50 {
            world.file(&format!("src/{directory}/{file}"), &format!("{directory} {file}\n").repeat(200));
        }
    }
    world.file("deps", "dep");
    let mut out = std::io::stdout();
    let mut build = |what: &str| {
        let mut plans = Plans::new();
        let base = plans.base();
        let dependencies = plans.copy(Some(base), &["deps"], "/app/");
        let installed = plans.run(dependencies, "dd if=/bin/busybox of=/usr/x bs=1M 2>/dev/null");
        let source = plans.copy(Some(installed), &["src"], "/app/src/");
        let built = plans.run(source, "cat /app/src/*/* > /app/out");
        let begun = Instant::now();
        world.build(plans.plan(built));
        writeln!(out, "{what}: {:?} {:?}", begun.elapsed(), world.counts()).unwrap();
    };
    build("cold");
    // Until what was just written counts as settled.
    std::thread::sleep(Duration::from_millis(3100));
    build("cached, files read again");
    build("cached");
    build("cached");
    fs::write(world.dir.join("context/src/1/1"), "changed").unwrap();
    build("one of 5001 files changed");
}
