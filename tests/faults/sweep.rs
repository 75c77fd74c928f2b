//! One verb after the other: its points, the cases, and what must hold in each.

use crate::{
    calls::{self, CALLS, Fault},
    full,
    verbs::{VERBS, Verb},
    world::{Ended, World},
};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

/// Cases of one verb that `make test` takes.
const SPREAD: usize = 16;
const WORKERS: usize = 2;

/// All verbs, or those that are named.
pub fn main(args: &[String]) -> ExitCode {
    let mut out = std::io::stdout();
    // What is mounted here is gone with this process.
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let chosen = VERBS.iter().filter(|verb| words.is_empty() || words.iter().any(|word| verb.name == **word));
    let word = std::env::var_os("MUSTER_FAULTS");
    let extent = Extent::of(word.as_ref().and_then(|word| word.to_str()));
    let mut failures = Vec::new();
    for verb in chosen {
        let swept = Sweep::new(verb).run(extent);
        writeln!(out, "{}", swept.told).unwrap();
        for failure in &swept.failures {
            writeln!(out, "  {failure}").unwrap();
        }
        failures.extend(swept.failures);
        let (full, wrong) = full::run(verb, &top().join("full"), if extent == Extent::Spread { 3 } else { 8 });
        writeln!(out, "{}: the disk was full {full} times; {} failed", verb.name, wrong.len()).unwrap();
        for failure in &wrong {
            writeln!(out, "  {failure}").unwrap();
        }
        failures.extend(wrong);
    }
    let _ = fs::remove_dir(top());
    writeln!(out, "\n{} failed", failures.len()).unwrap();
    ExitCode::from(u8::from(!failures.is_empty()))
}

