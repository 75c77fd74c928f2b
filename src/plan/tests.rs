//! The scenarios, and what plans must hold at size.

use super::{
    Observed, ObservedContainer, ObservedImage, ObservedNetwork, ObservedState, ObservedVolume, Op, Plan, config_hash,
    plan, scenario,
};
use crate::model::{
    ContainerId, ImageId, MountKind, Project, Service,
    intent::{Intent, Recreate, Up},
};
use std::{fmt::Write, fs, path::Path, time::Instant};

#[test]
fn scenarios_print_as_their_files_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/scenarios");
    let bless = std::env::var_os("MUSTER_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut blessed = String::new();
        for case in scenario::parse(&text) {
            let printed = case.run();
            let lines: Vec<&str> = printed.lines().filter(|line| !line.is_empty()).collect();
            if lines != case.section("plan") {
                let expected = case.section("plan").join("\n  ");
                wrong.push(format!("=== {}\nexpected\n  {expected}\nprinted\n  {}", case.title, lines.join("\n  ")));
            }
            let _ = writeln!(blessed, "=== {}", case.title);
            for (name, content) in case.sections.iter().filter(|(name, _)| name != "plan") {
                blessed.push_str(&scenario::section(name, content));
            }
            blessed.push_str(&scenario::section("plan", &lines));
            blessed.push('\n');
        }
        if bless {
            fs::write(&file, format!("{}\n", blessed.trim_end())).unwrap();
        }
    }
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn cases() -> Vec<scenario::Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/scenarios");
    let files = fs::read_dir(&directory).unwrap();
    files.flat_map(|entry| scenario::parse(&fs::read_to_string(entry.unwrap().path()).unwrap())).collect()
}

