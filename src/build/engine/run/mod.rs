//! `RUN`: a program in a container of our own runtime, whose upper directory becomes the layer.
//!
//! ```text
//! role      the hidden process that runs it, and the words between the two
//! process   this side of it
//! mounts    --mount, and the mount points, which leave no trace in the layer
//! agent     --mount=type=ssh
//! network   where the program may talk to; resolver: what names mean there
//! ```

pub mod agent;
pub mod mounts;
pub mod network;
pub mod process;
pub mod resolver;
pub mod role;

use super::{
    copy::owner,
    error::{Result, StepError},
    report::{Event, Stream},
    step::{Engine, Snapshot},
    upper::{Making, Upper},
    view::{Place, View},
};
use crate::{
    build::op::{self, Network, Security, StepId},
    runtime::spec::{CgroupSpec, Limits, NetNamespace, Process, Root, Seccomp, Spec},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Docker's default set (moby/profiles, capabilities(7)).
const CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SYS_CHROOT",
    "MKNOD",
    "AUDIT_WRITE",
    "SETFCAP",
];
const HOST_NAME: &str = "buildkitsandbox";
const SHM_SIZE: u64 = 64 << 20;
/// Lines of output that an error carries.
const LAST_LINES: usize = 20;
/// Bytes of a line in them.
const LONGEST_LINE: usize = 4096;

/// Runs the program; its changes are in the directory that comes back.
pub async fn run(
    engine: &Arc<Engine>,
    id: StepId,
    run: &op::Run,
    root: Option<&Snapshot>,
    steps: &HashMap<StepId, Arc<Snapshot>>,
) -> Result<PathBuf> {
    check(engine, run)?;
    let (upper, work) = (engine.workshop.fresh("layer"), engine.workshop.fresh("work"));
    let lowers = engine.lowers(root);
    // Before its turn: who waits for another's cache keeps nobody from running.
    let _caches = mounts::lock(engine, run).await?;
    let _turn = engine.turn().await?;
    let prepared = {
        let (engine, run, upper, work, lowers) =
            (engine.clone(), run.clone(), upper.clone(), work.clone(), lowers.clone());
        let steps = steps.clone();
        engine.clone().blocking(move || {
            make_upper(&engine, &upper, &lowers, &run)?;
            std::fs::create_dir(&work).map_err(StepError::file("make", &work))?;
            mounts::prepare(&engine, &run, &lowers, &steps)
        })
    };
    let prepared = prepared.await?;
    let joined = network::join(engine, run).await?;
    let result = carry_out(engine, id, run, &upper, &work, &prepared, &joined).await;
    joined.leave().await;
    result.map(|()| upper)
}

fn check(engine: &Engine, run: &op::Run) -> Result<()> {
    if run.network == Network::Host && !engine.options.allow_host_network {
        return Err(StepError::NotEntitled("the network of the host", "network.host"));
    }
    if run.security == Security::Insecure && !engine.options.allow_insecure {
        return Err(StepError::NotEntitled("to run privileged", "security.insecure"));
    }
    Ok(())
}

/// With owner, mode and time of the root below. A working directory that the image only speaks of is made, and belongs
/// to whom the program is run as.
fn make_upper(engine: &Engine, dir: &Path, lowers: &[PathBuf], run: &op::Run) -> Result<()> {
    let mut upper = Upper::create(dir, lowers).map_err(StepError::file("make", dir))?;
    let cwd = Path::new(&run.cwd);
    if matches!(upper.walk(cwd, true), Ok(Place { node: None, .. })) {
        let view = View::open(lowers).map_err(StepError::file("read", dir))?;
        let (uid, gid) = if run.user.is_empty() { (0, 0) } else { owner::of_program(&view, &run.user)? };
        let making = Making { uid, gid, mode: 0o755, mtime: engine.now() };
        upper.make_directories(cwd, making).map_err(StepError::file("make", cwd))?;
    }
    upper.finish().map_err(StepError::file("make", dir))
}

