//! Planning as text in, text out: the files in `scenarios/`.
//!
//! ```text
//! === what must hold
//! before                     the model that was applied; what is observed is made from it
//!   db image=db:1 health networks=back volumes=data:/data
//! observed                   states, and what differs from `before`
//!   db-1 healthy
//! model                      the wanted model; `same` is that of `before`, `none` is no file
//!   same
//! intent
//!   up web --force-recreate
//! plan                       as printed
//! ```
//!
//! `MUSTER_BLESS=1` writes what is printed into the files instead of comparing.

use super::{Observed, ObservedContainer, ObservedImage, ObservedNetwork, ObservedState, ObservedVolume};
use crate::model::{
    Attachment, Build, Condition, ContainerId, Dependency, FileMount, FileObject, FileSource, HealthTest, Healthcheck,
    ImageId, Ipam, Mount, MountKind, Network, PortRange, Project, Protocol, PublishedPort, PullPolicy, RestartPolicy,
    Service, Volume,
    intent::{Down, Intent, Recreate, RemoveImages, Run, Up},
};
use std::time::Duration;

pub struct Case {
    pub title: String,
    pub sections: Vec<(String, Vec<String>)>,
}

pub fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("=== ") {
            cases.push(Case { title: title.to_owned(), sections: Vec::new() });
        } else if let Some(case) = cases.last_mut() {
            match line.strip_prefix("  ") {
                _ if line.trim().is_empty() => {}
                Some(content) => case.sections.last_mut().unwrap().1.push(content.to_owned()),
                None => case.sections.push((line.trim().to_owned(), Vec::new())),
            }
        }
    }
    cases
}

pub fn section(name: &str, lines: &[impl AsRef<str>]) -> String {
    let lines: String = lines.iter().map(|line| format!("  {}\n", line.as_ref())).collect();
    format!("{name}\n{lines}")
}

impl Case {
    pub fn section(&self, name: &str) -> &[String] {
        self.sections.iter().find(|(section, _)| section == name).map_or(&[], |(_, lines)| lines)
    }

    pub fn intent(&self) -> Intent {
        intent(&self.section("intent")[0])
    }

    /// The wanted model and what is observed.
    pub fn world(&self) -> (Option<Project>, Observed) {
        let before = project(self.section("before"));
        let wanted = match self.section("model") {
            [one] if one == "same" => Some(before.clone()),
            [one] if one == "none" => None,
            lines => Some(project(lines)),
        };
        let observed = observed(&before, wanted.as_ref(), self.section("observed"));
        (wanted, observed)
    }

    pub fn run(&self) -> String {
        let (wanted, observed) = self.world();
        match super::plan(&self.intent(), wanted.as_ref(), &observed) {
            Ok(plan) => {
                assert_points_back(&plan);
                super::render(&plan)
            }
            Err(error) => format!("error: {error}\n"),
        }
    }
}

fn assert_points_back(plan: &super::Plan) {
    for (id, op) in plan.ops.iter().enumerate() {
        assert!(op.after.iter().all(|before| *before < id), "op {id} waits for a later one: {plan:#?}");
    }
}

pub fn project(lines: &[String]) -> Project {
    let mut project = Project { name: "p".into(), ..Project::default() };
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "network" => network(&mut project, words[1], &words[2..]),
            "volume" => volume(&mut project, words[1], &words[2..]),
            "disabled" => {
                let service = service(words[1], &words[2..]);
                project.disabled_services.insert(words[1].to_owned(), service);
            }
            name => {
                let service = service(name, &words[1..]);
                project.services.insert(name.to_owned(), service);
            }
        }
    }
    let services: Vec<_> = project.services.values().cloned().collect();
    for service in &services {
        for key in service.networks.keys() {
            let name = format!("p_{key}");
            project.networks.entry(key.clone()).or_insert_with(|| Network { name, ..Network::default() });
        }
        for mount in &service.volumes {
            if let MountKind::Volume { source, .. } = &mount.kind {
                let name = format!("p_{source}");
                project.volumes.entry(source.clone()).or_insert_with(|| Volume { name, ..Volume::default() });
            }
        }
        for secret in &service.secrets {
            let source = FileSource::File(format!("/{}", secret.source).into());
            let object = FileObject { name: secret.source.clone(), source };
            project.secrets.insert(secret.source.clone(), object);
        }
    }
    project
}

