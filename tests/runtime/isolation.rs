//! What a default container is and is not.

use super::{
    Test,
    fixture::{Fixture, field},
};
use muster::runtime::{Ended, spec::NetNamespace};
use std::{
    collections::BTreeSet,
    fs,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

pub const TESTS: &[Test] = &[
    ("a_container_prints_and_ends_with_its_code", prints_and_ends),
    ("every_namespace_is_new", namespaces_are_new),
    ("capabilities_are_docker_s_and_seccomp_is_on", capabilities_and_seccomp),
    ("calls_that_lead_out_are_refused", refused_calls),
    ("kernel_settings_cannot_be_written", kernel_settings),
    ("no_descriptor_leaks", no_descriptor_leaks),
    ("masked_paths_are_empty", masked_paths),
    ("the_host_s_mounts_are_out_of_sight", mounts_out_of_sight),
    ("devices_are_the_usual_ones", devices),
    ("other_devices_cannot_be_opened", other_devices),
    ("defaults_of_a_new_network", network_defaults),
    ("sysctls_of_the_host_are_refused", host_sysctls),
    ("host_network_is_the_host_s", host_network),
    ("a_given_network_is_joined", given_network),
    ("a_privileged_container_may_mount", privileged),
    ("a_read_only_root_is_read_only", read_only_root),
    ("cgroups_are_seen_read_only_from_their_own_root", cgroup_view),
    ("init_reaps_orphans_and_ends_with_its_child_s_code", init_reaps),
    ("init_hands_signals_on", init_signals),
    ("nothing_is_left_behind", nothing_left),
];

fn prints_and_ends() {
    let (text, ended) = Fixture::sh("echo hello; echo error >&2; exit 7").run();
    assert_eq!((text.as_str(), ended), ("hello\nerror\n", Ended::Code(7)));
    assert_eq!(Fixture::sh("kill -TERM $$; kill -KILL $$; sleep 1; exit 3").run().1, Ended::Code(3), "PID 1 is immune");
}

fn namespaces_are_new() {
    let fixture = Fixture::sh("hostname; pwd; echo $$; sleep 20");
    let (running, output) = fixture.start().unwrap();
    super::fixture::read_to(&output, "box\n/\n1\n");
    let held = fs::read_link(format!("/proc/self/fd/{}", running.mounts.as_ref().unwrap().as_raw_fd())).unwrap();
    assert_eq!(held, fs::read_link(format!("/proc/{}/ns/mnt", running.pid)).unwrap());
    for name in ["mnt", "pid", "net", "uts", "ipc", "cgroup"] {
        let ours = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        let theirs = fs::read_link(format!("/proc/{}/ns/{name}", running.pid)).unwrap();
        assert_ne!(ours, theirs, "{name}");
    }
    fixture.cgroup().kill().unwrap();
    assert_eq!(fixture.finish(&running), Ended::Signal(9));
}

fn capabilities_and_seccomp() {
    let status = Fixture::new(&["cat", "/proc/self/status"]).output();
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(field(&status, set), "00000000a80425fb", "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(field(&status, set), "0000000000000000", "{set}");
    }
    assert_eq!((field(&status, "Seccomp"), field(&status, "NoNewPrivs")), ("2", "0"));
    assert_eq!(field(&status, "SigIgn"), "0000000000000000");
    assert_eq!(field(&status, "SigBlk"), "0000000000000000");

    let status = Fixture::new(&["cat", "/proc/self/status"])
        .with(|spec| {
            spec.process.user = "app".to_owned();
            spec.process.no_new_privileges = true;
        })
        .output();
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(field(&status, set), "0000000000000000", "{set}");
    }
    assert_eq!(field(&status, "CapBnd"), "00000000a80425fb");
    assert_eq!((field(&status, "Seccomp"), field(&status, "NoNewPrivs")), ("2", "1"));
}

fn refused_calls() {
    let script = "mkdir /m; mount -t tmpfs none /m 2>/dev/null && echo mounted
        mount -o remount,rw /proc/sys 2>/dev/null && echo remounted
        umount /proc 2>/dev/null && echo unmounted
        unshare -U true 2>/dev/null && echo new user namespace
        unshare -m true 2>/dev/null && echo new mount namespace
        hostname other 2>/dev/null && echo renamed
        mknod /tmp/sda b 8 0 && head -c 1 /tmp/sda 2>/dev/null && echo read a disk
        echo done";
    assert_eq!(Fixture::sh(script).output(), "done\n");
    // The bounding set would refuse those as well: the filter alone, with every capability.
    let all = "SYS_TIME SYS_MODULE SYS_RAWIO";
    let fixture = Fixture::sh(script).with(|spec| spec.process.capabilities.extend(all.split(' ').map(str::to_owned)));
    assert_eq!(fixture.output(), "done\n");
}

