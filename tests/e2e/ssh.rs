//! Keys of `build.ssh`: a step lists them and signs with them, by Debian's own ssh-add, and nothing of them is left.

use super::{
    ground::Ground,
    proc::{eventually, processes},
    stack::{Stack, run},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

const YAML: &str = "
services:
  web:
    build:
      context: src
      additional_contexts: {root: '%ROOT%'}
      ssh: [%SSH%]
";

const DOCKERFILE: &str = "FROM scratch AS base
COPY --from=root / /
COPY tools /
COPY *.pub /keys/
";

fn stack(label: &str, ssh: &str, text: &str) -> Stack {
    // On a ground of its own, whose agents can be counted.
    let stack = Stack::on(Arc::new(Ground::alone()), label, "services: {}");
    let root = stack.ground.rootfs().display().to_string();
    stack.compose(&YAML.replace("%ROOT%", &root).replace("%SSH%", ssh));
    stack.write("src/Dockerfile", &format!("{DOCKERFILE}{text}"));
    let tools = stack.directory().join("src/tools");
    for path in with_libraries("ssh-add") {
        let to = tools.join(path.strip_prefix("/").unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&path, to).unwrap();
    }
    for kind in ["ed25519", "rsa", "ecdsa"] {
        make_key(&stack, kind, "");
    }
    stack
}

/// In the project's directory; its public half is in the context.
fn make_key(stack: &Stack, kind: &str, passphrase: &str) {
    let path = stack.directory().join(format!("key-{kind}{passphrase}"));
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-C", kind, "-f"]).arg(&path).status();
    assert!(made.expect("ssh-keygen is missing: apt-get install openssh-client").success());
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    stack.write(&format!("src/{kind}{passphrase}.pub"), &public);
}

/// A program of this host, and what it is linked to.
fn with_libraries(program: &str) -> Vec<PathBuf> {
    let find = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().stdout;
    let program = PathBuf::from(String::from_utf8(find).unwrap().trim());
    let listed = Command::new("ldd").arg(&program).output().unwrap().stdout;
    let listed = String::from_utf8(listed).unwrap();
    let paths = listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
    std::iter::once(program).chain(paths).collect()
}

fn agents(of: &Path) -> usize {
    let of = of.display().to_string();
    let is_ours = |words: &[String]| words[0].ends_with("ssh-agent") && words.iter().any(|word| word.starts_with(&of));
    processes().iter().filter(|(_, words)| !words.is_empty() && is_ours(words)).count()
}

/// Processes whose command lines name something on this ground: agents and what they are started by, with their keys.
fn starters(ground: &Path) -> usize {
    let is_of = |words: &[String]| words.iter().any(|word| Path::new(word).starts_with(ground));
    processes().iter().filter(|(_, words)| is_of(words)).count()
}

#[test]
fn steps_list_and_sign_with_the_keys_that_they_are_given() {
    let text = "RUN --mount=type=ssh ssh-add -l > /listed && for k in /keys/*.pub; do ssh-add -T $k || exit 1; done
RUN --mount=type=ssh,id=one ssh-add -L > /one
RUN --mount=type=ssh if ssh-add -D; then exit 1; fi; ssh-add -l > /still
";
    // Others may read it, which ssh-add itself would not take.
    let ssh = "'default=%D%/key-ed25519,%D%/key-rsa,%D%/key-ecdsa', one=./key-rsa";
    let stack = stack("sshkeys", ssh, text);
    let directory = stack.directory().display().to_string();
    let yaml = fs::read_to_string(stack.directory().join("compose.yaml")).unwrap();
    stack.compose(&yaml.replace("%D%", &directory));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(stack.directory().join("key-rsa"), mode).unwrap();
    stack.ok(&["build"]);
    let read = |path: &str| stack.ok(&["run", "--rm", "-T", "web", "cat", path]);
    let listed = read("/listed");
    for kind in ["(ED25519)", "(RSA)", "(ECDSA)"] {
        assert!(listed.contains(kind), "{listed}");
    }
    assert_eq!(read("/still"), listed);
    let public = fs::read_to_string(stack.directory().join("key-rsa.pub")).unwrap();
    assert_eq!(read("/one").split_whitespace().nth(1), public.split_whitespace().nth(1));
    eventually("the agents end", Duration::from_secs(20), || agents(stack.ground.path()) == 0);

    // The command line says it as well.
    stack.compose(&YAML.replace("%ROOT%", &stack.ground.rootfs().display().to_string()).replace("%SSH%", ""));
    stack.write("src/Dockerfile", &format!("{DOCKERFILE}RUN --mount=type=ssh,required=true ssh-add -l > /listed\n"));
    stack.ok(&["build", "--ssh", "default=key-ecdsa"]);
    assert!(read("/listed").contains("(ECDSA)"));
}

#[test]
fn what_is_no_key_or_asks_for_a_passphrase_is_told() {
    let stack = stack("sshbad", "default=./key-ed25519secret", "");
    make_key(&stack, "ed25519", "secret");
    let told = stack.fails(&["build"]).stderr;
    assert!(told.contains("is protected by a passphrase") && told.contains("ssh-add"), "{told}");
    let told = stack.fails(&["build", "--ssh", "default=src/Dockerfile"]).stderr;
    assert!(told.contains("neither the socket of an agent nor a private key"), "{told}");
    stack.write("broken", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n");
    let told = stack.fails(&["build", "--ssh", "default=broken"]).stderr;
    assert!(told.contains("cannot start an agent for the keys of ssh"), "{told}");
    let mut command = stack.command(&["build", "--ssh", "default=key-rsa"]);
    let ran = run(command.env("PATH", "/nowhere"));
    assert!(ran.code != 0 && ran.stderr.contains("install the package openssh-client"), "{ran:#?}");
}

#[test]
fn an_agent_goes_with_a_build_that_is_killed() {
    // While the agent starts, and while a step uses it.
    let text = "RUN --mount=type=ssh ssh-add -l && touch /begun && sleep 1000\n";
    let stack = stack("sshkill", "default=./key-ed25519", text);
    let ours = stack.ground.path().join("run/builds");
    let layout = stack.ground.layout();
    let has_begun = || {
        let sessions = fs::read_dir(layout.data().join("images/tmp")).into_iter().flatten().flatten();
        let mut dirs = sessions.flat_map(|session| fs::read_dir(session.path()).into_iter().flatten().flatten());
        dirs.any(|dir| dir.path().join("begun").exists())
    };
    for used in [false, true] {
        let mut child = stack.command(&["build"]).stderr(Stdio::null()).spawn().unwrap();
        eventually("the agent runs", Duration::from_secs(60), || agents(&ours) > 0 && (!used || has_begun()));
        child.kill().unwrap();
        child.wait().unwrap();
        // A look at all processes is not of one moment: between two of them an agent that forks may not be seen.
        eventually("the agent ends", Duration::from_secs(60), || starters(stack.ground.path()) == 0);
    }
    // The network of a killed step is the next build's to sweep.
    stack.write("src/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    stack.ok(&["build"]);
    assert_eq!(fs::read_dir(layout.networks()).unwrap().count(), 0);
}
