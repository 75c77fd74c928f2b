//! Builds that fail, are cancelled, or are killed: the store stays whole, and nothing is left behind.

use crate::{
    Test,
    world::{Plans, World, runtime, tree},
};
use muster::build::{
    engine,
    op::{Network, Plan},
};
use muster::runtime::{
    cgroup::Cgroup,
    spec::{CgroupSpec, Limits},
};
use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitCode},
    time::{Duration, Instant},
};

pub const TESTS: &[Test] = &[
    ("a_build_that_is_dropped_leaves_nothing", a_build_that_is_dropped_leaves_nothing),
    ("a_failure_ends_the_steps_beside_it", a_failure_ends_the_steps_beside_it),
    (
        "steps_on_the_network_that_are_dropped_together_leave_it",
        steps_on_the_network_that_are_dropped_together_leave_it,
    ),
    ("a_build_that_is_killed_takes_its_programs_along", a_build_that_is_killed_takes_its_programs_along),
    ("what_is_left_is_known_by_its_session", what_is_left_is_known_by_its_session),
    ("killed_at_any_moment_the_next_build_finishes", killed_at_any_moment_the_next_build_finishes),
    ("two_processes_build_the_same_at_once", two_processes_build_the_same_at_once),
    ("a_full_disk_is_told_and_forgotten", a_full_disk_is_told_and_forgotten),
];

fn endless(network: Network) -> Plan {
    let mut plans = Plans::new();
    let base = plans.base();
    let run = plans.run_with(base, "echo begun; setsid sleep 1000 & sleep 1000", |run| run.network = network);
    plans.plan(run)
}

fn busy() -> Plan {
    let mut plans = Plans::new();
    let base = plans.base();
    let copied = plans.copy(Some(base), &["."], "/src/");
    let one =
        plans.run_with(copied, "cat /src/* > /all; dd if=/dev/urandom of=/big bs=1M count=8 2>/dev/null", |run| {
            run.network = Network::Default;
        });
    let two = plans.run(one, "md5sum /big > /sum");
    plans.plan(two)
}

/// `--build DIR PLAN`
pub fn build_in(dir: &str, plan: &str) -> ExitCode {
    let world = World::at(Path::new(dir)).with_base();
    let plan = match plan {
        "endless" => endless(Network::Default),
        _ => busy(),
    };
    world.build_for_parent(plan)
}

fn start(world: &World, plan: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--build".as_ref(), world.dir.as_os_str(), plan.as_ref()])
        .spawn()
        .unwrap()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Programs of steps of this world.
fn programs(world: &World) -> usize {
    let count = |dir: &Path| fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines().count();
    let below = |top: &Path| -> usize {
        fs::read_dir(top).into_iter().flatten().flatten().map(|entry| count(&entry.path())).sum()
    };
    world.cgroups().iter().map(|top| below(top)).sum()
}

fn a_build_that_is_dropped_leaves_nothing() {
    let world = World::new();
    for network in [Network::None, Network::Default] {
        runtime().block_on(async {
            let build = engine::build(
                &world.store,
                &world.layout,
                endless(network),
                world.inputs.clone(),
                world.options.clone(),
                world.report(),
            );
            let begun = async {
                while !world.output().contains("begun") {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                _ = build => panic!("it ended"),
                () = begun => {}
            }
            assert_eq!(programs(&world), 0);
            world.events.lock().unwrap().clear();
        });
    }
    until("threads end", || fs::read_dir(world.dir.join("data/images/tmp")).unwrap().count() == 0);
    world.assert_clean();
}

fn a_failure_ends_the_steps_beside_it() {
    let world = World::new();
    let mut plans = Plans::new();
    let base = plans.base();
    let long = plans.run(base, "sleep 1000");
    let bad = plans.run(base, "sleep 0.3; exit 3");
    let from = |step| muster::build::op::CopySource::Path {
        from: muster::build::op::Source::Step(step),
        path: "/etc/passwd".into(),
    };
    let end = plans.copy_with(None, &[], "/", |copy| copy.sources = vec![from(long), from(bad)]);
    let begun = Instant::now();
    assert!(world.failure(plans.plan(end)).contains("exit code: 3"));
    assert!(begun.elapsed() < Duration::from_secs(10));
    until("threads end", || fs::read_dir(world.dir.join("data/images/tmp")).unwrap().count() == 0);
    world.assert_clean();
}

fn steps_on_the_network_that_are_dropped_together_leave_it() {
    let world = World::new();
    // Every moment of joining and leaving.
    for milliseconds in [0, 10, 30, 60, 100, 200] {
        let mut plans = Plans::new();
        let base = plans.base();
        let mut sources = Vec::new();
        for number in 0..4 {
            let script = format!(": {number} {milliseconds}; sleep 1000");
            let step = plans.run_with(base, &script, |run| run.network = Network::Default);
            let from = muster::build::op::Source::Step(step);
            sources.push(muster::build::op::CopySource::Path { from, path: "/etc/passwd".into() });
        }
        let end = plans.copy_with(None, &[], "/", |copy| copy.sources = sources);
        let plan = plans.plan(end);
        let begun = Instant::now();
        runtime().block_on(async {
            let (inputs, options) = (world.inputs.clone(), world.options.clone());
            let build = engine::build(&world.store, &world.layout, plan, inputs, options, world.report());
            let _ = tokio::time::timeout(Duration::from_millis(milliseconds), build).await;
        });
        assert!(begun.elapsed() < Duration::from_secs(8));
        until("threads end", || fs::read_dir(world.dir.join("data/images/tmp")).unwrap().count() == 0);
        until("the network goes", || fs::read_dir(world.dir.join("data/networks")).map_or(0, Iterator::count) == 0);
        world.assert_clean();
    }
}

/// A build with a step on the network, killed while that runs.
fn kill_endless(world: &World) {
    let mut child = start(world, "endless");
    until("it runs", || programs(world) >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    until("its programs end", || programs(world) == 0 && world.cgroups().is_empty());
}

fn a_build_that_is_killed_takes_its_programs_along() {
    let world = World::new();
    kill_endless(&world);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*world.dir.to_string_lossy()));
    world.build(busy());
    world.assert_clean();
}

/// Goes with the test, however that ends.
struct Gone(Cgroup);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.remove();
    }
}

