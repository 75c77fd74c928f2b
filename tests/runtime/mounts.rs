//! Volumes, tmpfs, secrets.

use super::{Test, fixture::Fixture};
use muster::runtime::spec::{Mount, MountSource};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

pub const TESTS: &[Test] = &[
    ("a_bind_mount_is_written_through", bind_mount),
    ("a_read_only_bind_is_read_only_below_too", read_only_bind),
    ("a_file_can_be_bound", file_bind),
    ("mounts_of_the_host_travel_only_when_asked", propagation),
    ("mounts_inside_mounts_follow_their_order", nested),
    ("an_empty_volume_is_filled_from_the_image", copy_up),
    ("tmpfs_takes_its_options", tmpfs),
    ("secrets_are_read_only_files_with_owner_and_mode", content),
    ("many_layers_make_one_root", many_layers),
    ("changes_go_to_the_upper_directory", upper),
];

pub fn bind(source: &Path, target: &str, read_only: bool) -> Mount {
    let source = MountSource::Bind { source: source.to_owned(), propagation: None, copy_up: false };
    Mount { target: target.into(), source, read_only }
}

fn volume(fixture: &Fixture, name: &str) -> std::path::PathBuf {
    let path = fixture.dir.join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

fn bind_mount() {
    let fixture = Fixture::sh("cat /data/in; echo back > /data/out");
    let source = volume(&fixture, "v");
    fs::write(source.join("in"), "from the host\n").unwrap();
    let fixture = fixture.with(|spec| spec.mounts.push(bind(&source, "/data", false)));
    assert_eq!(fixture.output(), "from the host\n");
    assert_eq!(fs::read_to_string(source.join("out")).unwrap(), "back\n");
}

fn read_only_bind() {
    let script = "touch /data/x 2>&1; touch /data/below/x 2>&1; true";
    let fixture = Fixture::sh(script);
    let source = volume(&fixture, "v");
    fs::create_dir(source.join("below")).unwrap();
    // A mount of the host below the source, in a namespace that only this test's process has.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let flags = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).unwrap();
    let none = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("tmpfs"), &source.join("below"), Some("tmpfs"), none, None::<&str>).unwrap();
    let fixture = fixture.with(|spec| spec.mounts.push(bind(&source, "/data", true)));
    let text = fixture.output();
    nix::mount::umount(&source.join("below")).unwrap();
    assert_eq!(text, "touch: /data/x: Read-only file system\ntouch: /data/below/x: Read-only file system\n");
}

fn propagation() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let change = |path: &Path, flags| nix::mount::mount(None::<&str>, path, None::<&str>, flags, None::<&str>).unwrap();
    let tmpfs = |path: &Path| {
        nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), nix::mount::MsFlags::empty(), None::<&str>).unwrap();
    };
    change(Path::new("/"), nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE);
    let with = |fixture: Fixture, source: &Path, word: &str| {
        let bind = MountSource::Bind { source: source.to_owned(), propagation: Some(word.to_owned()), copy_up: false };
        fixture.with(|spec| spec.mounts.push(Mount { target: "/data".into(), source: bind, read_only: false }))
    };
    let fixture = Fixture::sh("echo ready; while ! [ -e /data/later/file ]; do sleep 0.02; done; echo seen");
    let source = volume(&fixture, "v");
    let error = with(Fixture::new(&["true"]), &source, "rshared").failure();
    assert!(error.message.ends_with("which is on no shared mount: Invalid argument"), "{error}");

    tmpfs(&source);
    change(&source, nix::mount::MsFlags::MS_SHARED);
    fs::create_dir(source.join("later")).unwrap();
    let private = Fixture::sh("echo ready; while ! [ -e /data/stop ]; do sleep 0.02; done; ls /data/later");
    let (private, slave) = (with(private, &source, "rprivate"), with(fixture, &source, "rslave"));
    let (first, first_output) = private.start().unwrap();
    let (second, second_output) = slave.start().unwrap();
    super::fixture::read_to(&first_output, "ready\n");
    super::fixture::read_to(&second_output, "ready\n");
    tmpfs(&source.join("later"));
    fs::write(source.join("later/file"), "").unwrap();
    super::fixture::read_to(&second_output, "seen\n");
    fs::write(source.join("stop"), "").unwrap();
    let text = super::fixture::read_until(first_output, std::time::Instant::now() + std::time::Duration::from_secs(10));
    assert_eq!(text, "", "a private mount does not see it");
    private.finish(&first);
    slave.finish(&second);
    nix::mount::umount(&source.join("later")).unwrap();
    nix::mount::umount(&source).unwrap();
}

fn file_bind() {
    let fixture = Fixture::sh("cat /etc/app/config.yml /etc/passwd");
    let source = fixture.dir.join("file");
    fs::write(&source, "bound\n").unwrap();
    let fixture = fixture.with(|spec| {
        spec.mounts.push(bind(&source, "/etc/app/config.yml", true));
        spec.mounts.push(bind(&source, "/etc/passwd", true));
    });
    assert_eq!(fixture.output(), "bound\nbound\n");
}

