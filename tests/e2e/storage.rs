//! Volumes, binds, secrets and configs.

use super::{ground::Ground, image, stack::Stack};
use serde_json::json;

const IDLE: &str = "image: '%IMAGE%', command: [sleep, '1000'], init: true";

#[test]
fn a_named_volume_outlives_down_and_goes_with_down_v() {
    let stack =
        Stack::new("volume", &format!("services: {{x: {{{IDLE}, volumes: ['data:/data']}}}}\nvolumes: {{data: {{}}}}"));
    stack.up();
    stack.exec("x", &["sh", "-c", "echo kept > /data/file"]);
    stack.ok(&["down", "-t", "0"]);
    stack.up();
    assert_eq!(stack.exec("x", &["cat", "/data/file"]), "kept");
    let place = stack.ground.layout().volume_data(&format!("{}_data", stack.name));
    assert_eq!(std::fs::read_to_string(place.join("file")).unwrap(), "kept\n");
    stack.ok(&["down", "-v", "-t", "0"]);
    assert!(!place.exists());
    stack.up();
    assert_ne!(stack.shell("x", "test -e /data/file").code, 0);
}

#[test]
fn a_new_volume_begins_with_what_the_image_has_there() {
    let ground = Ground::shared();
    let stack = Stack::on(ground.clone(), "copyup", "services: {}");
    let image = image::Layout::busybox(&ground, &stack.directory().join("image"))
        .layer(&[("srv/", ""), ("srv/from-image", "first"), ("anonymous/", ""), ("anonymous/too", "second")])
        .finish(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"], "Volumes": {"/anonymous": {}}}));
    let yaml = format!(
        "
services:
  x:
    image: '{image}'
    init: true
    volumes: ['filled:/srv', {{type: volume, source: empty, target: /srv2, volume: {{nocopy: true}}}}]
volumes: {{filled: {{}}, empty: {{}}}}
"
    );
    stack.compose(&yaml);
    stack.up();
    assert_eq!(stack.exec("x", &["cat", "/srv/from-image"]), "first");
    assert_eq!(stack.exec("x", &["cat", "/anonymous/too"]), "second");
    stack.exec("x", &["sh", "-c", "echo changed > /srv/from-image; echo mine > /anonymous/too"]);
    // Recreated: the named one is not filled again, the anonymous one is handed on.
    stack.ok(&["up", "-d", "--force-recreate", "-t", "0"]);
    assert_eq!(stack.exec("x", &["cat", "/srv/from-image"]), "changed");
    assert_eq!(stack.exec("x", &["cat", "/anonymous/too"]), "mine");
    stack.ok(&["up", "-d", "--force-recreate", "-V", "-t", "0"]);
    assert_eq!(stack.exec("x", &["cat", "/anonymous/too"]), "second");
}

#[test]
fn binds_show_the_hosts_files_and_can_be_read_only() {
    let stack = Stack::new(
        "bind",
        &format!("services: {{x: {{{IDLE}, volumes: ['./dir:/dir', './dir/file:/file:ro', './made:/made']}}}}"),
    );
    stack.write("dir/file", "from the host\n");
    stack.up();
    assert_eq!(stack.exec("x", &["cat", "/dir/file", "/file"]), "from the host\nfrom the host");
    assert_ne!(stack.shell("x", "echo x > /file").code, 0);
    stack.exec("x", &["sh", "-c", "echo back > /dir/new; touch /made/it"]);
    assert_eq!(std::fs::read_to_string(stack.directory().join("dir/new")).unwrap(), "back\n");
    assert!(stack.directory().join("made/it").exists(), "a missing source of the short form is made");
}

#[test]
fn secrets_and_configs_are_files_inside_and_nowhere_else() {
    let stack = Stack::new(
        "secrets",
        &format!(
            "
services:
  x:
    {IDLE_LINES}
    secrets: [plain, {{source: plain, target: /etc/moved, mode: 0400, uid: '1000', gid: '1000'}}]
    configs: [{{source: conf, target: /etc/app.conf}}]
secrets: {{plain: {{file: ./secret.txt}}}}
configs: {{conf: {{file: ./app.conf}}}}
",
            IDLE_LINES = "image: '%IMAGE%'\n    command: [sleep, '1000']\n    init: true"
        ),
    );
    stack.write("secret.txt", "very-secret-word\n");
    stack.write("app.conf", "level = 3\n");
    stack.up();
    assert_eq!(stack.exec("x", &["cat", "/run/secrets/plain"]), "very-secret-word");
    assert_eq!(stack.exec("x", &["cat", "/etc/moved"]), "very-secret-word");
    assert_eq!(stack.exec("x", &["cat", "/etc/app.conf"]), "level = 3");
    assert!(stack.exec("x", &["grep", " /run/secrets/plain ", "/proc/self/mountinfo"]).contains("tmpfs"));
    for args in [&["config"][..], &["config", "--format", "json"], &["ps", "-a", "--format", "json"], &["logs"]] {
        assert!(!stack.ok(args).contains("very-secret-word"), "{args:?}");
    }
    // Neither record, spec nor event holds it, and no layer of the container on disk.
    let grep = std::process::Command::new("grep")
        .args(["-rl", "very-secret-word"])
        .arg(stack.ground.layout().data())
        .arg(stack.ground.layout().run())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "");
}

#[test]
fn a_changed_secret_file_is_a_reason_to_recreate() {
    let stack =
        Stack::new("rotate", &format!("services: {{x: {{{IDLE}, secrets: [s]}}}}\nsecrets: {{s: {{file: ./s.txt}}}}"));
    stack.write("s.txt", "one");
    stack.up();
    let before = stack.pid("x");
    stack.write("s.txt", "two");
    stack.up();
    assert_ne!(stack.pid("x"), before);
    assert_eq!(stack.exec("x", &["cat", "/run/secrets/s"]), "two");
}

#[test]
fn external_volumes_must_exist_and_are_left_alone() {
    let owner = Stack::new("volowner", "services: {}");
    let name = format!("{}_shared", owner.name);
    owner.compose(&format!("services: {{x: {{{IDLE}, volumes: ['shared:/s']}}}}\nvolumes: {{shared: {{}}}}"));
    let guest = Stack::new(
        "volguest",
        &format!(
            "services: {{x: {{{IDLE}, volumes: ['vol:/s']}}}}\nvolumes: {{vol: {{name: {name}, external: true}}}}"
        ),
    );
    assert!(guest.fails(&["up", "-d"]).stderr.contains(&name));
    owner.up();
    owner.exec("x", &["touch", "/s/here"]);
    guest.up();
    guest.exec("x", &["test", "-e", "/s/here"]);
    guest.ok(&["down", "-v", "-t", "0"]);
    owner.exec("x", &["test", "-e", "/s/here"]);
}
