//! Verbs that look at records and ask nobody.

use crate::world::{World, exited, running, write};
use muster::{
    model::Protocol,
    state::records::{BoundPort, Status},
};

#[test]
fn ps_believes_the_kernel_before_the_record() {
    let world = World::new();
    let mut web = world.record("web", running());
    world.record("db", exited(3));
    assert_eq!(world.muster(&["ps", "-q"]).out, format!("{}\n", web.id));
    assert_eq!(world.muster(&["ps", "-a", "--services"]).out, "db\nweb\n");
    if let Status::Running { start_time, .. } = &mut web.status {
        *start_time += 1;
    }
    write(&world.layout, &web);
    assert_eq!(world.muster(&["ps", "-q"]).out, "");
    let row = world.muster(&["ps", "-a", "--format", "json", "web"]).out;
    let row: serde_json::Value = serde_json::from_str(&row).unwrap();
    assert_eq!((&row["State"], &row["ExitCode"]), (&"exited".into(), &137.into()));
    assert_eq!(world.muster(&["ps", "nobody"]).code, Some(1));
}

#[test]
fn ps_with_a_name_needs_no_file() {
    let world = World::new();
    world.record("web", running());
    std::fs::remove_file(world.project().join("compose.yaml")).unwrap();
    assert_eq!(world.muster(&["-p", "app", "ps", "--services"]).out, "web\n");
    let said = world.muster(&["ps"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no configuration file provided"), "{}", said.err);
}

#[test]
fn ls_counts_states_and_port_finds_bindings() {
    let world = World::new();
    let mut web = world.record("web", running());
    let host_ip = "127.0.0.1".parse().unwrap();
    web.ports.push(BoundPort { host_ip, host_port: 8080, target: 80, protocol: Protocol::Tcp });
    write(&world.layout, &web);
    world.record("db", exited(1));
    let out = world.muster(&["ls", "-a", "--format", "json"]).out;
    let projects: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(projects[0]["Status"], "running(1), exited(1)");
    assert_eq!(world.muster(&["ls", "-q", "--filter", "name=other"]).out, "");
    assert_eq!(world.muster(&["port", "web", "80"]).out, "127.0.0.1:8080\n");
    assert_eq!(world.muster(&["port", "--protocol", "udp", "web", "80"]).code, Some(1));
}

#[test]
fn config_shows_the_model_and_its_parts() {
    let world = World::new();
    assert_eq!(world.muster(&["config", "--services"]).out, "web\ndb\n");
    assert_eq!(world.muster(&["config", "--images"]).out, "rootfs:/\nrootfs:/\n");
    assert_eq!(world.muster(&["config", "-q"]).out, "");
    assert!(world.muster(&["config", "--hash", "web"]).out.starts_with("web "));
    assert_eq!(world.muster(&["config", "--hash", "nobody"]).code, Some(1));
    let json = world.muster(&["config", "--format", "json"]).out;
    assert!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["services"]["web"].is_object());
    assert_eq!(world.muster(&["config", "-o", "out.yaml"]).code, Some(0));
    let again = world.muster(&["-f", "out.yaml", "config"]).out;
    assert_eq!(again, world.muster(&["config"]).out);
}

#[test]
fn wrong_usage_is_1_and_help_is_0() {
    let world = World::new();
    assert_eq!(world.muster(&["pss"]).code, Some(1));
    assert_eq!(world.muster(&["up", "-d", "--attach", "web"]).code, Some(1));
    for (word, said) in [("nosuch.bundle", "there is no bundle nosuch.bundle"), ("./compose.yaml", "is not a bundle")] {
        let refused = world.muster(&["up", "-d", word]);
        assert!(refused.code == Some(1) && refused.err.contains(said), "{refused:?}");
    }
    assert_eq!(world.muster(&["--help"]).code, Some(0));
    assert_eq!(world.muster(&["compose", "version", "--short"]).out, format!("{}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn looking_makes_nothing() {
    let world = World::new();
    world.muster(&["ps"]);
    world.muster(&["ls"]);
    world.muster(&["logs"]);
    world.muster(&["config"]);
    assert!(!world.layout.data().exists() && !world.layout.run().exists());
}