fn network(project: &mut Project, key: &str, words: &[&str]) {
    let mut network = Network { name: format!("p_{key}"), ..Network::default() };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("external", _) => network.external = true,
            ("internal", _) => network.internal = true,
            ("name", name) => network.name = name.to_owned(),
            ("subnet", subnet) => {
                network.ipam = Some(Ipam { subnet: subnet.parse().unwrap(), gateway: None, ip_range: None });
            }
            other => panic!("{other:?}"),
        }
    }
    project.networks.insert(key.to_owned(), network);
}

fn volume(project: &mut Project, key: &str, words: &[&str]) {
    let mut volume = Volume { name: format!("p_{key}"), ..Volume::default() };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("external", _) => volume.external = true,
            ("name", name) => volume.name = name.to_owned(),
            other => panic!("{other:?}"),
        }
    }
    project.volumes.insert(key.to_owned(), volume);
}

fn service(name: &str, words: &[&str]) -> Service {
    let mut service = Service { name: name.to_owned(), image: format!("{name}:1"), scale: 1, ..Service::default() };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "image" => service.image = value.to_owned(),
            "scale" => service.scale = value.parse().unwrap(),
            "container_name" => service.container_name = Some(value.to_owned()),
            "build" => service.build = Some(Build::default()),
            "pull" => service.pull_policy = pull(value),
            "health" => {
                service.healthcheck =
                    Some(Healthcheck { test: Some(HealthTest::Shell("true".into())), ..Healthcheck::default() });
            }
            "networks" => {
                service.networks = value.split(',').map(|key| (key.to_owned(), Attachment::default())).collect();
            }
            "volumes" => service.volumes = value.split(',').map(mount).collect(),
            "ports" => service.ports = value.split(',').map(port).collect(),
            "depends_on" => service.depends_on = value.split(',').map(dependency).collect(),
            "restart" => service.restart = restart(value),
            "command" => service.command = Some(value.split(',').map(str::to_owned).collect()),
            "grace" => service.stop_grace_period = Some(Duration::from_secs(value.parse().unwrap())),
            "secret" => {
                let target = format!("/run/secrets/{value}").into();
                service.secrets.push(FileMount { source: value.to_owned(), target, uid: 0, gid: 0, mode: 0o444 });
            }
            _ => {
                let (map, key) = key.split_once('.').unwrap();
                let map = if map == "env" { &mut service.environment } else { &mut service.labels };
                map.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    service
}

fn pull(word: &str) -> PullPolicy {
    match word {
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        _ => PullPolicy::Missing,
    }
}

fn restart(word: &str) -> RestartPolicy {
    match word.split_once(':') {
        Some((_, most)) => RestartPolicy::OnFailure { max_retries: most.parse().ok() },
        None if word == "always" => RestartPolicy::Always,
        None if word == "unless-stopped" => RestartPolicy::UnlessStopped,
        None => RestartPolicy::OnFailure { max_retries: None },
    }
}

fn mount(word: &str) -> Mount {
    let (kind, target) = match word.split_once(':') {
        Some((source, target)) => {
            (MountKind::Volume { source: source.to_owned(), nocopy: false, subpath: None }, target)
        }
        None => (MountKind::Anonymous { nocopy: false }, word),
    };
    Mount { kind, target: target.into(), read_only: false }
}

fn port(word: &str) -> PublishedPort {
    let (published, target) = word.split_once(':').unwrap();
    let first: u16 = published.parse().unwrap();
    PublishedPort {
        target: target.parse().unwrap(),
        protocol: Protocol::Tcp,
        published: Some(PortRange { first, last: first }),
        host_ip: None,
    }
}

/// `db:healthy:restart:optional`
fn dependency(word: &str) -> (String, Dependency) {
    let mut words = word.split(':');
    let name = words.next().unwrap().to_owned();
    let mut dependency = Dependency { condition: Condition::Started, restart: false, required: true };
    for word in words {
        match word {
            "healthy" => dependency.condition = Condition::Healthy,
            "completed" => dependency.condition = Condition::Completed,
            "restart" => dependency.restart = true,
            "optional" => dependency.required = false,
            other => panic!("{other}"),
        }
    }
    (name, dependency)
}

fn observed(before: &Project, wanted: Option<&Project>, lines: &[String]) -> Observed {
    let mut observed = Observed { project: "p".into(), ..Observed::default() };
    let owner = |external: bool| (!external).then(|| "p".to_owned());
    for network in before.networks.values() {
        let seen = ObservedNetwork {
            id: network.name.clone(),
            project: owner(network.external),
            internal: network.internal,
            subnet: "10.0.0.0/24".into(),
            used_by_others: false,
            applied: Some(network.clone()),
        };
        observed.networks.insert(network.name.clone(), seen);
    }
    for volume in before.volumes.values() {
        let seen = ObservedVolume { project: owner(volume.external), anonymous: false };
        observed.volumes.insert(volume.name.clone(), seen);
    }
    for service in before.services.values().chain(wanted.into_iter().flat_map(|project| project.services.values())) {
        let id = ImageId::new(format!("sha256:{:0<12}", service.image.replace(':', "")));
        observed.images.insert(service.image.clone(), Some(ObservedImage { id, healthcheck: false, fresh: false }));
    }
    for line in lines {
        observe(before, &line.split_whitespace().collect::<Vec<_>>(), &mut observed);
    }
    observed
}

fn observe(before: &Project, words: &[&str], observed: &mut Observed) {
    match words {
        ["nothing"] => *observed = Observed { images: observed.images.clone(), ..Observed::default() },
        ["image", reference, "missing"] => drop(observed.images.insert((*reference).to_owned(), None)),
        ["image", reference, id] => {
            let id = ImageId::new(format!("sha256:{id:0<12}"));
            let image = ObservedImage { id, healthcheck: false, fresh: false };
            observed.images.insert((*reference).to_owned(), Some(image));
        }
        ["image", reference, "is", "fresh"] => {
            observed.images.get_mut(*reference).unwrap().as_mut().unwrap().fresh = true
        }
        ["network", name, "missing"] => drop(observed.networks.remove(*name)),
        ["network", name, "used-by-others"] => observed.networks.get_mut(*name).unwrap().used_by_others = true,
        ["network", name, "of", project] => {
            observed.networks.get_mut(*name).unwrap().project = Some((*project).to_owned());
        }
        ["volume", name, "missing"] => drop(observed.volumes.remove(*name)),
        ["volume", name, "of", project] => {
            observed.volumes.get_mut(*name).unwrap().project = Some((*project).to_owned());
        }
        ["digest", key, digest] => drop(observed.file_digests.insert((*key).to_owned(), (*digest).to_owned())),
        [name, state @ ..] => {
            let container = container(before, name, state, observed);
            for volume in &container.anonymous_volumes {
                let seen = ObservedVolume { project: Some("p".into()), anonymous: true };
                observed.volumes.insert(volume.clone(), seen);
            }
            observed.containers.push(container);
        }
        [] => {}
    }
}

/// `db-1 healthy`, `web-run-1 oneoff exited 0`
fn container(before: &Project, name: &str, words: &[&str], observed: &Observed) -> ObservedContainer {
    let (service_name, number) = name.rsplit_once('-').unwrap();
    let service_name = service_name.trim_end_matches("-run");
    let service = &before.services[service_name];
    let mut state = ObservedState::Created;
    let (mut oneoff, mut stopped_by_user, mut restarts) = (false, false, 0);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "created" => state = ObservedState::Created,
            "running" => state = ObservedState::Running { healthy: None },
            "healthy" => state = ObservedState::Running { healthy: Some(true) },
            "unhealthy" => state = ObservedState::Running { healthy: Some(false) },
            "restarting" => state = ObservedState::Restarting,
            "dead" => state = ObservedState::Dead,
            "exited" => state = ObservedState::Exited { code: words.next().unwrap().parse().unwrap() },
            "oneoff" => oneoff = true,
            "by-user" => stopped_by_user = true,
            "restarts" => restarts = words.next().unwrap().parse().unwrap(),
            other => panic!("{other}"),
        }
    }
    let image_id = ImageId::new(format!("sha256:{:0<12}", service.image.replace(':', "")));
    let named = |mount: &Mount| match &mount.kind {
        MountKind::Volume { source, .. } => Some(before.volumes[source].name.clone()),
        _ => None,
    };
    let anonymous = |mount: &Mount| match &mount.kind {
        MountKind::Anonymous { .. } => Some(format!("anonymous-of-{name}")),
        _ => None,
    };
    let digests = service.secrets.iter().map(|secret| (format!("secret:{}", secret.source), "old".to_owned()));
    let _ = observed;
    ObservedContainer {
        id: ContainerId::new(format!("id-of-{name}")),
        service: service_name.to_owned(),
        number: if oneoff { 0 } else { number.parse().unwrap() },
        oneoff,
        name: service.container_name.clone().unwrap_or_else(|| format!("p-{name}")),
        applied: service.clone(),
        image_id,
        state,
        stopped_by_user,
        restarts,
        networks: service.networks.keys().map(|key| before.networks[key].name.clone()).collect(),
        volumes: service.volumes.iter().filter_map(named).collect(),
        anonymous_volumes: service.volumes.iter().filter_map(anonymous).collect(),
        file_digests: digests.collect(),
    }
}

