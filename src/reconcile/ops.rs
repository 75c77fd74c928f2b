//! One function for each kind of op.

use super::{
    Hands,
    container::{self, Inheritance, Order, random},
    execute::{Context, superseded},
    failure,
    owner::{Of, Owner, Retired, Until, Which},
    remove::{self, Links},
    report,
};
use crate::{
    api::{Failure, Progress},
    image::{self, Credentials, Reference},
    model::{Condition, ContainerId, NetworkId, Project, PullPolicy, ids, intent::Intent},
    network::NetworkSpec,
    plan::{Op, OpId, Slot},
    shim::wire::Request,
    state::{
        Layout,
        records::{self, ContainerRecord, Status},
    },
    volume::VolumeSpec,
};
use std::sync::Arc;

/// A shim without a container leaves at once; one that takes longer is not waited for.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(2);

/// What is worth saying besides that it is done.
type Detail = Option<String>;

pub async fn carry_out(id: OpId, op: &Op, context: &Context<'_>) -> Result<Detail, Failure> {
    match op {
        Op::PullImage { image, policy } => pull(id, image, *policy, context).await,
        Op::PushImage { .. } => Err(failure("pushing is the command line's own work")),
        Op::LoadImage { .. } => Err(failure("loading is the command line's own work")),
        Op::BuildImage { .. } => Err(failure("building is the command line's own work")),
        Op::CreateNetwork { key } => create_network(key, context).await,
        Op::RemoveNetwork { name } => remove_network(name, context).await,
        Op::CreateVolume { key } => create_volume(key, context),
        Op::RemoveVolume { name } => remove_volume(name, context).await,
        Op::RemoveImage { image } => remove_image(image, context),
        Op::CreateContainer { slot, name, oneoff, replaces } => {
            create_container(slot, name, *oneoff, replaces.as_ref(), context).await
        }
        Op::StartContainer { slot, name, id } => start_container(slot, name, id.as_ref(), context).await,
        Op::StopContainer { id, timeout, .. } => context.owner.stop(id.clone(), *timeout).await.map(|()| None),
        Op::KillContainer { id, signal, .. } => context.owner.kill(id.clone(), *signal).await.map(|()| None),
        Op::RemoveContainer { id, volumes, .. } => remove_container(id, *volumes, context).await,
        Op::AwaitCondition { service, condition, .. } => await_condition(service, *condition, context).await,
    }
}

fn project<'a>(context: &'a Context<'_>) -> Result<&'a Arc<Project>, Failure> {
    context.project.as_ref().ok_or_else(|| failure("there is no model to create anything from"))
}

async fn pull(id: OpId, image: &str, policy: PullPolicy, context: &Context<'_>) -> Result<Detail, Failure> {
    let reference = Reference::parse(image).map_err(failure)?;
    let credentials = match &context.docker_config {
        Some(directory) => Credentials::from_docker_config(Some(&directory.join("config.json"))),
        // Not those of whoever started the supervisor.
        None => Credentials::none(),
    };
    let progress = context.progress.clone();
    let tally = std::sync::Mutex::new(image::progress::Tally::default());
    let report: crate::image::Report = Arc::new(move |step| {
        let Ok(mut tally) = tally.lock() else { return };
        let Some(image::progress::Line { text, current, total }) = tally.take(&step) else { return };
        let _ = progress.send(Progress::Step { op: id, text, current, total });
    });
    let mut overtaken = context.superseded.clone();
    let pulled = tokio::select! {
        pulled = image::ensure(&context.hands.images, &reference, policy, &credentials, report) => pulled.map_err(failure)?,
        Ok(_) = overtaken.wait_for(|overtaken| *overtaken) => return Err(superseded()),
    };
    Context::held(&context.pulled).insert(image.to_owned());
    context.owner.note("image", "pull", pulled.id.as_str(), image);
    Ok(Some(pulled.id.short().to_owned()))
}

