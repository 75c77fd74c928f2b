//! RUN: what a program sees, and what of it comes into the layer.

use crate::{
    Test,
    world::{Plans, World, tree},
};
use muster::build::{
    engine::{Context, Secret},
    op::{Mount, Network, Security, Sharing, Source, StepId},
};
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixListener,
};

pub const TESTS: &[Test] = &[
    ("what_a_program_changes_becomes_the_layer", what_a_program_changes_becomes_the_layer),
    ("removed_and_remade_directories_hide_what_was_below", removed_and_remade_directories_hide_what_was_below),
    ("mount_points_leave_no_trace", mount_points_leave_no_trace),
    ("a_program_has_dockers_fence", a_program_has_dockers_fence),
    ("user_directory_and_variables_are_as_asked", user_directory_and_variables_are_as_asked),
    ("a_program_that_fails_is_told_with_its_last_words", a_program_that_fails_is_told_with_its_last_words),
    ("bound_files_come_from_stages_and_contexts", bound_files_come_from_stages_and_contexts),
    ("a_cache_stays_and_is_locked", a_cache_stays_and_is_locked),
    ("secrets_touch_no_layer", secrets_touch_no_layer),
    ("an_agent_is_reached_through_its_socket", an_agent_is_reached_through_its_socket),
    ("the_default_network_leads_out_and_goes_with_the_step", the_default_network_leads_out_and_goes_with_the_step),
    ("what_needs_an_entitlement_is_refused_without", what_needs_an_entitlement_is_refused_without),
    ("independent_steps_run_at_the_same_time", independent_steps_run_at_the_same_time),
    ("heredocs_are_files_while_it_runs", heredocs_are_files_while_it_runs),
];

/// Runs one script over busybox: its layer and what it wrote.
fn run(world: &World, script: &str) -> (Vec<String>, String) {
    run_with(world, script, |_| {})
}

fn run_with(world: &World, script: &str, change: impl FnOnce(&mut muster::build::op::Run)) -> (Vec<String>, String) {
    let mut plans = Plans::new();
    let base = plans.base();
    let run = plans.run_with(base, script, change);
    let image = world.build(plans.plan(run));
    (tree(&image.layers[0]), world.output())
}

fn what_a_program_changes_becomes_the_layer() {
    let world = World::new();
    world.file("hello.txt", "hello");
    let mut plans = Plans::new();
    let base = plans.base();
    let copied = plans.copy(Some(base), &["hello.txt"], "/srv/");
    let run = plans.run(copied, "cat /srv/hello.txt; echo made > /made; rm /etc/group; ls / >&2");
    let image = world.build(plans.plan(run));
    assert!(world.output().contains("hello"), "{}", world.output());
    assert_eq!(image.layers.len(), 3);
    assert_eq!(tree(&image.layers[0]), ["d 755 0:0 etc", "whiteout etc/group", "f 644 0:0 made = made\n"]);
    assert_eq!(tree(&image.layers[1]), ["d 755 0:0 srv", "f 644 0:0 srv/hello.txt = hello"]);
    world.assert_clean();
}

fn removed_and_remade_directories_hide_what_was_below() {
    let world = World::new();
    let mut plans = Plans::new();
    let base = plans.base();
    let first = plans.run(base, "mkdir -p /d/e /fresh; echo old > /d/e/old; echo x > /d/x");
    let second = plans.run(first, "rm -r /d; mkdir /d; echo new > /d/new; mkdir /fresh/er; mv /home /moved");
    let third = plans.run(second, "find /d /moved/app; mknod /n c 5 1; mkfifo /p; ln /d/new /d/hard");
    let image = world.build(plans.plan(third));
    assert_eq!(world.output().trim().lines().collect::<Vec<_>>(), ["/d", "/d/new", "/moved/app"]);
    // What the archive says, not what the directory happens to be.
    let (parts, _) = world.store.parts(&image).unwrap().unwrap();
    let names = |index: usize| -> Vec<String> {
        let layer: &muster::image::store::ImageLayer = &parts[index];
        let blob = world.dir.join("data/images/blobs/sha256").join(layer.blob.hex());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(blob).unwrap()));
        let entries = archive.entries().unwrap();
        entries.map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(1), ["d/", "d/e/", "d/e/old", "d/x", "fresh/"]);
    let second = names(2);
    assert_eq!(second[..6], ["d/", "d/.wh..wh..opq", "d/new", "fresh/", "fresh/er/", ".wh.home"]);
    assert_eq!(names(3), ["d/", "d/hard", "d/new", "n", "p"]);
    world.assert_clean();
}

