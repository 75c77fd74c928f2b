//! The process itself: command, user, environment, limits, terminal.

use super::{
    Test,
    fixture::{Fixture, read_to},
};
use muster::runtime::{self, Ended, Stdio};
use std::{fs, os::unix::fs::PermissionsExt};

pub const TESTS: &[Test] = &[
    ("a_missing_command_is_127", missing_command),
    ("a_command_that_cannot_be_executed_is_126", not_executable),
    ("set_up_failures_are_125_and_name_the_object", setup_failures),
    ("users_are_looked_up_in_the_image", users),
    ("the_environment_has_docker_s_defaults", environment),
    ("a_missing_working_directory_is_made", working_directory),
    ("limits_apply", limits),
    ("oom_score_is_reset", oom_score),
    ("another_user_can_open_dev_stdout", dev_stdout),
    ("a_terminal_is_the_container_s_own", terminal),
    ("keyrings_are_apart", keyrings),
    ("thirty_two_bit_programs_run", thirty_two_bit),
];

fn missing_command() {
    let error = Fixture::new(&["nosuch"]).failure();
    assert_eq!((error.message.as_str(), error.code), ("exec: \"nosuch\": executable file not found in $PATH", 127));
    let error = Fixture::new(&["/bin/nosuch"]).failure();
    assert_eq!((error.message.as_str(), error.code), ("exec: \"/bin/nosuch\": no such file or directory", 127));
    let error = Fixture::new(&["nosuch"]).with(|spec| spec.init = true).failure();
    assert_eq!(error.code, 127);
    let fixture = Fixture::new(&["/script"]).file("script", "#!/no/interpreter\n");
    fs::set_permissions(fixture.path("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let error = fixture.failure();
    assert_eq!(error.code, 127, "{error}");
    assert!(error.message.contains("interpreter"), "{error}");
}

fn not_executable() {
    let error = Fixture::new(&["/etc/passwd"]).failure();
    assert_eq!((error.message.as_str(), error.code), ("exec: \"/etc/passwd\": permission denied", 126));
    let error = Fixture::new(&["/etc"]).failure();
    assert_eq!((error.message.as_str(), error.code), ("exec: \"/etc\": is a directory", 126));
    let fixture = Fixture::new(&["/binary"]).file("binary", "\x7fELF nonsense");
    fs::set_permissions(fixture.path("binary"), fs::Permissions::from_mode(0o755)).unwrap();
    let error = fixture.failure();
    assert!(error.message.contains("exec format error") && error.code == 126, "{error}");
}

fn setup_failures() {
    let fixture = Fixture::new(&["true"]);
    let missing = fixture.dir.join("missing");
    let error = fixture.with(|spec| spec.mounts.push(super::mounts::bind(&missing, "/data", false))).failure();
    let expected = format!("mount {0} on /data: open_tree {0}: No such file or directory", missing.display());
    assert_eq!((error.message, error.code), (expected, 125));

    let fixture = Fixture::new(&["true"]).with(|spec| spec.root.lower = vec!["/no/such/layer".into()]);
    let error = fixture.failure();
    assert!(error.message.contains("root file system") && error.code == 125, "{error}");
}

fn users() {
    let who = |user: &str, additional: &[&str]| {
        let fixture = Fixture::sh("id; echo $HOME").with(|spec| {
            spec.process.user = user.to_owned();
            spec.process.additional_groups = additional.iter().map(|name| (*name).to_owned()).collect();
        });
        fixture.output()
    };
    assert_eq!(who("", &[]), "uid=0(root) gid=0(root) groups=0(root)\n/root\n");
    assert_eq!(who("app", &["more"]), "uid=1000(app) gid=1001(app) groups=44(extra),45(more),1001(app)\n/home/app\n");
    assert_eq!(who("4242:17", &[]), "uid=4242 gid=17 groups=17\n/\n");
    let error = Fixture::new(&["id"]).with(|spec| spec.process.user = "nobody-here".to_owned()).failure();
    assert_eq!(error.message, "user: unable to find user nobody-here: no matching entries in passwd file");
    // A FIFO in place of the file must not hang the start.
    let fixture = Fixture::new(&["id"]);
    fs::remove_file(fixture.path("etc/passwd")).unwrap();
    nix::unistd::mkfifo(&fixture.path("etc/passwd"), nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
    assert_eq!(fixture.failure().code, 125);
}

fn environment() {
    let text = Fixture::new(&["env"]).with(|spec| spec.process.env = vec!["A=b c".to_owned()]).output();
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(text, format!("PATH={path}\nHOSTNAME=box\nA=b c\nHOME=/root\n"));
}

fn working_directory() {
    let fixture = Fixture::sh("pwd; stat -c '%U %a' .").with(|spec| spec.process.cwd = "/srv/app/deep".into());
    assert_eq!(fixture.output(), "/srv/app/deep\nroot 755\n");
    let error = Fixture::sh("pwd").with(|spec| spec.process.cwd = "/etc/passwd".into()).failure();
    assert!(error.message.starts_with("working directory"), "{error}");
}

fn limits() {
    let fixture = Fixture::new(&["cat", "/proc/self/limits"]).with(|spec| {
        spec.process.rlimits.insert("nofile".to_owned(), (123, 456));
        spec.process.rlimits.insert("core".to_owned(), (0, u64::MAX));
    });
    let text = fixture.output();
    let line = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((line("Max open files").as_str(), line("Max core file size").as_str()), ("123 456", "0 unlimited"));
}

fn oom_score() {
    fs::write("/proc/self/oom_score_adj", "500").unwrap();
    assert_eq!(Fixture::new(&["cat", "/proc/self/oom_score_adj"]).output(), "0\n");
    let fixture = Fixture::new(&["cat", "/proc/self/oom_score_adj"]).with(|spec| spec.oom_score_adj = Some(300));
    assert_eq!(fixture.output(), "300\n");
}

fn dev_stdout() {
    let fixture =
        Fixture::sh("echo out > /dev/stdout; echo err > /dev/stderr").with(|spec| spec.process.user = "app".to_owned());
    assert_eq!(fixture.output(), "out\nerr\n");
}

fn terminal() {
    let script = "tty; stty size; stat -c %U /dev/console $(tty); echo $TERM; id -u; [ -t 0 ] && echo input
        ps -o pid,tty | head -2 | tail -1; echo x > /dev/tty; ls -1 /dev/pts; echo end; read line; echo got $line";
    let fixture = Fixture::sh(script).with(|spec| spec.process.user = "app".to_owned());
    let started = runtime::start(&fixture.spec, Stdio::Tty { rows: 33, cols: 77 }, None).unwrap();
    let console = started.console.as_ref().unwrap();
    let text = read_to(console, "end\r\n").replace('\r', "");
    assert_eq!(text, "/dev/pts/0\n33 77\napp\napp\nxterm\n1000\ninput\n    1 136,0\nx\n0\nptmx\nend\n");
    // The master works from outside, and the keyboard's interrupt reaches the session.
    nix::unistd::write(console, b"abc\n").unwrap();
    read_to(console, "got abc\r\n");
    assert_eq!(fixture.finish(&started), Ended::Code(0));

    let fixture =
        Fixture::sh("trap 'exit 6' INT; echo ready; while :; do sleep 0.05; done").with(|spec| spec.init = true);
    let started = runtime::start(&fixture.spec, Stdio::Tty { rows: 1, cols: 1 }, None).unwrap();
    let console = started.console.as_ref().unwrap();
    read_to(console, "ready\r\n");
    nix::unistd::write(console, &[3]).unwrap();
    assert_eq!(fixture.finish(&started), Ended::Code(6));
}

fn keyrings() {
    let Ok(ours) = fs::read_to_string("/proc/keys") else { return };
    let fixture = Fixture::sh("echo ready; sleep 20");
    let (running, output) = fixture.start().unwrap();
    read_to(&output, "ready\n");
    let after = fs::read_to_string("/proc/keys").unwrap();
    let name = format!("_ses.{}", fixture.spec.id);
    assert!(!ours.contains(&name) && after.contains(&name), "one of its own, that the host's root can see");
    fixture.cgroup().kill().unwrap();
    fixture.finish(&running);
}

/// Needs a compiler for i386, which few machines have; elsewhere the filter's own tests stand for it.
fn thirty_two_bit() {
    let fixture = Fixture::new(&["/hello32"]);
    // A program of three calls, by hand: write(1, "ok\n", 3), mount(...) and exit(0 when mount gave EPERM).
    fs::write(fixture.path("hello32"), elf32()).unwrap();
    fs::set_permissions(fixture.path("hello32"), fs::Permissions::from_mode(0o755)).unwrap();
    match fixture.start() {
        Ok((running, output)) => {
            read_to(&output, "ok\n");
            assert_eq!(fixture.finish(&running), Ended::Code(255), "exit code is -EPERM: mount was refused");
        }
        // This kernel runs no 32-bit programs at all.
        Err(error) => assert!(error.message.contains("exec format error"), "{error}"),
    }
}

/// A static i386 executable.
fn elf32() -> Vec<u8> {
    let base: u32 = 0x0804_8000;
    let code: &[u8] = &[
        0xb8, 4, 0, 0, 0, // mov eax, 4 (write)
        0xbb, 1, 0, 0, 0, // mov ebx, 1
        0xb9, 0x80, 0x80, 0x04, 0x08, // mov ecx, base + 0x80
        0xba, 3, 0, 0, 0, // mov edx, 3
        0xcd, 0x80, // int 0x80
        0xb8, 21, 0, 0, 0, // mov eax, 21 (mount)
        0xcd, 0x80, // int 0x80
        0x89, 0xc3, // mov ebx, eax
        0xb8, 1, 0, 0, 0, // mov eax, 1 (exit)
        0xcd, 0x80, // int 0x80
    ];
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    file.extend([2, 0, 3, 0]); // executable, i386
    for value in [1, base + 0x84, 52, 0, 0] {
        word(&mut file, value);
    }
    file.extend([52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    for value in [1, 0, base, base, 0x200, 0x200, 5, 0x1000] {
        word(&mut file, value);
    }
    file.resize(0x80, 0);
    file.extend(b"ok\n\0");
    file.extend(code);
    file.resize(0x200, 0);
    file
}