async fn create_network(key: &str, context: &Context<'_>) -> Result<Detail, Failure> {
    let project = project(context)?;
    let network = project.networks.get(key).ok_or_else(|| failure(format!("no such network: {key}")))?;
    let ipam = network.ipam.as_ref();
    let spec = NetworkSpec {
        id: NetworkId::new(ids::hex(&random()?)),
        name: network.name.clone(),
        project: project.name.clone(),
        internal: network.internal,
        subnet: ipam.map(|ipam| ipam.subnet),
        gateway: ipam.and_then(|ipam| ipam.gateway),
        ip_range: ipam.and_then(|ipam| ipam.ip_range),
        labels: network.labels.clone(),
    };
    let record = context.hands.networks.ensure(&spec).await?;
    context.owner.firewall().await?;
    context.owner.note("network", "create", record.id.as_str(), &record.name);
    Ok(Some(record.subnet.to_string()))
}

async fn remove_network(name: &str, context: &Context<'_>) -> Result<Detail, Failure> {
    let id = context.hands.networks.find(name)?.map(|record| record.id);
    let leaving = Context::held(&context.leaving).clone();
    context.hands.networks.remove_with(name, &leaving).await?;
    context.owner.firewall().await?;
    context.owner.note("network", "destroy", id.map(|id| id.as_str().to_owned()).unwrap_or_default(), name);
    Ok(None)
}

fn create_volume(key: &str, context: &Context<'_>) -> Result<Detail, Failure> {
    let project = project(context)?;
    let volume = project.volumes.get(key).ok_or_else(|| failure(format!("no such volume: {key}")))?;
    let spec = VolumeSpec {
        name: volume.name.clone(),
        project: project.name.clone(),
        anonymous: false,
        labels: volume.labels.clone(),
    };
    context.hands.volumes.ensure(&spec, &records::now()).map_err(failure)?;
    context.owner.note("volume", "create", volume.name.as_str(), volume.name.as_str());
    Ok(None)
}

async fn remove_volume(name: &str, context: &Context<'_>) -> Result<Detail, Failure> {
    delete_volume(name, context.hands).await?;
    context.owner.note("volume", "destroy", name, name);
    Ok(None)
}

/// A big volume takes its time: not on the thread that answers everybody.
async fn delete_volume(name: &str, hands: &Hands) -> Result<(), Failure> {
    let (volumes, name) = (hands.volumes.clone(), name.to_owned());
    tokio::task::spawn_blocking(move || volumes.remove(&name)).await.map_err(failure)?.map_err(failure)
}

fn remove_image(image: &str, context: &Context<'_>) -> Result<Detail, Failure> {
    let reference = Reference::parse(image).map_err(failure)?;
    let users = remove::image_users(&context.hands.layout)?;
    context.hands.images.remove(&reference, false, &|id| users.get(id).cloned()).map_err(failure)?;
    context.owner.note("image", "untag", image, image);
    Ok(None)
}

async fn create_container(
    slot: &Slot,
    name: &str,
    oneoff: bool,
    replaces: Option<&ContainerId>,
    context: &Context<'_>,
) -> Result<Detail, Failure> {
    let project = Arc::clone(project(context)?);
    let inheritance = replaces.and_then(|id| Context::held(&context.retired).get(id).cloned()).unwrap_or_default();
    let hold = matches!(&context.intent, Intent::Run(run) if oneoff && !run.detach);
    let ports = match &context.intent {
        Intent::Run(run) if oneoff => run.service_ports,
        _ => true,
    };
    let aliases = match &context.intent {
        Intent::Run(run) if oneoff => run.use_aliases,
        _ => true,
    };
    let order = Order { slot, name, oneoff, hold, ports, aliases, inheritance };
    let new = container::create(order, &project, context.hands).await?;
    let id = new.record.id.short().to_owned();
    let publishes = !new.record.ports.is_empty();
    context.owner.adopt(new).await?;
    if publishes {
        context.owner.firewall().await?;
    }
    Ok(Some(id))
}