/// Carries a plan out in a world where everything works at once.
fn carry_out(plan: &Plan, project: &Project, observed: &mut Observed) {
    for planned in &plan.ops {
        match &planned.op {
            // It gives what there was; another image is a reason to do more, as the plan has warned.
            Op::BuildImage { service, image } => {
                let container = observed.containers.iter().find(|container| container.service == *service);
                let id = container.map_or_else(|| ImageId::new("sha256:built"), |container| container.image_id.clone());
                observed.images.insert(image.clone(), Some(ObservedImage { id, healthcheck: false, fresh: true }));
            }
            Op::PullImage { image, .. } => {
                let known = observed.images.get(image).cloned().flatten();
                let id = known.map_or_else(|| ImageId::new(format!("sha256:{image}")), |image| image.id);
                observed.images.insert(image.clone(), Some(ObservedImage { id, healthcheck: false, fresh: true }));
            }
            Op::CreateNetwork { key } => {
                let wanted = &project.networks[key];
                let seen = ObservedNetwork {
                    id: key.clone(),
                    project: Some("p".into()),
                    internal: wanted.internal,
                    subnet: "10.0.0.0/24".into(),
                    used_by_others: false,
                    applied: Some(wanted.clone()),
                };
                assert!(observed.networks.insert(wanted.name.clone(), seen).is_none(), "{key} is there already");
            }
            Op::RemoveNetwork { name } => {
                assert!(
                    !observed.containers.iter().any(|container| container.networks.contains(name)),
                    "{name} in use"
                );
                observed.networks.remove(name).unwrap();
            }
            Op::CreateVolume { key } => {
                let seen = ObservedVolume { project: Some("p".into()), anonymous: false };
                observed.volumes.insert(project.volumes[key].name.clone(), seen);
            }
            Op::CreateContainer { slot, name, oneoff, .. } => {
                let container = created(project, observed, &slot.service, slot.number, name, *oneoff);
                observed.containers.push(container);
            }
            Op::StartContainer { name, .. } => {
                let container = observed.containers.iter_mut().find(|container| container.name == *name).unwrap();
                let healthy = container.applied.healthcheck.is_some().then_some(true);
                container.state = ObservedState::Running { healthy };
            }
            Op::StopContainer { id, .. } => {
                let container = observed.containers.iter_mut().find(|container| container.id == *id).unwrap();
                container.state = ObservedState::Exited { code: 143 };
            }
            Op::RemoveContainer { id, .. } => {
                let place = observed.containers.iter().position(|container| container.id == *id).unwrap();
                assert!(!observed.containers[place].state.is_running(), "{id} still runs");
                observed.containers.remove(place);
            }
            Op::AwaitCondition { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn created(
    project: &Project,
    observed: &Observed,
    service: &str,
    number: u32,
    name: &str,
    oneoff: bool,
) -> ObservedContainer {
    assert!(!observed.containers.iter().any(|container| container.name == name), "{name} is there already");
    let applied = project.services[service].clone();
    let image = observed.images[&applied.image].clone().expect("an image that was pulled");
    let networks = applied.networks.keys().map(|key| project.networks[key].name.clone()).collect::<Vec<_>>();
    assert!(networks.iter().all(|network| observed.networks.contains_key(network)));
    let named = applied.volumes.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume { source, .. } => Some(project.volumes[source].name.clone()),
        _ => None,
    });
    let volumes = named.collect::<Vec<_>>();
    assert!(volumes.iter().all(|volume| observed.volumes.contains_key(volume)));
    ObservedContainer {
        id: ContainerId::new(format!("new-{name}")),
        service: service.to_owned(),
        number,
        oneoff,
        name: name.to_owned(),
        applied,
        image_id: image.id,
        state: ObservedState::Created,
        stopped_by_user: false,
        restarts: 0,
        networks,
        volumes,
        anonymous_volumes: vec![],
        file_digests: observed.file_digests.clone(),
    }
}

#[test]
fn after_up_there_is_nothing_left_to_do() {
    let mut checked = 0;
    for case in cases() {
        let Intent::Up(up) = case.intent() else { continue };
        let (Some(project), mut observed) = case.world() else { continue };
        let Ok(first) = plan(&Intent::Up(up.clone()), Some(&project), &observed) else { continue };
        if up.no_start || up.recreate == Recreate::Never {
            continue;
        }
        carry_out(&first, &project, &mut observed);
        let again = Up { recreate: Recreate::Diverged, always_recreate_deps: false, builds: Vec::new(), ..up };
        let second = plan(&Intent::Up(again), Some(&project), &observed).unwrap();
        assert!(second.is_empty(), "=== {}\n{}", case.title, super::render(&second));
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
}

fn many(count: usize) -> (Project, Observed) {
    let mut project = Project { name: "p".into(), ..Project::default() };
    let mut observed = Observed { project: "p".into(), ..Observed::default() };
    for number in 0..count {
        let name = format!("s{number}");
        let environment = (0..20).map(|n| (format!("KEY_{n}"), format!("value {n}"))).collect();
        let service = Service { name: name.clone(), image: "i".into(), scale: 1, environment, ..Service::default() };
        observed.containers.push(ObservedContainer {
            id: ContainerId::new(&name),
            service: name.clone(),
            number: 1,
            oneoff: false,
            name: format!("p-{name}-1"),
            applied: service.clone(),
            image_id: ImageId::new("i"),
            state: ObservedState::Running { healthy: None },
            stopped_by_user: false,
            restarts: 0,
            networks: vec![],
            volumes: vec![],
            anonymous_volumes: vec![],
            file_digests: Default::default(),
        });
        project.services.insert(name, service);
    }
    let image = super::ObservedImage { id: ImageId::new("i"), healthcheck: false, fresh: false };
    observed.images.insert("i".into(), Some(image));
    (project, observed)
}

#[test]
fn nothing_to_do_for_a_thousand_services_is_found_out_fast() {
    let (project, observed) = many(1000);
    let began = Instant::now();
    let plan = plan(&Intent::Up(Up::default()), Some(&project), &observed).unwrap();
    let took = began.elapsed();
    assert!(plan.is_empty());
    assert_eq!(plan.unchanged.len(), 1000);
    // Some 10 ms unoptimised; the bound only catches something quadratic.
    assert!(took.as_millis() < 500, "{took:?}");
}

#[test]
fn the_config_hash_does_not_see_order_nor_what_a_container_does_not_carry() {
    let mut one = Service { name: "a".into(), image: "i".into(), scale: 1, ..Service::default() };
    one.environment = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())].into_iter().collect();
    let mut other = one.clone();
    other.environment = [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "1".to_owned())].into_iter().collect();
    other.scale = 3;
    other.profiles = vec!["debug".into()];
    assert_eq!(config_hash(&one), config_hash(&other));
    assert_eq!(super::changes(&one, &other), vec![]);
    other.environment.insert("A".into(), "2".into());
    assert_ne!(config_hash(&one), config_hash(&other));
    assert_eq!(config_hash(&one).len(), 64);
}
