//! `--bench`: how long create, start and exit of a static `true` take, without network. Run a release build by hand.

use super::fixture::Fixture;
use muster::runtime::spec::NetNamespace;
use std::{
    io::Write,
    os::fd::AsFd,
    time::{Duration, Instant},
};

const ROUNDS: usize = 50;

pub fn run() {
    let mut out = std::io::stdout().lock();
    for (name, net) in [("new network namespace", NetNamespace::New), ("host network", NetNamespace::Host)] {
        let fixture = Fixture::new(&["true"]).with(|spec| spec.net = net);
        let mut steps: [Vec<Duration>; 4] = Default::default();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let (running, _output) = fixture.start().unwrap();
            let started = start.elapsed();
            muster::runtime::wait(running.pidfd.as_fd()).unwrap();
            let ended = start.elapsed();
            drop(running);
            fixture.cgroup().remove().unwrap();
            let all = start.elapsed();
            for (step, time) in steps.iter_mut().zip([started, ended - started, all - ended, all]) {
                step.push(time);
            }
        }
        let [start, exit, remove, all] = steps.map(median);
        writeln!(out, "{name}: start {start:?}, exit {exit:?}, remove cgroups {remove:?}, all {all:?}").unwrap();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