fn intent(line: &str) -> Intent {
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap();
    let (flags, services): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with('-'));
    let services: Vec<String> = services.into_iter().map(str::to_owned).collect();
    let has = |flag: &str| flags.contains(&flag);
    match verb {
        "up" => Intent::Up(Up {
            services,
            recreate: match (has("--force-recreate"), has("--no-recreate")) {
                (true, _) => Recreate::Force,
                (_, true) => Recreate::Never,
                _ => Recreate::Diverged,
            },
            no_deps: has("--no-deps"),
            no_start: has("--no-start"),
            remove_orphans: has("--remove-orphans"),
            pull: has("--pull=always").then_some(PullPolicy::Always),
            renew_anon_volumes: has("-V"),
            always_recreate_deps: has("--always-recreate-deps"),
            build: has("--build"),
            builds: flags.iter().filter_map(|flag| flag.strip_prefix("--built=")).map(str::to_owned).collect(),
            ..Up::default()
        }),
        "down" => Intent::Down(Down {
            services,
            volumes: has("-v"),
            remove_orphans: has("--remove-orphans"),
            images: match (has("--rmi=all"), has("--rmi=local")) {
                (true, _) => Some(RemoveImages::All),
                (_, true) => Some(RemoveImages::Local),
                _ => None,
            },
            ..Down::default()
        }),
        "start" => Intent::Start { services },
        "stop" => Intent::Stop { services, timeout: None },
        "restart" => Intent::Restart { services, timeout: None, no_deps: has("--no-deps") },
        "kill" => Intent::Kill { services, signal: 9, remove_orphans: has("--remove-orphans") },
        "rm" => Intent::Rm { services, stop: has("--stop"), volumes: has("-v") },
        "run" => Intent::Run(Run {
            service: services[0].clone(),
            no_deps: has("--no-deps"),
            slug: "0123456789ab".into(),
            ..Run::default()
        }),
        "recover" => Intent::Recover,
        other => panic!("{other}"),
    }
}