fn mount_points_leave_no_trace() {
    let mut world = World::new();
    world.inputs.secrets.insert("s".into(), Secret::Bytes(b"x".to_vec()));
    let mounts = vec![
        Mount::Tmpfs { target: "/new/tmpfs".into(), size: Some(1 << 20) },
        Mount::Secret {
            id: "s".into(),
            target: Some("/lib/deep/secret".into()),
            env: None,
            required: true,
            mode: 0o400,
            uid: 0,
            gid: 0,
        },
    ];
    let script =
        "cat /etc/resolv.conf /etc/hosts > /dev/null && ls -d /new/tmpfs /lib/deep/secret /proc/self /sys/class";
    let (layer, output) = run_with(&world, script, |run| run.mounts = mounts);
    assert_eq!(layer, [""; 0]);
    assert_eq!(output.lines().count(), 4, "{output}");
    // Also where there is nothing but the program.
    fs::create_dir_all(world.dir.join("context/bin")).unwrap();
    fs::copy("/bin/busybox", world.dir.join("context/bin/sh")).unwrap();
    let mut plans = Plans::new();
    let only = plans.copy(None, &["bin"], "/bin/");
    let ran = plans.run(only, "echo here > /here");
    let image = world.build(plans.plan(ran));
    assert_eq!(tree(&image.layers[0]), ["f 644 0:0 here = here\n"]);
    world.assert_clean();
}

fn a_program_has_dockers_fence() {
    let world = World::new();
    let script = "grep -E 'CapEff|Seccomp:|NoNewPrivs' /proc/self/status; mount -t tmpfs x /tmp 2>&1; cat /proc/1/comm; hostname; ls /proc/kcore -l; ip link | grep -c '^[0-9]'";
    let (_, output) = run(&world, script);
    for expected in ["CapEff:\t00000000a80425fb", "Seccomp:\t2", "permission denied", "buildkitsandbox"] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
    assert!(output.trim().ends_with("\n1"), "{output}");
}

fn user_directory_and_variables_are_as_asked() {
    let world = World::new();
    let (layer, output) = run_with(&world, "id -un; pwd; echo $A $B $HOME; touch here 2>&1; ulimit -n", |run| {
        run.user = "app".into();
        run.cwd = "/home/app/new".into();
        run.env = ["PATH=/bin", "A=1", "A=2"].map(str::to_owned).to_vec();
        run.proxy_env = vec!["B=proxy".into()];
        run.ulimits.insert("nofile".into(), (64, 128));
    });
    assert_eq!(output.lines().collect::<Vec<_>>()[..3], ["app", "/home/app/new", "2 proxy /home/app"]);
    assert_eq!(output.lines().last(), Some("64"));
    // A directory that only the image speaks of is the user's.
    assert!(layer.contains(&"d 755 1000:1001 home/app/new".to_owned()), "{layer:?}");
    assert!(layer.iter().any(|line| line.contains("home/app/new/here")), "{layer:?}");
    // The proxy is no part of what the step is.
    let again = run_with(&world, "id -un; pwd; echo $A $B $HOME; touch here 2>&1; ulimit -n", |run| {
        run.user = "app".into();
        run.cwd = "/home/app/new".into();
        run.env = ["PATH=/bin", "A=1", "A=2"].map(str::to_owned).to_vec();
        run.ulimits.insert("nofile".into(), (64, 128));
    });
    assert_eq!(again.1, "");
}

fn a_program_that_fails_is_told_with_its_last_words() {
    let world = World::new();
    let mut plans = Plans::new();
    let base = plans.base();
    let run = plans.run(base, "for i in $(seq 100); do echo line $i; done; echo bad >&2; exit 7");
    let message = world.failure(plans.plan(run));
    assert!(message.contains("exit code: 7") && message.ends_with("line 100\nbad"), "{message}");
    assert!(!message.contains("line 50\n"));
    world.assert_clean();
    let mut plans = Plans::new();
    let base = plans.base();
    let run = plans.run_with(base, "", |run| run.args = vec!["/nosuch".into()]);
    let message = world.failure(plans.plan(run));
    assert!(message.contains("exec: \"/nosuch\": no such file or directory"), "{message}");
    world.assert_clean();
}

fn bind(from: Source, source: &str, target: &str, writable: bool) -> Mount {
    Mount::Bind { from, source: source.into(), target: target.into(), writable }
}