fn kernel_settings() {
    let script = "for f in /proc/sys/kernel/hostname /proc/sys/vm/swappiness /proc/sys/kernel/core_pattern \
        /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/mm/transparent_hugepage/enabled; do
            [ -e $f ] && echo 1 2>/dev/null > $f && echo wrote $f
        done
        for f in /sys/fs/cgroup/*/tasks /sys/fs/cgroup/cgroup.procs; do
            [ -e $f ] && echo 0 2>/dev/null > $f && echo wrote $f
        done; echo done";
    assert_eq!(Fixture::sh(script).output(), "done\n");
}

fn no_descriptor_leaks() {
    let secret = fs::File::open("/etc").unwrap();
    let low = nix::unistd::dup(secret.as_fd()).unwrap();
    // Not close-on-exec, as a careless library would leave it.
    nix::fcntl::fcntl(&low, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let text = Fixture::sh("cd /proc/self/fd; for f in *; do [ $f -gt 2 ] && readlink $f; done; true").output();
    let leaked: Vec<&str> = text.lines().filter(|line| !line.starts_with("/proc/") && !line.is_empty()).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

fn masked_paths() {
    let script = "for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts /proc/sched_debug; do
            [ -e $f ] && [ $(head -c 10 $f 2>/dev/null | wc -c) != 0 ] && echo $f shows
        done
        for d in /proc/acpi /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do
            [ -e $d ] && [ -n \"$(ls $d)\" ] && echo $d shows
        done
        echo x 2>/dev/null > /sys/firmware/x && echo wrote; echo done";
    assert_eq!(Fixture::sh(script).output(), "done\n");
}

fn mounts_out_of_sight() {
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let fixture = Fixture::sh("cat /proc/self/mountinfo; ls /; echo ready; sleep 20");
    let (running, output) = fixture.start().unwrap();
    let text = super::fixture::read_to(&output, "ready\n");
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before, "the host sees nothing");
    let places: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    for place in ["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup", "/proc/sys"] {
        assert!(places.contains(place), "{place} in {places:?}");
    }
    let own = |place: &&str| ["/proc", "/dev", "/sys"].iter().any(|top| place.starts_with(top)) || *place == "/";
    assert!(places.iter().all(own), "{places:?}");
    assert!(!text.contains("var\n"), "the old root is gone: {text}");
    fixture.cgroup().kill().unwrap();
    fixture.finish(&running);
}

fn devices() {
    let script = "ls /dev | tr '\\n' ' '; echo; stat -c '%n %t:%T %a' /dev/null /dev/tty /dev/urandom
        stat -c '%a %U' /dev /dev/shm; for f in stdout ptmx fd; do readlink /dev/$f; done
        echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo y > /dev/full";
    let text = Fixture::sh(script).run().0;
    assert_eq!(
        text,
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero \n\
         /dev/null 1:3 666\n/dev/tty 5:0 666\n/dev/urandom 1:9 666\n755 root\n1777 root\n\
         /proc/self/fd/1\npts/ptmx\n/proc/self/fd\n3\n3\nsh: write error: No space left on device\n"
    );
}

fn other_devices() {
    // CAP_MKNOD makes the node, the cgroup keeps it shut: /dev/mem, /dev/kmsg, /dev/fuse, a disk.
    let script = "mknod /tmp/mem c 1 1; mknod /tmp/kmsg c 1 11; mknod /tmp/fuse c 10 229; mknod /tmp/disk b 254 0
        for f in mem kmsg fuse disk; do head -c 1 /tmp/$f 2>&1 | grep -c 'Operation not permitted'; done
        mknod /tmp/null c 1 3; head -c 1 /tmp/null && echo null opens";
    assert_eq!(Fixture::sh(script).output(), "1\n1\n1\n1\nnull opens\n");
}

fn network_defaults() {
    let script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range
        cat /proc/sys/net/core/somaxconn /sys/class/net/lo/operstate; ls /sys/class/net; grep -c lo /proc/net/dev";
    let fixture = Fixture::sh(script).with(|spec| {
        spec.sysctls.insert("net.core.somaxconn".to_owned(), "77".to_owned());
    });
    assert_eq!(fixture.output(), "0\n0\t2147483647\n77\nunknown\nlo\n1\n");
}

fn host_sysctls() {
    let fixture = Fixture::new(&["true"]).with(|spec| {
        spec.sysctls.insert("kernel.core_pattern".to_owned(), "|/x".to_owned());
    });
    let error = fixture.failure();
    assert!(error.message.starts_with("sysctl kernel.core_pattern=|/x: is not of a namespace"), "{error}");
    assert_eq!(error.code, 125);
}

fn host_network() {
    let fixture = Fixture::new(&["readlink", "/proc/self/ns/net"]).with(|spec| spec.net = NetNamespace::Host);
    let ours = fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(fixture.output().trim(), ours.to_str().unwrap());
}

fn given_network() {
    let fixture = Fixture::sh("readlink /proc/self/ns/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start");
    let fixture = fixture.with(|spec| spec.net = NetNamespace::Given);
    assert!(fixture.failure().message.starts_with("network: "), "a namespace is missing");
    // A namespace of somebody's: that of a sleeping process.
    let mut other = std::process::Command::new("unshare").args(["-n", "sleep", "30"]).spawn().unwrap();
    let path = format!("/proc/{}/ns/net", other.id());
    let ours = fs::read_link("/proc/self/ns/net").unwrap();
    let theirs = (0..2000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        fs::read_link(&path).ok().filter(|link| *link != ours)
    });
    let net = fs::File::open(&path).unwrap();
    let (read, streams) = super::fixture::streams();
    let started = muster::runtime::start(&fixture.spec, streams, Some(net.as_fd()));
    other.kill().unwrap();
    other.wait().unwrap();
    let started = started.unwrap();
    let text = super::fixture::read_until(read, std::time::Instant::now() + Duration::from_secs(10));
    assert_eq!(text, format!("{}\n0\n", theirs.unwrap().display()));
    fixture.finish(&started);
}

fn privileged() {
    let script = "mkdir /m; mount -t tmpfs none /m && echo mounted; ls -d /dev/kmsg; grep -E 'Seccomp:|CapEff' /proc/self/status
        echo 1 > /proc/sys/net/ipv4/ip_forward && echo wrote; touch /sys/fs/cgroup/x 2>/dev/null; mount | grep -c ' /proc/sys '";
    let text = Fixture::sh(script).with(|spec| spec.privileged = true).run().0;
    let full = field(&fs::read_to_string("/proc/self/status").unwrap(), "CapBnd").to_owned();
    assert_eq!(text, format!("mounted\n/dev/kmsg\nCapEff:\t{full}\nSeccomp:\t0\nwrote\n0\n"));
}

fn read_only_root() {
    let script = "touch /x 2>&1; touch /dev/shm/y && echo shm; touch /work/new && echo volume";
    let fixture = Fixture::sh(script);
    fs::create_dir(fixture.dir.join("volume")).unwrap();
    let source = fixture.dir.join("volume");
    let fixture = fixture.with(|spec| {
        spec.root.read_only = true;
        spec.process.cwd = "/made/anew".into();
        spec.mounts.push(super::mounts::bind(&source, "/work", false));
    });
    assert_eq!(fixture.output(), "touch: /x: Read-only file system\nshm\nvolume\n");
}

fn cgroup_view() {
    let script = "cut -d: -f3 /proc/self/cgroup | sort -u; ls /sys/fs/cgroup | head -50 | tr '\\n' ' '
        grep -c ' /sys/fs/cgroup' /proc/self/mountinfo; mkdir /sys/fs/cgroup/x 2>/dev/null || echo read-only";
    let text = Fixture::sh(script).output();
    assert!(text.starts_with("/\n") && text.ends_with("read-only\n"), "{text}");
    let main = Fixture::sh("cat /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/memory/cgroup.procs 2>/dev/null").run().0;
    assert!(main.starts_with("1\n"), "its own processes are all it sees: {main}");
}

fn init_reaps() {
    let script = "sh -c 'sleep 0.05 & exit 0'; sleep 0.3; ps -o stat | grep -c Z; ps -o pid,args | grep muster-init | head -1; exit 5";
    let (text, ended) = Fixture::sh(script).with(|spec| spec.init = true).run();
    assert_eq!(ended, Ended::Code(5));
    assert!(text.starts_with("0\n"), "{text}");
    let (_, ended) = Fixture::sh("kill -SEGV $$").with(|spec| spec.init = true).run();
    assert_eq!(ended, Ended::Code(139));
    // The child is not PID 1, but stands behind the same fence, and so does PID 1.
    let text = Fixture::sh(
        "grep -h -E 'Seccomp:|CapBnd' /proc/1/status /proc/self/status; readlink /proc/1/exe || echo hidden",
    )
    .with(|spec| spec.init = true)
    .output();
    let two = "CapBnd:\t00000000a80425fb\nSeccomp:\t2\n";
    assert_eq!(text, format!("{two}{two}hidden\n"));
}

fn init_signals() {
    let fixture = Fixture::sh("trap 'echo got term; exit 9' TERM; echo ready; while :; do sleep 0.05; done");
    let fixture = fixture.with(|spec| spec.init = true);
    let (running, output) = fixture.start().unwrap();
    super::fixture::read_to(&output, "ready\n");
    muster::sys::process::kill(running.pid, 15).unwrap();
    super::fixture::read_to(&output, "got term\n");
    assert_eq!(fixture.finish(&running), Ended::Code(9));
}

fn nothing_left() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let fixture = Fixture::new(&["true"]);
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for _ in 0..3 {
        fixture.output();
    }
    assert!(Fixture::new(&["nosuch"]).start().is_err());
    assert_eq!(descriptors(), before);
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    let project = fixture.spec.cgroup.path.parent().unwrap().to_owned();
    for tree in fs::read_dir("/sys/fs/cgroup").unwrap() {
        assert!(!super::fixture::exists(&tree.unwrap().path().join(&project)));
    }
    assert!(!super::fixture::exists(&std::path::Path::new("/sys/fs/cgroup").join(&project)));
    assert_eq!(nix::sys::wait::waitpid(None, None), Err(nix::errno::Errno::ECHILD), "no child is left");
}