async fn start_container(
    slot: &Slot,
    name: &str,
    id: Option<&ContainerId>,
    context: &Context<'_>,
) -> Result<Detail, Failure> {
    let which = match id {
        Some(id) => Which::Id(id.clone()),
        None => Which::Slot(slot.clone()),
    };
    let of = Of::One(which.clone());
    if let Err(failure) = context.owner.start(which).await {
        return Err(explain(failure, of, context.owner, &context.hands.layout).await);
    }
    if matches!(context.intent, Intent::Run(_))
        && slot.number == 0
        && let [record] = context.owner.records(of).await?.as_slice()
    {
        context.tell(Progress::Ready { container: record.id.as_str().to_owned(), name: name.to_owned() });
        *Context::held(&context.oneoff) = Some(record.id.clone());
    }
    Ok(None)
}

async fn await_condition(service: &str, condition: Condition, context: &Context<'_>) -> Result<Detail, Failure> {
    let mut overtaken = context.superseded.clone();
    let met = tokio::select! {
        met = context.owner.until(service.to_owned(), Until::Condition(condition)) => met,
        Ok(_) = overtaken.wait_for(|overtaken| *overtaken) => return Err(superseded()),
    };
    match met {
        Ok(()) => Ok(None),
        Err(failure) => {
            let of = Of::Service(service.to_owned());
            Err(explain(failure, of, context.owner, &context.hands.layout).await)
        }
    }
}

/// Adds to a failure what is known of the containers it is about.
pub async fn explain(failure: Failure, of: Of, owner: &Owner, layout: &Layout) -> Failure {
    let records = owner.records(of).await.unwrap_or_default();
    report::explain(failure, &records, layout)
}

async fn remove_container(id: &ContainerId, volumes: bool, context: &Context<'_>) -> Result<Detail, Failure> {
    let Some(retired) = context.owner.release(id.clone()).await? else {
        // A `run --rm` may have been quicker.
        let known = context.owner.records(Of::One(Which::Id(id.clone()))).await?;
        return if known.is_empty() {
            drop(context.hands.departing.lock().await);
            Ok(None)
        } else {
            Err(failure(format!("container {} is running; stop it first", id.short())))
        };
    };
    let record = &retired.record;
    let inheritance =
        Inheritance { volumes: record.volumes.clone(), networks: record.networks.clone(), ports: record.ports.clone() };
    Context::held(&context.retired).insert(id.clone(), inheritance);
    let links = context.links_of(&retired.record);
    take_away(retired, volumes, links, context.owner, context.hands).await?;
    Ok(None)
}

/// `run --rm`: waits for the end of the container, then removes it with its anonymous volumes.
pub async fn remove_when_ended(id: &ContainerId, owner: &Owner, hands: &Hands) -> Result<(), Failure> {
    owner.ended(id.clone()).await?;
    let _departing = hands.departing.lock().await;
    match owner.release(id.clone()).await? {
        Some(retired) => take_away(retired, true, Links::Remove, owner, hands).await,
        // Somebody else has taken it away, or started it again.
        None => Ok(()),
    }
}

async fn take_away(retired: Retired, volumes: bool, links: Links, owner: &Owner, hands: &Hands) -> Result<(), Failure> {
    let ContainerRecord { id, volumes: uses, ports, status, .. } = retired.record;
    // The shim of a container that has ended gave its ports up; one that never ran one gives them up by leaving.
    if let (Status::Created | Status::Dead { .. }, Some(link)) = (&status, &retired.parts.link) {
        link.send(Request::Quit);
        if tokio::time::timeout(FAREWELL, link.closed()).await.is_err() {
            tracing::warn!("the shim of container {} does not leave", id.short());
        }
    }
    remove::discard(&id, retired.parts, links, hands).await?;
    // Until its lease was gone, it looked like a container of another project on a shared network.
    owner.names();
    if !ports.is_empty() {
        owner.firewall().await?;
    }
    if volumes {
        for used in uses.into_iter().filter(|used| used.anonymous) {
            delete_volume(&used.name, hands).await?;
        }
    }
    Ok(())
}