fn what_is_left_is_known_by_its_session() {
    let world = World::new();
    // Its network stays.
    kill_endless(&world);
    assert_ne!(fs::read_dir(world.dir.join("data/networks")).unwrap().count(), 0);
    // As the command line has them beside the engine's, for sources and for keys.
    let held = world.store.workshop().unwrap();
    let session = held.path().file_name().unwrap().to_str().unwrap();
    let top = Path::new("muster").join(world.cgroups_name());
    let make = |name: &str| {
        let spec = CgroupSpec { path: top.join(name), limits: Limits::default() };
        Gone(Cgroup::create(&spec).unwrap())
    };
    let living = format!("{session}-0123");
    let made = [make(&living), make("session-dead-4567")];
    let mut plans = Plans::new();
    let base = plans.base();
    world.build(plans.plan(base));
    let left = Cgroup::names_below(&top);
    drop(made);
    assert_eq!(left, [living.as_str()]);
    // At once, whether or not the kernel has freed the namespace of the killed step.
    assert_eq!(fs::read_dir(world.dir.join("data/networks")).unwrap().count(), 0);
    drop(held);
    world.assert_clean();
}

fn killed_at_any_moment_the_next_build_finishes() {
    let world = World::new();
    world.file("a", &"a".repeat(3 << 20));
    world.file("b", "b");
    let begun = Instant::now();
    assert!(start(&world, "busy").wait().unwrap().success());
    let whole = begun.elapsed();
    for round in 0..12u32 {
        fs::remove_dir_all(world.dir.join("data/build")).unwrap();
        let mut child = start(&world, "busy");
        std::thread::sleep(whole * round / 12);
        child.kill().unwrap();
        child.wait().unwrap();
        until("its programs end", || programs(&world) == 0);
        let image = world.build(busy());
        assert!(tree(&image.layers[0])[0].contains("sum"), "{:?}", tree(&image.layers[0]));
        assert_eq!(fs::read_to_string(image.layers[2].join("src/b")).unwrap(), "b");
        world.assert_clean();
    }
}

fn two_processes_build_the_same_at_once() {
    let world = World::new();
    world.file("a", "a");
    let mut children: Vec<Child> = (0..3).map(|_| start(&world, "busy")).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    world.build(busy());
    assert_eq!(world.counts().0, 0);
    world.assert_clean();
}

fn a_full_disk_is_told_and_forgotten() {
    let world = World::new();
    world.file("big", &"x".repeat(4 << 20));
    // A small file system that only this child and its children see.
    let small = world.dir.join("data");
    let script = format!(
        "cp -a {0} {0}.copy && mount -t tmpfs -o size=$(( $(du -sk {0} | cut -f1) + 5000 ))k none {0} && cp -a {0}.copy/. {0}/ && \
         ! \"$1\" --build {1} busy 2> {1}/told && ls {0}/images/tmp {1}/run/builds 2>/dev/null | grep -c session",
        small.display(),
        world.dir.display()
    );
    let exe = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-m".as_ref(), "sh".as_ref(), "-c".as_ref(), script.as_ref(), "sh".as_ref(), exe.as_os_str()])
        .output()
        .unwrap();
    let told = fs::read_to_string(world.dir.join("told")).unwrap_or_default();
    assert!(told.contains("No space left on device"), "{told} {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0");
    world.build(busy());
    world.assert_clean();
}