fn bound_files_come_from_stages_and_contexts() {
    let mut world = World::new();
    world.file("dir/file", "from the context");
    world.file("other", "o");
    fs::create_dir(world.dir.join("named")).unwrap();
    fs::write(world.dir.join("named/n"), "named").unwrap();
    world.inputs.named.insert("extra".into(), Context { dir: world.dir.join("named"), ..Context::default() });
    let mut plans = Plans::new();
    let base = plans.base();
    let stage = plans.run(base, "mkdir /made; echo of the stage > /made/x; rm /etc/group");
    let mounts = vec![
        bind(Source::Context, "dir", "/ctx", false),
        bind(Source::Context, "other", "/one/file", false),
        bind(Source::Step(stage), "/", "/stage", true),
        bind(Source::Step(stage), "/made/x", "/x", false),
        bind(Source::Named("extra".into()), "/", "/named", true),
    ];
    let script = "cat /ctx/file /one/file /stage/made/x /x /named/n; ls /stage/etc; echo w > /stage/etc/w && echo w > /named/w; \
                  touch /ctx/no || echo read-only; stat -c %u:%g /ctx/file";
    let run = plans.run_with(base, script, |run| run.mounts = mounts);
    let image = world.build(plans.plan(run));
    let output = world.output();
    for expected in ["from the context", "of the stage\nof the stage\nnamed", "passwd", "read-only", "0:0"] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
    assert!(!output.contains("group"), "{output}");
    assert_eq!(tree(&image.layers[0]), [""; 0]);
    assert_eq!(fs::read_dir(world.dir.join("named")).unwrap().count(), 1);
    world.assert_clean();
}

fn cache(id: &str, sharing: Sharing) -> Mount {
    Mount::Cache {
        id: id.into(),
        target: "/cache".into(),
        sharing,
        read_only: false,
        from: Source::Scratch,
        source: "/".into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
    }
}

fn a_cache_stays_and_is_locked() {
    let world = World::new();
    let with = |script: &str, sharing| run_with(&world, script, |run| run.mounts = vec![cache("c", sharing)]).1;
    assert_eq!(with("echo 1 >> /cache/n; cat /cache/n", Sharing::Shared), "1\n");
    assert_eq!(with("echo 2 >> /cache/n; cat /cache/n", Sharing::Locked), "1\n2\n");
    // Two at a time: each holds the cache from its beginning to its end.
    let both = |sharing| {
        let mut plans = Plans::new();
        let base = plans.base();
        let script =
            |n: u32| format!("mkdir /cache/busy || echo taken {n}; sleep 0.5; rmdir /cache/busy; echo {n} > /done");
        let one = plans.run_with(base, &script(1), |run| run.mounts = vec![cache("d", sharing)]);
        let two = plans.run_with(base, &script(2), |run| run.mounts = vec![cache("d", sharing)]);
        let from = |id: StepId| muster::build::op::CopySource::Path { from: Source::Step(id), path: "/done".into() };
        let end = plans.copy_with(None, &[], "/", |copy| copy.sources = vec![from(one), from(two)]);
        plans.no_cache(one);
        plans.no_cache(two);
        world.build(plans.plan(end));
        world.output()
    };
    assert!(!both(Sharing::Locked).contains("taken"));
    assert!(!both(Sharing::Private).contains("taken"));
    assert!(both(Sharing::Shared).contains("taken"));
    world.assert_clean();
}

fn secrets_touch_no_layer() {
    let mut world = World::new();
    fs::write(world.dir.join("token"), "from a file").unwrap();
    world.inputs.secrets.insert("file".into(), Secret::File(world.dir.join("token")));
    world.inputs.secrets.insert("bytes".into(), Secret::Bytes(b"from bytes".to_vec()));
    let secret = |id: &str, target: Option<&str>, env: Option<&str>, required| Mount::Secret {
        id: id.into(),
        target: target.map(str::to_owned),
        env: env.map(str::to_owned),
        required,
        mode: 0o440,
        uid: 1000,
        gid: 5,
    };
    let mounts = vec![
        secret("file", Some("/run/secrets/file"), None, true),
        secret("bytes", Some("/run/secrets/bytes"), Some("BYTES"), true),
        secret("none", Some("/run/secrets/none"), None, false),
    ];
    let script =
        "cat /run/secrets/*; echo; stat -c '%a %u:%g' /run/secrets/file; echo $BYTES; grep -c tmpfs /proc/mounts";
    let (layer, output) = run_with(&world, script, |run| run.mounts = mounts);
    assert!(output.starts_with("from bytesfrom a file\n440 1000:5\nfrom bytes\n"), "{output}");
    assert_eq!(layer, [""; 0]);
    let mut plans = Plans::new();
    let base = plans.base();
    let run = plans.run_with(base, "true", |run| run.mounts = vec![secret("none", Some("/s"), None, true)]);
    assert!(world.failure(plans.plan(run)).contains("secret `none` is not given to this build"));
    world.assert_clean();
}