async fn carry_out(
    engine: &Arc<Engine>,
    id: StepId,
    run: &op::Run,
    upper: &Path,
    work: &Path,
    prepared: &mounts::Prepared,
    joined: &network::Joined,
) -> Result<()> {
    let spec = spec(engine, run, upper, work, prepared, joined)?;
    let order = role::Order { spec, stacks: prepared.stacks.clone() };
    let tail = Arc::new(Mutex::new(Tail::default()));
    let told = {
        let (report, tail) = (engine.report.clone(), tail.clone());
        Box::new(move |stream: Stream, bytes: &[u8]| {
            tail.lock().unwrap_or_else(PoisonError::into_inner).feed(bytes);
            report(Event::Output { step: id, stream, bytes: bytes.to_vec() });
        })
    };
    let net = joined.namespace().transpose()?;
    let ended = process::run(engine.program()?, &order, engine.workshop.fresh("order"), net, told).await?;
    if ended.code == 0 {
        return Ok(());
    }
    let output = tail.lock().unwrap_or_else(PoisonError::into_inner).lines();
    let command = run.args.join(" ");
    Err(StepError::Exit { command, code: ended.code, oom: ended.oom, output })
}

fn spec(
    engine: &Engine,
    run: &op::Run,
    upper: &Path,
    work: &Path,
    prepared: &mounts::Prepared,
    joined: &network::Joined,
) -> Result<Spec> {
    let container = joined.container.as_str().to_owned();
    let insecure = run.security == Security::Insecure;
    let mut mounts = prepared.mounts.clone();
    mounts.extend(joined.files(engine, run)?);
    let mut env = run.env.clone();
    env.extend(run.proxy_env.iter().cloned());
    env.extend(prepared.env.iter().cloned());
    Ok(Spec {
        hostname: HOST_NAME.to_owned(),
        domainname: None,
        root: Root {
            lower: prepared.lowers.clone(),
            upper: upper.to_owned(),
            work: work.to_owned(),
            read_only: false,
            volatile: true,
        },
        mounts,
        process: Process {
            args: run.args.clone(),
            env: last_of_each(env),
            cwd: PathBuf::from(if run.cwd.is_empty() { "/" } else { &run.cwd }),
            user: run.user.clone(),
            additional_groups: Vec::new(),
            tty: false,
            capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
            no_new_privileges: false,
            seccomp: if insecure { Seccomp::Unconfined } else { Seccomp::Default },
            rlimits: rlimits(&run.ulimits),
        },
        net: match run.network {
            Network::Default => NetNamespace::Given,
            Network::None => NetNamespace::New,
            Network::Host => NetNamespace::Host,
        },
        cgroup: CgroupSpec { path: engine.cgroup(&container[..16]), limits: Limits::default() },
        id: container,
        shm_size: run.shm_size.unwrap_or(SHM_SIZE),
        sysctls: BTreeMap::new(),
        init: false,
        oom_score_adj: None,
        privileged: insecure,
    })
}

fn rlimits(ulimits: &BTreeMap<String, (i64, i64)>) -> BTreeMap<String, (u64, u64)> {
    let limit = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    ulimits.iter().map(|(name, (soft, hard))| (name.clone(), (limit(*soft), limit(*hard)))).collect()
}

/// A variable that is set twice has the later value.
fn last_of_each(env: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(env.len());
    for entry in env {
        let key = entry.split('=').next().unwrap_or_default();
        kept.retain(|old| old.split('=').next() != Some(key));
        kept.push(entry);
    }
    kept
}

/// The last lines of what a program wrote.
#[derive(Default)]
struct Tail {
    lines: VecDeque<Vec<u8>>,
    open: Vec<u8>,
}

impl Tail {
    fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST_LINE.saturating_sub(self.open.len());
            self.open.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let mut line = std::mem::take(&mut self.open);
                while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                    line.pop();
                }
                self.lines.push_back(line);
                if self.lines.len() > LAST_LINES {
                    self.lines.pop_front();
                }
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let open = Some(&self.open).filter(|open| !open.is_empty());
        self.lines.iter().chain(open).map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut tail = Tail::default();
        for n in 0..100 {
            tail.feed(format!("line {n}\nhalf").as_bytes());
            tail.feed(b" of it\r\n");
        }
        tail.feed(b"the end");
        let lines = tail.lines();
        assert_eq!(lines.len(), LAST_LINES + 1);
        assert_eq!(lines[LAST_LINES - 1..], ["half of it", "the end"]);
        tail.feed(&[b'x'; 100_000]);
        assert!(tail.open.len() <= LONGEST_LINE);
    }

    #[test]
    fn a_variable_has_its_last_value() {
        let env = ["A=1", "B=2", "A=3"].map(str::to_owned).to_vec();
        assert_eq!(last_of_each(env), ["B=2", "A=3"]);
    }
}