fn nested() {
    let fixture = Fixture::sh("ls /data /data/sub");
    let (outer, inner) = (volume(&fixture, "outer"), volume(&fixture, "inner"));
    fs::write(outer.join("o"), "").unwrap();
    fs::write(inner.join("i"), "").unwrap();
    let fixture =
        fixture.with(|spec| spec.mounts.extend([bind(&outer, "/data", false), bind(&inner, "/data/sub", false)]));
    assert_eq!(fixture.output(), "/data:\no\nsub\n\n/data/sub:\ni\n");
}

fn copy_up() {
    let fixture =
        Fixture::sh("cat /var/data/seed; echo more >> /var/data/seed").file("var/data/seed", "from the image\n");
    fs::set_permissions(fixture.path("var/data"), fs::Permissions::from_mode(0o1770)).unwrap();
    std::os::unix::fs::chown(fixture.path("var/data"), Some(1000), Some(1001)).unwrap();
    let source = volume(&fixture, "v");
    let fixture = fixture.with(|spec| {
        let bind = MountSource::Bind { source: source.clone(), propagation: None, copy_up: true };
        spec.mounts.push(Mount { target: "/var/data".into(), source: bind, read_only: false });
    });
    assert_eq!(fixture.output(), "from the image\n");
    let found = fs::metadata(&source).unwrap();
    assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (0o1770, 1000, 1001));
    assert_eq!(fixture.output(), "from the image\nmore\n", "the second start copies nothing");
}

fn tmpfs() {
    let script = "grep ' /cache ' /proc/self/mountinfo | cut -d' ' -f6; stat -c %a /cache /tmp /own
        dd if=/dev/zero of=/cache/big bs=1k count=200 2>&1 | grep -c 'No space'";
    let fixture = Fixture::sh(script);
    fs::set_permissions(fixture.path("tmp"), fs::Permissions::from_mode(0o1755)).unwrap();
    let tmpfs = |target: &str, options: &[&str]| Mount {
        target: target.into(),
        source: MountSource::Tmpfs { options: options.iter().map(|option| (*option).to_owned()).collect() },
        read_only: false,
    };
    let fixture = fixture.with(|spec| {
        spec.mounts.push(tmpfs("/cache", &["size=64k", "mode=0700"]));
        spec.mounts.push(tmpfs("/tmp", &[]));
        spec.mounts.push(tmpfs("/own", &[]));
    });
    assert_eq!(fixture.output(), "rw,nosuid,nodev,noexec,relatime\n700\n1755\n1777\n1\n");
    let error = Fixture::new(&["true"]).with(|spec| spec.mounts.push(tmpfs("/x", &["bogus"]))).failure();
    assert!(error.message.contains("\"bogus\""), "{error}");
}

fn content() {
    let script = "cat /run/secrets/db; stat -c '%u:%g %a' /run/secrets/db; echo x 2>/dev/null > /run/secrets/db || echo read-only
        rm /run/secrets/db 2>/dev/null || echo stays; cat /etc/app.conf; cat /secret /config 2>/dev/null; true";
    let fixture = Fixture::sh(script);
    let (secret, config) = (fixture.dir.join("secret"), fixture.dir.join("config"));
    fs::write(&secret, "hunter2\n").unwrap();
    fs::write(&config, "key: value\n").unwrap();
    let content = |source: &Path, target: &str, uid, mode| Mount {
        target: target.into(),
        source: MountSource::Content { source: source.to_owned(), uid, gid: uid, mode },
        read_only: true,
    };
    let fixture = fixture.with(|spec| {
        spec.mounts.push(content(&secret, "/run/secrets/db", 1000, 0o440));
        spec.mounts.push(content(&config, "/etc/app.conf", 0, 0o444));
    });
    assert_eq!(fixture.output(), "hunter2\n1000:1000 440\nread-only\nstays\nkey: value\n");
    assert_eq!(fs::metadata(fixture.dir.join("upper/run/secrets/db")).unwrap().len(), 0, "no byte on the disk");
}

fn many_layers() {
    let fixture = Fixture::sh("cat /layer; ls /n | wc -l");
    let mut lower = fixture.spec.root.lower.clone();
    for number in 0..60 {
        let name = format!("a-layer-with-a-long-name-{}-{number}", "x".repeat(80));
        let layer = volume(&fixture, &name);
        fs::create_dir(layer.join("n")).unwrap();
        fs::write(layer.join(format!("n/{number}")), "").unwrap();
        fs::write(layer.join("layer"), format!("{number}\n")).unwrap();
        lower.insert(0, layer);
    }
    let fixture = fixture.with(|spec| spec.root.lower = lower);
    assert_eq!(fixture.output(), "59\n60\n", "the uppermost wins");
}

fn upper() {
    let fixture = Fixture::sh("echo new > /file; rm /etc/group; ln -s x /link");
    fixture.output();
    let upper = fixture.dir.join("upper");
    assert_eq!(fs::read_to_string(upper.join("file")).unwrap(), "new\n");
    assert_eq!(fs::symlink_metadata(upper.join("etc/group")).unwrap().rdev(), 0, "a whiteout");
    assert!(fixture.path("etc/group").exists());
}
