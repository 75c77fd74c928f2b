//! The scenarios, and what plans must hold at size.

use super::{Observed, ObservedContainer, ObservedState, config_hash, plan, scenario};
use crate::model::{ContainerId, ImageId, Project, Service, intent::Intent, intent::Up};
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
                let _ = writeln!(blessed, "{name}\n  {}", content.join("\n  "));
            }
            let _ = writeln!(blessed, "plan\n  {}\n", lines.join("\n  "));
        }
        if bless {
            fs::write(&file, format!("{}\n", blessed.trim_end())).unwrap();
        }
    }
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n\n"));
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