fn an_agent_is_reached_through_its_socket() {
    let mut world = World::new();
    let path = world.dir.join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    world.inputs.ssh.insert("default".into(), path);
    let agent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 5];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(b"\0\0\0\x0f\x0cfrom the agent").unwrap();
        // What it may not ask does not come here.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        (asked, rest)
    });
    // No program of busybox speaks to Unix sockets: this one does.
    fs::create_dir(world.dir.join("self")).unwrap();
    fs::copy(std::env::current_exe().unwrap(), world.dir.join("self/say")).unwrap();
    world.inputs.named.insert("self".into(), Context { dir: world.dir.join("self"), ..Context::default() });
    let mounts = vec![
        Mount::Ssh { id: "default".into(), target: None, required: true, mode: 0o600, uid: 1000, gid: 1001 },
        bind(Source::Named("self".into()), "/", "/self", false),
    ];
    let script = "echo $SSH_AUTH_SOCK; stat -c '%a %u' $SSH_AUTH_SOCK; /self/say --say $SSH_AUTH_SOCK 11,19,17,27";
    let (layer, output) = run_with(&world, script, |run| {
        run.user = "app".into();
        run.mounts = mounts;
    });
    assert_eq!(output, "/run/buildkit/ssh_agent.0\n600 1000\n12 from the agent\n5 \n5 \n5 \n");
    assert_eq!(agent.join().unwrap(), ([0, 0, 0, 1, 11], Vec::new()));
    assert_eq!(layer, [""; 0]);
    world.assert_clean();
}

/// Asks an agent questions of these types, and tells type and text of each answer.
pub fn say(path: &str, types: &str) {
    let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    let mut out = std::io::stdout();
    for kind in types.split(',') {
        stream.write_all(&[0, 0, 0, 1, kind.parse().unwrap()]).unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer).unwrap();
        writeln!(out, "{} {}", answer[0], String::from_utf8_lossy(&answer[1..])).unwrap();
    }
}

fn the_default_network_leads_out_and_goes_with_the_step() {
    let world = World::new();
    // The gateway is this host: a server there stands for the world.
    let server = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let script = format!(
        "ip route; cat /etc/resolv.conf; grep example /etc/hosts; g=$(ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p'); \
         echo hello | nc -w 5 $g {port}"
    );
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let (layer, output) = run_with(&world, &script, |run| {
        run.network = Network::Default;
        run.extra_hosts = vec![("example".into(), "192.0.2.7".into()), ("gw.example".into(), "host-gateway".into())];
    });
    assert!(output.contains("default via 10."), "{output}");
    assert!(output.contains("nameserver 127.0.0.11") && output.contains("192.0.2.7\texample"), "{output}");
    assert_eq!(heard.join().unwrap(), "hello\n");
    assert_eq!(layer, [""; 0]);
    world.assert_clean();
}

fn what_needs_an_entitlement_is_refused_without() {
    let mut world = World::new();
    let plan = |change: fn(&mut muster::build::op::Run)| {
        let mut plans = Plans::new();
        let base = plans.base();
        let run = plans.run_with(base, "grep CapEff /proc/self/status; ip link | wc -l", change);
        plans.plan(run)
    };
    assert!(world.failure(plan(|run| run.network = Network::Host)).contains("network.host"));
    assert!(world.failure(plan(|run| run.security = Security::Insecure)).contains("security.insecure"));
    world.options.allow_insecure = true;
    world.build(plan(|run| run.security = Security::Insecure));
    assert!(!world.output().contains("a80425fb"), "{}", world.output());
    world.options.allow_host_network = true;
    world.build(plan(|run| run.network = Network::Host));
    world.assert_clean();
}

fn independent_steps_run_at_the_same_time() {
    let world = World::new();
    let mut plans = Plans::new();
    let base = plans.base();
    let mounts = || vec![cache("meet", Sharing::Shared)];
    // Each waits for the other.
    let script = |own: &str, other: &str| {
        format!("touch /cache/{own}; for i in $(seq 100); do [ -e /cache/{other} ] && exit 0; sleep 0.1; done; exit 1")
    };
    let one = plans.run_with(base, &script("a", "b"), |run| run.mounts = mounts());
    let two = plans.run_with(base, &script("b", "a"), |run| run.mounts = mounts());
    let from = |id: StepId| muster::build::op::CopySource::Path { from: Source::Step(id), path: "/etc/passwd".into() };
    let end = plans.copy_with(None, &[], "/", |copy| copy.sources = vec![from(one), from(two)]);
    world.build(plans.plan(end));
    world.assert_clean();
}

fn heredocs_are_files_while_it_runs() {
    let world = World::new();
    let (layer, output) = run_with(&world, "", |run| {
        run.args = vec!["/dev/pipes/EOF".into()];
        run.files = vec![muster::build::op::InlineFile {
            name: "/dev/pipes/EOF".into(),
            content: b"#!/bin/sh\necho $0\n".to_vec(),
            mode: 0o755,
        }];
    });
    assert_eq!(output, "/dev/pipes/EOF\n");
    assert_eq!(layer, [""; 0]);
}
