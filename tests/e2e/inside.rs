//! What a default container sees, has and may not do. The expected values are Docker's.

use super::{proc, stack::Stack};

const ONE: &str = "services: {x: {image: '%IMAGE%', command: [sleep, '1000'], stop_grace_period: 0s}}";

/// Docker's fourteen capabilities: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW
/// SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP.
const DOCKER_CAPABILITIES: &str = "00000000a80425fb";

#[test]
fn every_namespace_is_its_own() {
    let stack = Stack::new("namespaces", ONE);
    stack.up();
    let pid = stack.pid("x");
    for kind in ["pid", "net", "mnt", "uts", "ipc", "cgroup"] {
        assert_ne!(proc::namespace(pid, kind), proc::namespace(std::process::id() as i32, kind), "{kind}");
    }
    assert_eq!(stack.exec("x", &["sh", "-c", "readlink /proc/1/ns/pid"]), proc::namespace(pid, "pid"));
    assert_eq!(stack.exec("x", &["hostname"]), stack.record("x").id.short());
    assert_eq!(stack.exec("x", &["cat", "/proc/1/cgroup"]).lines().find(|line| !line.ends_with(":/")), None);
}

#[test]
fn capabilities_and_seccomp_are_dockers() {
    let stack = Stack::new("capabilities", ONE);
    stack.up();
    let pid = stack.pid("x");
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(proc::status(pid, set), DOCKER_CAPABILITIES, "{set}");
    }
    assert_eq!(proc::status(pid, "CapAmb"), "0000000000000000");
    assert_eq!(proc::status(pid, "CapInh"), "0000000000000000");
    assert_eq!(proc::status(pid, "Seccomp"), "2");
    assert_eq!(proc::status(pid, "NoNewPrivs"), "0");
    // exec gets no more than the container.
    let status = stack.exec("x", &["cat", "/proc/self/status"]);
    assert!(status.contains(&format!("CapEff:\t{DOCKER_CAPABILITIES}")), "{status}");
    assert!(status.contains(&format!("CapBnd:\t{DOCKER_CAPABILITIES}")), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
}

#[test]
fn capabilities_are_added_dropped_and_lost_with_the_user() {
    let stack = Stack::new(
        "caps",
        "
services:
  none: {image: '%IMAGE%', command: [sleep, '1000'], init: true, cap_drop: [ALL], security_opt: ['no-new-privileges:true']}
  one: {image: '%IMAGE%', command: [sleep, '1000'], init: true, cap_drop: [ALL], cap_add: [NET_ADMIN]}
  user: {image: '%IMAGE%', command: [sleep, '1000'], init: true, user: alice}
  all: {image: '%IMAGE%', command: [sleep, '1000'], init: true, privileged: true}
",
    );
    stack.up();
    let status = |service: &str| stack.exec(service, &["cat", "/proc/self/status"]);
    assert!(status("none").contains("CapEff:\t0000000000000000") && status("none").contains("NoNewPrivs:\t1"));
    assert!(status("one").contains("CapEff:\t0000000000001000"), "{}", status("one"));
    assert!(status("user").contains("CapEff:\t0000000000000000") && status("user").contains("Uid:\t1000\t1000"));
    assert!(status("user").contains(&format!("CapBnd:\t{DOCKER_CAPABILITIES}")), "{}", status("user"));
    assert!(
        status("user").contains("Groups:\t1000 2000") || status("user").contains("Groups:\t2000"),
        "{}",
        status("user")
    );
    assert!(status("all").contains("Seccomp:\t0"), "{}", status("all"));
    assert_eq!(stack.shell("all", "mkdir -p /m && mount -t tmpfs none /m").code, 0);
}

#[test]
fn the_ways_to_the_host_are_shut() {
    let stack = Stack::new("shut", ONE);
    stack.up();
    for line in [
        "mount -t tmpfs none /tmp",
        "mount -o remount,rw /proc/sys",
        "umount /proc/sys",
        "unshare -U true",
        "unshare -m true",
        "unshare -n true",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo b > /proc/sysrq-trigger",
        "echo 1 > /sys/kernel/mm/ksm/run",
        "mkdir /sys/fs/cgroup/escape || mkdir /sys/fs/cgroup/memory/escape",
        "hostname other",
        "ip link add dummy0 type dummy",
        "chroot /proc/1/root/../../.. test -e /var/lib/dpkg",
        "test -n \"$(head -c 1 /proc/kcore)\"",
        "test -n \"$(cat /proc/keys)\"",
        "test -n \"$(cat /proc/timer_list)\"",
        "test -n \"$(ls /sys/firmware)\"",
        "mknod /dev/hda b 8 0 && cat /dev/hda",
        "swapoff -a && swapon /etc/passwd",
        "insmod /etc/passwd",
        "nsenter -t 1 -n ip link add d type dummy",
    ] {
        let ran = stack.shell("x", line);
        assert_ne!(ran.code, 0, "`{line}` worked inside: {ran:?}");
    }
}

#[test]
fn no_descriptor_of_ours_is_open_inside() {
    let stack = Stack::new("descriptors", ONE);
    stack.up();
    let pid = stack.pid("x");
    let open = |pid: i32| {
        let mut numbers: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        numbers.sort();
        numbers
    };
    assert_eq!(open(pid), ["0", "1", "2"]);
    // `ls` itself opens one more, the directory it lists.
    assert_eq!(stack.exec("x", &["sh", "-c", "ls /proc/self/fd | wc -l"]), "4");
    let target = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert!(target.ends_with("busybox"), "{target:?}");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("MUSTER"), "nothing of ours in the environment");
}