/// Not /tmp: an overlay's upper directory cannot lie on every file system that is used for it.
fn top() -> PathBuf {
    let parent = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
    parent.join(format!("muster-faults-{}", std::process::id()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Some cases.
    Spread,
    /// Every fault of every point, once.
    Each,
    /// And at its first, its middle and its last time.
    All,
}

impl Extent {
    fn of(word: Option<&str>) -> Self {
        match word {
            None | Some("") => Self::Spread,
            Some("each") => Self::Each,
            Some("all") => Self::All,
            Some(other) => panic!("MUSTER_FAULTS is each or all, not {other}"),
        }
    }
}

struct Case {
    fault: Fault,
    number: usize,
    point: String,
}

struct Sweep {
    verb: &'static Verb,
    worlds: Vec<World>,
}

struct Swept {
    told: String,
    failures: Vec<String>,
}

impl Sweep {
    fn new(verb: &'static Verb) -> Self {
        let worlds = (0..WORKERS).map(|number| {
            let mut world = World::new(&top().join(number.to_string()));
            world.begin(verb.prepare);
            world
        });
        Self { verb, worlds: worlds.collect() }
    }

    fn run(&mut self, extent: Extent) -> Swept {
        let begun = Instant::now();
        let verb = self.verb;
        let points = self.look();
        let mut failures = Vec::new();
        let mut made = Vec::new();
        for world in &self.worlds {
            world.restore();
            let ended = world.run(&verb.words(world));
            assert!(ends_well(verb, &ended), "{}: {ended:?}", verb.name);
            made.push((verb.made)(world).unwrap_or_else(|error| panic!("{}: {error}", verb.name)));
        }
        let cases = cases(&points, extent);
        let (next, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let found = Mutex::new(&mut failures);
        thread::scope(|scope| {
            for (world, made) in self.worlds.iter().zip(&made) {
                let (next, missed, cases, found) = (&next, &missed, &cases, &found);
                scope.spawn(move || {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match judge(verb, world, made, case) {
                            Ok(true) => {}
                            Ok(false) => drop(missed.fetch_add(1, Ordering::Relaxed)),
                            Err(error) => found.lock().unwrap().push(told(verb, case, &error)),
                        }
                    }
                });
            }
        });
        let kills = cases.iter().filter(|case| case.fault == Fault::Kill).count();
        let told = format!(
            "{}: {} points, {} by name; {} cases, {kills} of them SIGKILL; {} not reached; {} failed; {:.0} s",
            verb.name,
            points.len(),
            points.iter().collect::<BTreeSet<_>>().len(),
            cases.len(),
            missed.load(Ordering::Relaxed),
            failures.len(),
            begun.elapsed().as_secs_f64()
        );
        Swept { told, failures }
    }

    fn look(&self) -> Vec<String> {
        let world = &self.worlds[0];
        world.restore();
        let ended = world.trace(&self.verb.words(world), None);
        assert!(ends_well(self.verb, &ended) && ended.alone, "{}: {}", self.verb.name, ended.stderr);
        if let Some(file) = std::env::var_os("MUSTER_FAULTS_LOG") {
            let mut file = fs::File::options().create(true).append(true).open(file).unwrap();
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for point in &ended.points {
                *counts.entry(point).or_default() += 1;
            }
            for (point, count) in counts {
                writeln!(file, "== {}: {count} times {point}", self.verb.name).unwrap();
            }
        }
        ended.points
    }
}

fn told(verb: &Verb, case: &Case, error: &str) -> String {
    format!("{}: {} at {} of {}: {error}", verb.name, case.fault.word(), case.number, case.point)
}

/// Every fault of every point; or some, evenly spread over them, the kills and the errors alike.
fn cases(points: &[String], extent: Extent) -> Vec<Case> {
    let mut counts: Vec<(&String, usize)> = Vec::new();
    for point in points {
        match counts.iter_mut().find(|(known, _)| *known == point) {
            Some((_, count)) => *count += 1,
            None => counts.push((point, 1)),
        }
    }
    let mut cases = Vec::new();
    for (point, count) in counts {
        let label = point.split(' ').next().unwrap();
        let call = CALLS.iter().find(|call| call.label() == label).unwrap();
        let numbers = match extent {
            Extent::All => BTreeSet::from([1, count.div_ceil(2), count]),
            Extent::Each | Extent::Spread => BTreeSet::from([count]),
        };
        for number in numbers {
            cases.extend(calls::faults(call).into_iter().map(|fault| Case { fault, number, point: point.clone() }));
        }
    }
    if extent != Extent::Spread || cases.len() <= SPREAD {
        return cases;
    }
    let (kills, errors): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.fault == Fault::Kill);
    let spread = |cases: Vec<Case>| {
        let step = cases.len().div_ceil(SPREAD / 2).max(1);
        cases.into_iter().step_by(step)
    };
    spread(kills).chain(spread(errors)).collect()
}

pub fn ends_well(verb: &Verb, ended: &Ended) -> bool {
    ended.code == Some(verb.ends.0) && ended.stderr.contains(verb.ends.1)
}

/// `false` where the run took another way and never came to the point.
fn judge(verb: &Verb, world: &World, made: &str, case: &Case) -> Result<bool, String> {
    let words = verb.words(world);
    world.restore();
    let ended = world.trace(&words, Some((case.fault, case.number, &case.point)));
    log(verb, case, &ended);
    let said = ended.stderr.trim();
    let Some(code) = ended.code else { return Err(format!("it hangs: {said}")) };
    if !ended.alone {
        return Err(format!("its processes do not end: {said}"));
    }
    if said.contains("panicked") || said.contains("RUST_BACKTRACE") {
        return Err(format!("it panics: {said}"));
    }
    world.is_whole()?;
    if ends_well(verb, &ended) {
        let now = (verb.made)(world).map_err(|error| format!("it says that it is done, but {error}"))?;
        if now != made {
            return Err(format!("it says that it is done, but made something else: {}", difference(made, &now)));
        }
    } else if ended.hit.is_none() || matches!(case.fault, Fault::Short | Fault::Error(Errno::EINTR)) {
        return Err(format!("it fails ({code}): {said}"));
    } else if let Fault::Error(errno) = case.fault {
        let cause = std::io::Error::from_raw_os_error(errno as i32).to_string();
        let cause = cause.split(" (os error").next().unwrap();
        // Of programs that do not start it is told as other runtimes tell it.
        if code != 1 || !(said.contains(cause) || said.contains(&cause.to_lowercase())) {
            return Err(format!("its end ({code}) does not tell of `{cause}`: {said}"));
        }
    }
    let again = world.run(&words);
    let was_done = !verb.was_done.is_empty() && again.stderr.contains(verb.was_done);
    if !ends_well(verb, &again) && !was_done {
        return Err(format!("the next run fails: {} (this one had said: {said})", again.stderr.trim()));
    }
    let now = (verb.made)(world).map_err(|error| format!("after the next run {error}"))?;
    if now != made {
        return Err(format!("the next run made something else: {}", difference(made, &now)));
    }
    world.is_whole().map_err(|error| format!("after the next run: {error}"))?;
    world.is_clean().map_err(|error| format!("after the next run: {error}"))?;
    Ok(ended.hit.is_some())
}

/// Where two texts part.
fn difference(one: &str, other: &str) -> String {
    let at = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(60);
    let piece = |text: &str| text.bytes().skip(at).take(200).map(char::from).collect::<String>();
    format!("`{}` is now `{}`", piece(one), piece(other))
}

fn log(verb: &Verb, case: &Case, ended: &Ended) {
    let Some(file) = std::env::var_os("MUSTER_FAULTS_LOG") else { return };
    let mut file = fs::File::options().create(true).append(true).open(file).unwrap();
    let text = format!("{}: code {:?}: {}\n", told(verb, case, ""), ended.code, ended.stderr.trim());
    file.write_all(text.as_bytes()).unwrap();
}
