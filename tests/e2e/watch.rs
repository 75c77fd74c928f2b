//! `watch` and `up --watch`: files change on the host, and containers follow.

use super::{
    proc::{self, eventually},
    stack::Stack,
};
use muster::state::records::Status;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(10);

/// A watch that runs until it is dropped.
struct Watch {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Watch {
    /// Returns when it says that it watches.
    #[track_caller]
    fn start(stack: &Stack, args: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (stack.write(&format!("out{count}.txt"), ""), stack.write(&format!("err{count}.txt"), ""));
        let open = |path: &Path| Stdio::from(fs::File::create(path).unwrap());
        let child = stack.command(args).stdout(open(&out)).stderr(open(&err)).spawn().unwrap();
        let watch = Self { child, out, err };
        watch.until_said("Watch enabled");
        watch
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.out).unwrap() + &fs::read_to_string(&self.err).unwrap()
    }

    #[track_caller]
    fn until_said(&self, text: &str) {
        let begin = Instant::now();
        while !self.said().contains(text) {
            assert!(begin.elapsed() < SOON * 2 * proc::patience(), "not said: {text}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it as Ctrl-C does; its exit code.
    fn interrupt(&mut self) -> i32 {
        proc::kill(self.child.id() as i32, rustix::process::Signal::INT);
        let mut code = None;
        eventually("the watch ends", SOON, || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        super::stack::code(code.unwrap())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of a service's first container, as the kernel has it.
fn inside(stack: &Stack, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{path}", stack.pid("web")))
}

fn text(stack: &Stack, path: &str) -> Option<String> {
    fs::read_to_string(inside(stack, path)).ok()
}

#[track_caller]
fn until_text(stack: &Stack, path: &str, expected: &str) {
    eventually(&format!("{path} is {expected:?}, not {:?}", text(stack, path)), SOON, || {
        text(stack, path).as_deref() == Some(expected)
    });
}

#[track_caller]
fn until_gone(stack: &Stack, path: &str) {
    eventually(&format!("{path} is gone"), SOON, || inside(stack, path).symlink_metadata().is_err());
}

fn stack(label: &str, service: &str, rules: &str) -> Stack {
    let yaml = format!(
        "
services:
  web:
    image: '%IMAGE%'
    init: true
    stop_grace_period: 0s
    {}
    develop:
      watch:
        {}
",
        service.replace('\n', "\n    "),
        rules.replace('\n', "\n        ")
    );
    Stack::new(label, &yaml)
}

const SLEEP: &str = "command: [sleep, '1000']";

#[test]
fn sync_copies_what_changes_and_deletes_what_goes() {
    let stack = stack("sync", SLEEP, "- {path: src, action: sync, target: /app, ignore: ['*.log', node_modules/]}");
    stack.write("src/before", "there from the start");
    let watch = Watch::start(&stack, &["watch"]);
    let pid = stack.pid("web");

    let a = stack.write("src/a.txt", "one");
    until_text(&stack, "/app/a.txt", "one");
    fs::set_permissions(&a, fs::Permissions::from_mode(0o640)).unwrap();
    eventually("the mode follows", SOON, || inside(&stack, "/app/a.txt").metadata().unwrap().mode() & 0o7777 == 0o640);
    stack.write("src/x/y/z/deep.txt", "deep");
    until_text(&stack, "/app/x/y/z/deep.txt", "deep");
    symlink("a.txt", stack.directory().join("src/link")).unwrap();
    eventually("a link is a link", SOON, || {
        fs::read_link(inside(&stack, "/app/link")).is_ok_and(|target| target == Path::new("a.txt"))
    });
    // As vim saves.
    fs::write(stack.directory().join("src/4913"), "").unwrap();
    fs::remove_file(stack.directory().join("src/4913")).unwrap();
    fs::rename(&a, stack.directory().join("src/a.txt~")).unwrap();
    fs::write(&a, "two").unwrap();
    fs::remove_file(stack.directory().join("src/a.txt~")).unwrap();
    until_text(&stack, "/app/a.txt", "two");
    // As everybody else does.
    let other = stack.write("other", "three");
    fs::rename(&other, &a).unwrap();
    until_text(&stack, "/app/a.txt", "three");

    fs::rename(stack.directory().join("src/x"), stack.directory().join("src/w")).unwrap();
    until_text(&stack, "/app/w/y/z/deep.txt", "deep");
    until_gone(&stack, "/app/x");
    fs::remove_dir_all(stack.directory().join("src/w")).unwrap();
    fs::remove_file(&a).unwrap();
    until_gone(&stack, "/app/w");
    until_gone(&stack, "/app/a.txt");

    stack.write("src/debug.log", "");
    stack.write("src/node_modules/m/index.js", "");
    stack.write("src/last", "x");
    until_text(&stack, "/app/last", "x");
    let names: Vec<_> = fs::read_dir(inside(&stack, "/app")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "last" || name == "link"), "{names:?}");
    assert_eq!(stack.pid("web"), pid, "nothing was restarted");
    let said = watch.said();
    assert!(said.contains("Syncing service \"web\" after 1 changes were detected\n"), "{said}");
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn an_initial_sync_brings_all_to_every_replica_as_its_user() {
    let service = format!("{SLEEP}\nscale: 2\nuser: alice");
    let rules = "- {path: src, action: sync, target: /home/app, initial_sync: true}\n- {path: src, action: sync, target: /other}";
    let stack = stack("initial", &service, rules);
    stack.write("src/a/b", "text");
    stack.write("src/compose.yaml", "not this");
    let mut watch = Watch::start(&stack, &["watch"]);
    let pids: Vec<i32> = stack
        .records()
        .iter()
        .filter_map(|record| match record.status {
            muster::state::records::Status::Running { pid, .. } => Some(pid),
            _ => None,
        })
        .collect();
    assert_eq!(pids.len(), 2);
    for pid in &pids {
        let path = PathBuf::from(format!("/proc/{pid}/root/home/app/a/b"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "text", "there before the watch is said to be enabled");
        let metadata = path.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (1000, 1000));
        assert!(!PathBuf::from(format!("/proc/{pid}/root/home/app/compose.yaml")).exists());
        assert!(!PathBuf::from(format!("/proc/{pid}/root/other")).exists());
    }
    stack.write("src/later", "x");
    for pid in pids {
        eventually("both get it, at both places", SOON, || {
            ["home/app", "other"].iter().all(|place| Path::new(&format!("/proc/{pid}/root/{place}/later")).exists())
        });
    }
    assert_eq!(watch.interrupt(), 130);
    assert!(watch.said().contains("Watch disabled"), "{}", watch.said());
    assert!(stack.running("web").is_some(), "containers run on");
}

#[test]
fn restart_restarts_and_sync_restart_copies_first() {
    let service = "command: [sh, -c, 'cat /conf/x; exec sleep 1000']";
    let rules = "- {path: env, action: restart}\n- {path: conf, action: sync+restart, target: /conf}";
    let stack = stack("restart", service, rules);
    stack.write("conf/x", "zero\n");
    let watch = Watch::start(&stack, &["watch", "web"]);
    let first = stack.pid("web");
    stack.write("env", "a file that the rule names and that comes only now");
    eventually("a new process", SOON, || stack.running("web").is_some_and(|pid| pid != first));
    watch.until_said("service(s) [\"web\"] restarted");
    let id = stack.record("web").id;
    stack.write("conf/x", "one\n");
    eventually("it saw the file when it began", SOON, || {
        stack.ok(&["logs", "--no-log-prefix", "web"]).contains("one\n")
    });
    assert_eq!(stack.record("web").id, id, "the same container");
}

#[test]
fn sync_exec_runs_its_command_once_a_batch_and_shows_what_it_says() {
    let rules = "- path: conf
  action: sync+exec
  target: /conf
  exec: {command: [sh, -c, 'cat /conf/*; echo as $$(id -u) in $$PWD with $$WORD; exit $$(cat /conf/code)'], user: alice, working_dir: /tmp, environment: {WORD: hello}}";
    let stack = stack("exec", SLEEP, rules);
    stack.write("conf/code", "0");
    let watch = Watch::start(&stack, &["watch"]);
    stack.write("conf/code", "0\n");
    watch.until_said("0\nas 1000 in /tmp with hello\n");
    stack.write("conf/code", "3\n");
    watch.until_said("ended with code 3");
    stack.write("conf/code", "0\n");
    eventually("it ran once each time", SOON, || watch.said().matches("as 1000 in /tmp with hello").count() == 3);
}

#[test]
fn nothing_in_a_container_leads_a_copy_out_of_it() {
    let stack = stack("attack", SLEEP, "- {path: src, action: sync, target: /app/deep}");
    let watch = Watch::start(&stack, &["watch"]);
    let victim = stack.write("victim/file", "untouched");
    let outside = victim.parent().unwrap().display().to_string();
    let up = "../".repeat(20);
    // A link to nothing is none to follow where a directory is to be.
    stack.exec("web", &["sh", "-c", &format!("mkdir /app; ln -s {outside} /app/deep")]);
    stack.write("src/file", "mine");
    until_text(&stack, "/app/deep/file", "mine");
    // The same path exists on the host, and not in the container: what is made is made inside.
    stack.exec("web", &["sh", "-c", &format!("rm -r /app/deep; ln -s {up}{outside} /app/deep")]);
    stack.write("src/file", "mine again");
    until_text(&stack, &format!("{outside}/file"), "mine again");
    // Through /proc of the container to the host's init, which a process of the container could reach as little.
    stack.exec("web", &["sh", "-c", "rm /app/deep; ln -s /proc/1/root/tmp /app/deep"]);
    stack.write("src/third", "x");
    watch.until_said("cannot sync container");
    stack.exec("web", &["sh", "-c", "rm /app/deep; ln -s /proc/sys/kernel /app/deep"]);
    stack.write("src/hostname", "owned");
    watch.until_said("lies on a file system of the kernel");
    // Deleting follows no link either.
    stack.exec("web", &["sh", "-c", &format!("rm /app/deep; mkdir /app/deep; ln -s {outside} /app/deep/file")]);
    fs::remove_file(stack.directory().join("src/file")).unwrap();
    until_gone(&stack, "/app/deep/file");
    // The watch goes on after all that.
    stack.write("src/after", "fine");
    until_text(&stack, "/app/deep/after", "fine");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(fs::read_dir(victim.parent().unwrap()).unwrap().count(), 1);
    assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), "owned");
}

#[test]
fn a_copy_runs_no_program_of_the_container() {
    let stack = stack("noexec", SLEEP, "- {path: src, action: sync, target: /app}");
    let _watch = Watch::start(&stack, &["watch"]);
    // CVE-2019-14271: whatever a copy could have run is a trap now; the program that runs already stays.
    let traps = "for name in tar rm cp mkdir sh; do rm -f /bin/$name; printf '#!/bin/busybox sh\\n/bin/busybox touch /owned\\n' > /bin/$name; /bin/busybox chmod +x /bin/$name; done";
    stack.exec("web", &["busybox", "sh", "-c", &traps.replace("rm -f", "/bin/busybox rm -f")]);
    let a = stack.write("src/d/a", "x");
    until_text(&stack, "/app/d/a", "x");
    fs::remove_file(a).unwrap();
    until_gone(&stack, "/app/d/a");
    assert!(!inside(&stack, "/owned").exists());
}

#[test]
fn files_reach_volumes_where_the_container_sees_them() {
    let yaml = "
services:
  web:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    stop_grace_period: 0s
    volumes: [data:/data]
    develop: {watch: [{path: src, action: sync, target: /data/src}]}
volumes: {data: }
";
    let stack = Stack::new("volume", yaml);
    let _watch = Watch::start(&stack, &["watch"]);
    stack.write("src/a", "x");
    until_text(&stack, "/data/src/a", "x");
    let data = stack.ground.layout().volume_data(&format!("{}_data", stack.name));
    assert_eq!(fs::read_to_string(data.join("src/a")).unwrap(), "x");
    // Also while nothing of it runs.
    stack.ok(&["stop"]);
    stack.write("src/b", "y");
    eventually("the volume has it", SOON, || fs::read_to_string(data.join("src/b")).is_ok_and(|text| text == "y"));
}

#[test]
fn a_program_that_failed_gets_the_files_that_cure_it() {
    let service = "command: [sh, -c, 'cat /app/good || exit 1; exec sleep 1000']";
    let stack = stack("crashed", service, "- {path: src, action: sync+restart, target: /app}");
    let watch = Watch::start(&stack, &["watch"]);
    eventually("it has failed", SOON, || stack.running("web").is_none());
    stack.write("src/good", "now it is there");
    watch.until_said("restarted");
    eventually("it runs", SOON, || stack.running("web").is_some());
    assert_eq!(text(&stack, "/app/good").as_deref(), Some("now it is there"));
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mountinfo.contains(&stack.record("web").id.to_string()), "no mount of it is left on the host");
}

#[test]
fn containers_that_were_restarted_replaced_or_added_are_found_anew() {
    let stack = stack("anew", SLEEP, "- {path: src, action: sync, target: /app}");
    let watch = Watch::start(&stack, &["watch"]);
    stack.write("src/a", "1");
    until_text(&stack, "/app/a", "1");
    stack.ok(&["restart"]);
    stack.write("src/b", "2");
    until_text(&stack, "/app/b", "2");
    assert_eq!(text(&stack, "/app/a").as_deref(), Some("1"), "a restart keeps what was copied");
    stack.ok(&["up", "-d", "--force-recreate"]);
    stack.write("src/c", "3");
    until_text(&stack, "/app/c", "3");
    stack.ok(&["up", "-d", "--scale", "web=2"]);
    stack.write("src/d", "4");
    eventually("both have it", SOON, || {
        let has = |index: &str| stack.run(&["exec", "-T", "--index", index, "web", "cat", "/app/d"]).stdout == "4";
        has("1") && has("2")
    });
    assert!(!watch.said().contains("warning"), "{}", watch.said());
}

#[test]
fn up_watch_shows_logs_and_syncs_and_stops_all_at_the_end() {
    let service = "command: [sh, -c, 'echo begun; exec sleep 1000']";
    let rules = "- {path: src, action: sync, target: /app}\n- {path: conf, action: sync+restart, target: /conf}";
    let stack = stack("upwatch", service, rules);
    let mut watch = Watch::start(&stack, &["up", "--watch", "-t", "0"]);
    watch.until_said("web-1  | begun");
    assert!(watch.said().contains("       ⦿ Watch enabled"), "{}", watch.said());
    stack.write("src/a", "x");
    until_text(&stack, "/app/a", "x");
    stack.write("conf", "x");
    watch.until_said("⦿ service(s) [\"web\"] restarted");
    eventually("it began twice", SOON, || watch.said().matches("| begun").count() == 2);
    assert!(!watch.said().contains("exited with code"), "{}", watch.said());
    stack.write("src/b", "y");
    until_text(&stack, "/app/b", "y");
    assert_eq!(watch.interrupt(), 130);
    assert!(stack.running("web").is_none());
}

#[test]
fn what_cannot_be_watched_is_refused_before_anything_starts() {
    let plain = Stack::new("none", "services: {web: {image: '%IMAGE%', command: [sleep, '1000']}}");
    for args in [&["watch"][..], &["up", "--watch"]] {
        let said = plain.fails(args).stderr;
        assert!(said.contains("none of the selected services is configured for watch"), "{said}");
    }
    assert!(plain.records().is_empty());
    let rebuild = stack("rebuild", SLEEP, "- {path: src, action: rebuild}");
    let said = rebuild.fails(&["watch"]).stderr;
    assert!(said.contains("can't watch service \"web\" with action rebuild without a build context"), "{said}");
}

#[test]
fn a_build_that_fails_ends_no_watch() {
    let service = format!("{SLEEP}\nbuild: {{context: ., dockerfile_inline: 'NONSENSE'}}");
    let rules = "- {path: package, action: rebuild}\n- {path: src, action: sync, target: /app}";
    let stack = stack("build", &service, rules);
    stack.up();
    let pid = stack.pid("web");
    let watch = Watch::start(&stack, &["watch", "--no-up"]);
    stack.write("package", "x");
    watch.until_said("Rebuilding service(s) [\"web\"] after changes were detected...");
    watch.until_said("Build failed. Error: ");
    stack.write("src/a", "x");
    until_text(&stack, "/app/a", "x");
    assert_eq!(stack.pid("web"), pid);
}

#[test]
fn a_rebuild_makes_a_new_image_and_only_its_service_anew() {
    let yaml = "
services:
  web:
    build:
      context: src
      dockerfile_inline: |
        FROM scratch
        COPY --from=root / /
        COPY page /page
      additional_contexts: {root: '%ROOT%'}
    command: [sleep, '1000']
    init: true
    stop_grace_period: 0s
    depends_on: [db]
    develop: {watch: [{path: src, action: rebuild}]}
  db: {image: '%IMAGE%', command: [sleep, '1000'], init: true, stop_grace_period: 0s}
";
    let stack = Stack::new("rebuilt", "services: {}");
    stack.compose(&yaml.replace("%ROOT%", &stack.ground.rootfs().display().to_string()));
    stack.write("src/page", "one");
    let mut watch = Watch::start(&stack, &["watch"]);
    until_text(&stack, "/page", "one");
    let (web, db) = (stack.pid("web"), stack.pid("db"));
    stack.write("src/page", "two");
    watch.until_said("service(s) [\"web\"] successfully built");
    // Between the old container and the new one there is none.
    eventually("the new page is there", SOON, || {
        let page = stack.records().into_iter().find_map(|record| match record.status {
            Status::Running { pid, .. } if record.service == "web" => {
                fs::read_to_string(format!("/proc/{pid}/root/page")).ok()
            }
            _ => None,
        });
        page.as_deref() == Some("two")
    });
    assert_ne!(stack.pid("web"), web);
    assert_eq!(stack.pid("db"), db);
    assert_eq!(watch.interrupt(), 130);
}

#[test]
fn services_that_a_named_one_needs_are_watched_too() {
    let yaml = "
services:
  web: {image: '%IMAGE%', command: [sleep, '1000'], init: true, stop_grace_period: 0s, depends_on: [db]}
  db:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    stop_grace_period: 0s
    develop: {watch: [{path: src, action: sync, target: /app}]}
";
    let stack = Stack::new("needs", yaml);
    let _watch = Watch::start(&stack, &["watch", "web"]);
    stack.write("src/a", "x");
    let seen = PathBuf::from(format!("/proc/{}/root/app/a", stack.pid("db")));
    eventually("the dependency has it", SOON, || fs::read_to_string(&seen).is_ok_and(|text| text == "x"));
}

#[test]
fn a_watch_without_up_starts_nothing() {
    let stack = stack("noup", SLEEP, "- {path: src, action: sync, target: /app}");
    let mut watch = Watch::start(&stack, &["watch", "--no-up"]);
    assert!(stack.records().is_empty());
    stack.up();
    stack.write("src/a", "x");
    until_text(&stack, "/app/a", "x");
    assert_eq!(watch.interrupt(), 130);
}

#[test]
fn the_rules_are_no_part_of_a_container() {
    let stack = stack("rules", SLEEP, "- {path: src, action: sync, target: /app}");
    stack.up();
    let pid = stack.pid("web");
    let yaml = fs::read_to_string(stack.directory().join("compose.yaml")).unwrap();
    stack.compose(&yaml.replace("target: /app", "target: /other"));
    stack.up();
    assert_eq!(stack.pid("web"), pid);
}

/// Not a limit, a figure: run it with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn how_long_a_change_takes() {
    let stack = stack("latency", SLEEP, "- {path: src, action: sync, target: /app}");
    let _watch = Watch::start(&stack, &["watch"]);
    let path = stack.directory().join("src/f");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let seen = inside(&stack, "/app/f");
    let mut times: Vec<Duration> = (0..30)
        .map(|round: i32| {
            std::thread::sleep(Duration::from_millis(300));
            let text = round.to_string();
            let begin = Instant::now();
            fs::write(&path, &text).unwrap();
            while fs::read_to_string(&seen).ok().as_deref() != Some(&text) {
                assert!(begin.elapsed() < SOON);
                std::thread::sleep(Duration::from_micros(200));
            }
            begin.elapsed()
        })
        .collect();
    times.sort();
    eprintln!("from write to visible: median {:?}, fastest {:?}, slowest {:?}", times[15], times[0], times[29]);
}