#[test]
fn dev_proc_and_sys_are_as_programs_expect() {
    let stack = Stack::new("dev", ONE);
    stack.up();
    let listed = stack.exec("x", &["ls", "/dev"]);
    for name in [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero",
    ] {
        assert!(listed.lines().any(|line| line == name), "/dev/{name} in {listed}");
    }
    assert!(!listed.contains("kmsg") && !listed.contains("vda") && !listed.contains("mem\n"), "{listed}");
    assert_eq!(stack.exec("x", &["sh", "-c", "df -k /dev/shm | tail -n1 | awk '{print $2}'"]), "65536");
    assert_eq!(stack.shell("x", "echo x > /dev/null && head -c 4 /dev/zero | wc -c && echo y > /dev/shm/f").code, 0);
    let mounts = stack.exec("x", &["cat", "/proc/self/mountinfo"]);
    assert!(mounts.lines().any(|line| line.contains(" /sys ro")), "{mounts}");
    let seen: u32 = stack.exec("x", &["sh", "-c", "ls -d /proc/[0-9]* | wc -l"]).parse().unwrap();
    assert!(seen < 8, "{seen} processes");
}

#[test]
fn the_working_directory_the_environment_and_the_user_are_as_asked() {
    let stack = Stack::new(
        "asked",
        "
services:
  x:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    working_dir: /made/when/missing
    user: '1234:5678'
    hostname: named
    environment: {ONE: '1', WITH_DOLLAR: 'a$$b', EMPTY: ''}
    env_file: [extra.env]
    extra_hosts: ['elsewhere:192.0.2.7', 'host.docker.internal:host-gateway']
    labels: {a: b}
",
    );
    stack.write("extra.env", "FROM_FILE='quoted value'\nONE=overridden\n");
    stack.up();
    let shell = |line: &str| stack.shell("x", line).stdout.trim_end().to_owned();
    assert_eq!(shell("pwd"), "/made/when/missing");
    assert_eq!(shell("id -u; id -g"), "1234\n5678");
    assert_eq!(shell("hostname"), "named");
    assert_eq!(shell("echo $ONE-$WITH_DOLLAR-$FROM_FILE-${EMPTY-unset}"), "1-a$b-quoted value-");
    assert_eq!(shell("cat /etc/hostname"), "named");
    let hosts = shell("cat /etc/hosts");
    assert!(hosts.contains("192.0.2.7") && hosts.contains("elsewhere"), "{hosts}");
    assert!(
        hosts.lines().any(|line| line.ends_with("host.docker.internal") && !line.contains("host-gateway")),
        "{hosts}"
    );
    assert!(shell("cat /etc/resolv.conf").contains("nameserver 127.0.0.11"));
    assert_eq!(stack.ps_of("x")["Labels"].as_str().map(|labels| labels.contains("a=b")), Some(true));
}

#[test]
fn an_init_reaps_and_forwards_and_a_tty_is_one() {
    let stack = Stack::new(
        "init",
        "
services:
  init:
    image: '%IMAGE%'
    command: [sh, -c, 'trap \"exit 21\" TERM; while :; do sleep 0.05; done']
    init: true
  tty:
    image: '%IMAGE%'
    command: [sh, -c, 'test -t 0 && test -t 1 && echo a terminal; exec sleep 1000']
    tty: true
    stop_grace_period: 0s
",
    );
    stack.up();
    assert_ne!(stack.exec("init", &["cat", "/proc/1/comm"]), "sh", "PID 1 is the init");
    // Left behind by their parents: the init takes them away.
    stack.exec("init", &["sh", "-c", "for i in 1 2 3; do (sleep 0.05 &) ; done"]);
    super::proc::eventually("no zombie is left", std::time::Duration::from_secs(3), || {
        !stack.shell("init", "cat /proc/[0-9]*/stat").stdout.lines().any(|line| line.contains(") Z "))
    });
    assert!(stack.ok(&["logs", "--no-log-prefix", "tty"]).contains("a terminal"));
    stack.ok(&["stop", "init"]);
    assert_eq!(stack.ps_of("init")["ExitCode"], 21);
}

#[test]
fn a_read_only_root_is_read_only_but_for_its_tmpfs() {
    let stack = Stack::new(
        "readonly",
        "
services:
  x:
    image: '%IMAGE%'
    command: [sleep, '1000']
    init: true
    read_only: true
    tmpfs: ['/tmp:size=1m,mode=1777', /var/empty, /made]
",
    );
    stack.up();
    assert_ne!(stack.shell("x", "touch /etc/x").code, 0);
    assert_eq!(stack.shell("x", "touch /tmp/x /var/empty/x").code, 0);
    assert_ne!(stack.shell("x", "head -c 3000000 /dev/zero > /tmp/large").code, 0);
    // Places that the image does not have are for every user, at the first start and at the next.
    for _ in 0..2 {
        assert_eq!(stack.run(&["exec", "-T", "-u", "alice", "x", "touch", "/made/x"]).code, 0);
        stack.ok(&["restart", "-t", "0"]);
    }
}
