//! Carries a plan out: every op as soon as those it waits for are done, side by side with the others.
//!
//! It decides nothing: what to do, in which order and why stands in the plan.

use super::{Hands, container::Inheritance, ops, owner::Owner, remove::Links};
use crate::{
    api::{Failure, Progress},
    model::{ContainerId, Project, intent::Intent},
    plan::{Op, OpId, Plan},
    state::records::ContainerRecord,
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::{mpsc, watch};

/// Everything the ops of one plan share.
pub struct Context<'a> {
    pub hands: &'a Hands,
    pub owner: &'a Owner,
    /// The wanted model; a plan that only removes needs none.
    pub project: Option<Arc<Project>>,
    pub progress: mpsc::UnboundedSender<Progress>,
    /// Becomes true when another command takes the project over: nothing new begins then.
    pub superseded: watch::Receiver<bool>,
    /// The directory of the Docker configuration of the person who asked: registry credentials.
    pub docker_config: Option<std::path::PathBuf>,
    pub intent: Intent,
    /// Ops that may be under way at once (`--parallel`).
    pub most_at_once: usize,
    /// What removed containers leave to those that replace them.
    pub retired: Mutex<HashMap<ContainerId, Inheritance>>,
    /// Images that were pulled for this command.
    pub pulled: Mutex<BTreeSet<String>>,
    /// Networks that the plan removes.
    pub leaving_networks: BTreeSet<String>,
    /// Removed containers whose links go with those networks.
    pub leaving: Mutex<Vec<ContainerId>>,
    /// The container of a `run`, once it has started or waits for an attach.
    pub oneoff: Mutex<Option<ContainerId>>,
}

impl Context<'_> {
    /// A container that leaves together with all its networks leaves its links to them.
    pub fn links_of(&self, record: &ContainerRecord) -> Links {
        let all_leave = record.networks.iter().all(|used| self.leaving_networks.contains(&used.name));
        if !all_leave || record.networks.is_empty() {
            return Links::Remove;
        }
        Self::held(&self.leaving).push(record.id.clone());
        Links::WithNetwork
    }

    /// Nobody panics while holding one of these.
    pub fn held<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the asker. A command that has gone away misses nothing that it still needs.
    pub fn tell(&self, progress: Progress) {
        let _ = self.progress.send(progress);
    }
}

/// How a plan went.
#[derive(Debug, Default)]
pub struct Summary {
    pub failures: usize,
    pub first: Option<Failure>,
    pub skipped: usize,
}

/// Runs the whole plan. Failed ops keep those behind them from beginning; all others go on.
pub async fn execute(plan: &Plan, context: &Context<'_>) -> Summary {
    let mut waits: Vec<usize> = plan.ops.iter().map(|planned| planned.after.len()).collect();
    let mut followers: Vec<Vec<OpId>> = vec![Vec::new(); plan.ops.len()];
    for (id, planned) in plan.ops.iter().enumerate() {
        for &before in &planned.after {
            followers[before].push(id);
        }
    }
    let mut summary = Summary::default();
    let mut skipped = vec![false; plan.ops.len()];
    let mut ready: VecDeque<OpId> = (0..plan.ops.len()).filter(|&id| waits[id] == 0).collect();
    let mut running = FuturesUnordered::new();
    let mut working = 0;
    loop {
        let mut later = VecDeque::new();
        for id in ready.drain(..) {
            // A gate does no work: it must not keep the work away that opens it.
            let works = !matches!(plan.ops[id].op, Op::AwaitCondition { .. });
            if works && working >= context.most_at_once {
                later.push_back(id);
                continue;
            }
            working += usize::from(works);
            running.push(async move { (id, works, one(id, &plan.ops[id].op, context).await) });
        }
        ready = later;
        let Some((id, works, result)) = running.next().await else { break };
        working -= usize::from(works);
        let mut done = vec![id];
        match result {
            Ok(()) => {}
            Err(failure) if is_optional(&plan.ops[id].op) => context.tell(Progress::Warning { text: failure.message }),
            Err(failure) => {
                summary.failures += 1;
                summary.first.get_or_insert(failure);
                let (behind, optional) = all_behind(id, plan, &followers);
                for behind in behind {
                    if !std::mem::replace(&mut skipped[behind], true) {
                        summary.skipped += 1;
                        context.tell(Progress::Skipped { op: behind });
                    }
                }
                // What may fail is over, and those behind it go on.
                done = optional.into_iter().filter(|&id| !std::mem::replace(&mut skipped[id], true)).collect();
            }
        }
        for id in done {
            for &next in &followers[id] {
                waits[next] -= 1;
                if waits[next] == 0 && !skipped[next] {
                    ready.push_back(next);
                }
            }
        }
    }
    summary
}

/// A gate that nobody insists on: `depends_on` with `required: false`.
fn is_optional(op: &Op) -> bool {
    matches!(op, Op::AwaitCondition { required: false, .. })
}

/// Every op that cannot begin any more because `id` failed, and the optional gates at which that ends.
fn all_behind(id: OpId, plan: &Plan, followers: &[Vec<OpId>]) -> (Vec<OpId>, Vec<OpId>) {
    let (mut found, mut optional) = (Vec::new(), Vec::new());
    let mut open = followers[id].clone();
    while let Some(next) = open.pop() {
        if found.contains(&next) || optional.contains(&next) {
            continue;
        }
        if is_optional(&plan.ops[next].op) {
            optional.push(next);
        } else {
            found.push(next);
            open.extend(&followers[next]);
        }
    }
    (found, optional)
}

async fn one(id: OpId, op: &Op, context: &Context<'_>) -> Result<(), Failure> {
    if *context.superseded.borrow() {
        return Err(superseded());
    }
    context.tell(Progress::Began { op: id });
    let began = Instant::now();
    let result = ops::carry_out(id, op, context).await;
    match &result {
        Ok(detail) => context.tell(Progress::Finished {
            op: id,
            milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            detail: detail.clone(),
        }),
        Err(failure) => context.tell(Progress::OpFailed { op: id, error: failure.clone() }),
    }
    result.map(|_| ())
}

/// The answer to those whose command another one has overtaken.
pub fn superseded() -> Failure {
    Failure { message: "given up: another command has taken the project over".into(), ..Failure::default() }
}
