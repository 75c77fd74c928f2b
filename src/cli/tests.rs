//! The command line as people type it: what is accepted, what is refused, and what help says.

use super::args::{Cli, Command};
use clap::{CommandFactory, error::ErrorKind};

fn read(line: &str) -> Result<Cli, clap::Error> {
    Cli::read(std::iter::once("muster").chain(line.split(' ').filter(|word| !word.is_empty())).map(Into::into))
}

#[test]
fn clap_finds_no_contradiction_in_the_flags() {
    Cli::command().debug_assert();
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let conflicts = [
        "up --wait --attach web",
        "up --wait --attach-dependencies",
        "up --wait --abort-on-container-exit",
        "up --wait --abort-on-container-failure",
        "up -d --abort-on-container-exit",
        "up -d --abort-on-container-failure",
        "up -d --exit-code-from web",
        "up --wait --exit-code-from web",
        "up -d --attach web",
        "up -d --attach-dependencies",
        "up --build --no-build",
        "up --watch -d",
        "up --watch --wait",
        "up -w --no-build",
        "up -w --no-start",
        "up --no-recreate --force-recreate",
        "up --no-recreate -V",
        "up --no-recreate --always-recreate-deps",
        "up --abort-on-container-exit --abort-on-container-failure",
        "up --attach web --attach-dependencies",
        "create --no-recreate --force-recreate",
        "plan --no-recreate --force-recreate",
        "run -p 80:80 -P web",
        "config --services --images",
        "images --all web",
    ];
    for line in conflicts {
        assert_eq!(read(line).unwrap_err().kind(), ErrorKind::ArgumentConflict, "{line}");
    }
}

#[test]
fn what_docker_compose_takes_is_taken() {
    let lines = [
        "-f a.yaml -f b.yaml -p shop --profile x --profile y --env-file e --project-directory d up -d",
        "--progress plain --ansi never --parallel -1 ps",
        "up --wait --wait-timeout 5 --scale web=3 --remove-orphans -t 3 --pull always --quiet-pull web db",
        "up --no-build --no-start --no-deps -y --timestamps --no-color --no-log-prefix",
        "up --exit-code-from web --abort-on-container-failure",
        "create --force-recreate --scale web=2",
        "up -w web",
        "watch --no-up --quiet --prune web db",
        "watch --prune=false",
        "down -v -t 0 --remove-orphans --rmi all",
        "ps -a --format json -q --services --filter status=running --status exited --no-trunc --orphans=false web",
        "logs -f -n 10 --since 5m --until 1m -t --no-log-prefix --no-color web",
        "logs --tail all",
        "exec -T -e A=b -u root -w / --index 2 --privileged web sh -c id",
        "exec web ls -la --color",
        "exec -it web sh",
        "run --rm -T -e A=b -v /a:/b --no-deps --entrypoint sh web -c id",
        "run -d --name x --use-aliases -l a=b -P web",
        "run --interactive=false web true",
        "start web",
        "stop -t 3 web",
        "restart -t 3 --no-deps",
        "kill -s HUP web",
        "rm -f -s -v web",
        "config --format json -q",
        "config --hash *",
        "plan --detailed-exitcode --format json web",
        "pull -q --include-deps --ignore-pull-failures --policy missing web",
        "load -i a.tar",
        "images --format json",
        "rmi a b",
        "ls -a --format json -q --filter name=x",
        "port --protocol udp --index 2 web 53",
        "top web",
        "version --short",
    ];
    for line in lines {
        assert!(read(line).is_ok(), "{line}: {}", read(line).unwrap_err());
        assert!(read(&format!("compose {line}")).is_ok(), "compose {line}");
    }
}

#[test]
fn arguments_of_the_command_are_not_ours() {
    let Command::Exec(args) = read("exec web ls -d --user x").unwrap().command else { panic!() };
    let shown = format!("{args:?}");
    assert!(shown.contains(r#"command: ["ls", "-d", "--user", "x"]"#) && shown.contains("detach: false"), "{shown}");
    let Command::Run(args) = read("run --rm web sh -c --rm").unwrap().command else { panic!() };
    assert!(format!("{args:?}").contains(r#"command: ["sh", "-c", "--rm"]"#));
}

#[test]
fn wrong_words_are_refused_with_a_hint() {
    let error = read("pss").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSubcommand);
    assert!(error.to_string().contains("similar subcommand"), "{error}");
    assert!(read("up --detatch").unwrap_err().to_string().contains("--detach"));
    for line in [
        "up --scale web",
        "kill -s NOPE",
        "ps --filter name=x",
        "ls --filter x",
        "up --wait-timeout 3",
        "logs -n x",
        "exec web",
        "port web",
    ] {
        assert_eq!(super::usage_code(&read(line).unwrap_err()), super::Code::FAILURE, "{line}");
    }
}

#[test]
fn version_is_a_flag_as_well() {
    for line in ["--version", "-v", "version"] {
        assert!(matches!(read(line).unwrap().command, Command::Version(_)), "{line}");
    }
}

#[test]
fn help_names_every_verb() {
    let help = Cli::command().term_width(100).render_help().to_string();
    insta::assert_snapshot!(help, @r"
    Brings a Compose file up on one Linux host

    Usage: muster [OPTIONS] <COMMAND>

    Commands:
      up       Create and start containers
      build    Build or rebuild services
      builder  Look after the cache of builds
      bundle   Pack a project with its images into one file, and run such files
      create   Create containers for a service
      down     Stop and remove containers, networks
      plan     Show what up would do, and why
      ps       List containers
      logs     View output from containers
      exec     Execute a command in a running container
      run      Run a one-off command on a service
      start    Start services
      stop     Stop services
      restart  Restart service containers
      kill     Force stop service containers
      rm       Remove stopped service containers
      top      Display the running processes
      port     Print the public port for a port binding
      ls       List running projects
      config   Parse, resolve and render the Compose files in canonical form
      explain  Tell where values of the Compose files come from: lines, overrides, variables, defaults
      pull     Pull service images
      push     Push service images
      image    Manage images
      images   List images used by the created containers
      rmi      Remove one or more images
      tag      Create a tag TARGET that refers to the image SOURCE
      save     Save one or more images to a tar archive (streamed to standard output by default)
      load     Load images from an archive
      lock     Pin the images of services, hooks and builds to the digests that their registries have
      login    Log in to a registry
      logout   Log out from a registry
      system   Look after what muster keeps on this host
      watch    Watch build context for service and rebuild/refresh containers when files are updated
      version  Show the version information
      help     Print this message or the help of the given subcommand(s)

    Options:
      -f, --file <FILE>              Compose configuration files; `-` is standard input
      -p, --project-name <NAME>      Project name
          --profile <NAME>           Profile to enable
          --env-file <FILE>          Environment file instead of .env
          --project-directory <DIR>  Working directory instead of the one of the first Compose file
          --all-resources            Include all resources, even those that no service uses
          --progress <KIND>          How progress is shown [possible values: auto, tty, plain, json,
                                     quiet]
          --ansi <WHEN>              When to use colour and cursor movement [possible values: never,
                                     always, auto]
          --parallel <N>             Most operations at a time; -1 is no limit
      -h, --help                     Print help
    ");
}
