//! One command from its words to its end: observe, plan, carry out.

use super::{
    inbox::{Inbox, Input},
    queue::Job,
};
use crate::{
    api::{Apply, Failure, Progress},
    model::{Condition, ContainerId, Project, Protocol, PublishedPort, intent::Intent},
    plan::{self, Observed, Op, Plan},
    reconcile::{
        Hands,
        execute::{Context, Summary, execute},
        failure, observe, ops,
        owner::{Of, Owner, Until},
    },
    state::{Durability, Layout, record},
};
use std::{collections::BTreeSet, io::Write, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// Carries one command out, and says how it went.
pub async fn run(job: Job, hands: Arc<Hands>, owner: Owner, inbox: Inbox) {
    let progress = job.progress.clone();
    let removes = matches!(&job.apply.intent, Intent::Run(run) if run.remove);
    let attended = matches!(&job.apply.intent, Intent::Run(run) if !run.detach);
    let (mut done, oneoff) = match carry_out(job, &hands, &owner, &inbox).await {
        Ok((summary, oneoff)) => (Progress::Done { failures: summary.failures, error: summary.first }, oneoff),
        Err(error) => (Progress::Done { failures: 1, error: Some(error) }, None),
    };
    if let Some(id) = oneoff.filter(|_| removes) {
        // The turn is over, so that a `down` need not wait for the program; who attends it waits for the removal.
        let _ = inbox.send(Input::Follows);
        let _ = inbox.send(Input::Applied);
        if !attended {
            let _ = progress.send(done.clone());
        }
        if let Err(error) = ops::remove_when_ended(&id, &owner, &hands).await {
            done = Progress::Done { failures: 1, error: Some(error) };
        }
        if attended {
            let _ = progress.send(done);
        }
        drop(progress);
        let _ = inbox.send(Input::Followed);
        return;
    }
    let _ = progress.send(done);
    // The stream ends with its last sender; only then may the supervisor go.
    drop(progress);
    sync_records(&hands, &inbox).await;
    let _ = inbox.send(Input::Applied);
}

/// Puts the records of the project's containers on the disk for good. After the answer: a record is whole in any case,
/// and what a power cut takes before this is a container that it ended as well.
async fn sync_records(hands: &Hands, inbox: &Inbox) {
    let (done, reply) = oneshot::channel();
    if inbox.send(Input::Containers(done)).is_err() {
        return;
    }
    let Ok(records) = reply.await else { return };
    let paths: Vec<_> = records.iter().map(|record| hands.layout.container_record(&record.id)).collect();
    let synced = tokio::task::spawn_blocking(move || {
        paths.iter().try_for_each(|path| match std::fs::File::open(path) {
            Ok(file) => file.sync_data(),
            // Removed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        })
    });
    if let Ok(Err(error)) = synced.await {
        tracing::warn!("cannot sync the records of project {}: {error}", hands.project);
    }
}

/// `muster plan`.
pub async fn plan(apply: Box<Apply>, hands: Arc<Hands>, inbox: Inbox, done: oneshot::Sender<Result<Plan, Failure>>) {
    let result = async {
        let project = wanted(&apply, &hands)?;
        let observed = observe(&hands, &inbox, project.as_ref(), &Default::default()).await?;
        plan::plan(&apply.intent, project.as_ref(), &observed).map_err(failure)
    };
    let _ = done.send(result.await);
    let _ = inbox.send(Input::Planned);
}

/// How the plan went, and the container of a `run`.
async fn carry_out(
    job: Job,
    hands: &Arc<Hands>,
    owner: &Owner,
    inbox: &Inbox,
) -> Result<(Summary, Option<ContainerId>), Failure> {
    let Job { apply, progress, superseded, .. } = job;
    let project = wanted(&apply, hands)?;
    let mut context = Context {
        hands,
        owner,
        project: project.clone().map(Arc::new),
        progress,
        superseded,
        docker_config: apply.docker_config.clone(),
        intent: apply.intent.clone(),
        most_at_once: apply.parallel.filter(|&most| most > 0).map_or(usize::MAX, |most| most as usize),
        retired: Default::default(),
        pulled: Default::default(),
        oneoff: Default::default(),
        leaving_networks: Default::default(),
        leaving: Default::default(),
    };
    let mut observed = observe(hands, inbox, project.as_ref(), &Default::default()).await?;
    let mut plan = plan::plan(&apply.intent, project.as_ref(), &observed).map_err(failure)?;
    // What an image brings with it decides the rest: pull first, look again, and plan anew.
    if let Some(pulls) = pulls(&plan) {
        context.tell(Progress::Plan { plan: pulls.clone() });
        let summary = execute(&pulls, &context).await;
        if summary.failures > 0 {
            return Ok((summary, None));
        }
        let pulled = std::mem::take(&mut *Context::held(&context.pulled));
        observed = observe(hands, inbox, project.as_ref(), &pulled).await?;
        plan = plan::plan(&apply.intent, project.as_ref(), &observed).map_err(failure)?;
    }
    preflight(&plan, project.as_ref(), &observed)?;
    free_ports(&plan, project.as_ref(), hands, inbox).await?;
    context.leaving_networks = leaving_networks(&plan);
    context.tell(Progress::Plan { plan: plan.clone() });
    let summary = execute(&plan, &context).await;
    context.project = None;
    remember(&apply.intent, project.as_ref(), hands, &summary)?;
    if summary.failures == 0
        && let (Some(wait), Some(project)) = (apply.wait, &project)
    {
        all_up(owner, project, &apply.intent, wait.timeout_seconds, &hands.layout).await?;
    }
    let oneoff = Context::held(&context.oneoff).take();
    Ok((summary, oneoff))
}

/// The model that came with the command, else the last one that was applied.
fn wanted(apply: &Apply, hands: &Hands) -> Result<Option<Project>, Failure> {
    match &apply.project {
        Some(project) => Ok(Some(project.clone())),
        None => Ok(record::read(&hands.layout.applied(&hands.project))?),
    }
}

async fn observe(
    hands: &Arc<Hands>,
    inbox: &Inbox,
    project: Option<&Project>,
    pulled: &std::collections::BTreeSet<String>,
) -> Result<Observed, Failure> {
    let (done, reply) = oneshot::channel();
    let gone = || failure("the supervisor is going down");
    inbox.send(Input::Observe(done)).map_err(|_| gone())?;
    let mut observed = reply.await.map_err(|_| gone())?;
    observe::host(hands, project, pulled, &mut observed)?;
    Ok(observed)
}

/// The pulls of a plan as a plan of their own.
fn pulls(plan: &Plan) -> Option<Plan> {
    let mut pulls = Plan { project: plan.project.clone(), verb: plan.verb.clone(), ..Plan::default() };
    for planned in &plan.ops {
        if matches!(planned.op, Op::PullImage { .. }) {
            pulls.push(planned.op.clone(), planned.cause.clone(), Vec::new());
        }
    }
    (!pulls.is_empty()).then_some(pulls)
}

/// What cannot work is said before anything is touched.
fn preflight(plan: &Plan, project: Option<&Project>, observed: &Observed) -> Result<(), Failure> {
    let _ = (plan, observed);
    let Some(project) = project else { return Ok(()) };
    for network in project.networks.values().filter(|network| network.external) {
        let used = project.services.values().any(|service| {
            service.networks.keys().any(|key| project.networks.get(key).is_some_and(|used| used.name == network.name))
        });
        let creates = plan.ops.iter().any(|planned| matches!(planned.op, Op::CreateContainer { .. }));
        if used && creates && !observed.networks.contains_key(&network.name) {
            return Err(failure(format!("network {} is declared as external, but it is not there", network.name)));
        }
    }
    for volume in project.volumes.values().filter(|volume| volume.external) {
        let creates = plan.ops.iter().any(|planned| matches!(planned.op, Op::CreateContainer { .. }));
        if creates && !observed.volumes.contains_key(&volume.name) {
            return Err(failure(format!("volume {} is declared as external, but it is not there", volume.name)));
        }
    }
    Ok(())
}

/// Every fixed port that the plan publishes is free, or is one of the project's own: a conflict is told before anything
/// is touched, and all of them at once.
async fn free_ports(plan: &Plan, project: Option<&Project>, hands: &Hands, inbox: &Inbox) -> Result<(), Failure> {
    let Some(project) = project else { return Ok(()) };
    let slots = plan.ops.iter().filter_map(|planned| match &planned.op {
        Op::CreateContainer { slot, oneoff: false, .. } => Some(slot),
        _ => None,
    });
    let ports = slots.filter_map(|slot| project.services.get(&slot.service)).flat_map(|service| &service.ports);
    let fixed = |port: &&PublishedPort| port.published.is_some_and(|range| range.first == range.last);
    let mut wanted: Vec<PublishedPort> = ports.filter(fixed).cloned().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let (done, reply) = oneshot::channel();
    let gone = || failure("the supervisor is going down");
    inbox.send(Input::Containers(done)).map_err(|_| gone())?;
    let held: Vec<(u16, Protocol)> = reply
        .await
        .map_err(|_| gone())?
        .iter()
        .flat_map(|record| record.ports.iter().map(|port| (port.host_port, port.protocol)))
        .collect();
    wanted.retain(|port| !port.published.is_some_and(|range| held.contains(&(range.first, port.protocol))));
    // Held for a moment only: each container takes its own when it is made.
    hands.networks.reserve(&wanted).map(drop).map_err(|conflicts| Failure {
        message: conflicts.to_string(),
        hint: Some("stop what holds it, or publish another port".into()),
        ..Failure::default()
    })
}

fn leaving_networks(plan: &Plan) -> BTreeSet<String> {
    let names = plan.ops.iter().filter_map(|planned| match &planned.op {
        Op::RemoveNetwork { name } => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

/// The model in effect, for verbs that come without one; a `down` of everything leaves none.
fn remember(intent: &Intent, project: Option<&Project>, hands: &Hands, summary: &Summary) -> Result<(), Failure> {
    let path = hands.layout.applied(&hands.project);
    match (intent, project) {
        (Intent::Up(_), Some(project)) => Ok(record::write(&path, project, Durability::Durable)?),
        (Intent::Down(down), _) if down.services.is_empty() && summary.failures == 0 => Ok(record::remove(&path)?),
        _ => Ok(()),
    }
}

/// `up --wait`: every service runs, is healthy where it has a check, or is done where another one waits for that.
async fn all_up(
    owner: &Owner,
    project: &Project,
    intent: &Intent,
    timeout: Option<u64>,
    layout: &Layout,
) -> Result<(), Failure> {
    let chosen = match intent {
        Intent::Up(up) if !up.services.is_empty() => up.services.clone(),
        _ => project.services.keys().cloned().collect(),
    };
    let job = |name: &str| {
        project.services.values().any(|service| {
            service.depends_on.get(name).is_some_and(|dependency| dependency.condition == Condition::Completed)
        })
    };
    let all = async {
        for name in chosen {
            let until = if job(&name) { Until::Condition(Condition::Completed) } else { Until::Up };
            if let Err(failure) = owner.until(name.clone(), until).await {
                return Err(ops::explain(failure, Of::Service(name), owner, layout).await);
            }
        }
        Ok(())
    };
    match timeout {
        None => all.await,
        Some(seconds) => match tokio::time::timeout(Duration::from_secs(seconds), all).await {
            Ok(result) => result,
            Err(_) => Err(failure(format!("application not healthy after {seconds}s"))),
        },
    }
}

/// Whoever started this process waits for a line on its standard output, and for its end.
pub fn say_ready() {
    let _ = writeln!(std::io::stdout().lock(), "ready");
    let _ = std::io::stdout().lock().flush();
    // Everything after goes nowhere: the other end of the pipe closes once it has read.
    if let Ok(null) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}
