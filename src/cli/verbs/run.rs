//! `muster run`: one container of a service with a changed command, attended by this command.
//!
//! The flags become a last Compose document over the files, so that `-v` and `-p` mean what they mean there. The
//! supervisor makes the container and holds it; the shim starts it with the descriptors that this command sends.

use super::{
    converge::{self, Pull},
    exec,
};
use crate::{
    api,
    cli::{
        apply::{self, Door, Order, tell},
        build::{self, When},
        client::{ClientError, Lines},
        context::Context,
        exit::{Code, Error, Outcome},
        output::progress::{Mode, Names, Progress},
        session::{Aim, End, Given, Session, Wish},
    },
    compose::{self, Loaded, Purpose},
    model::{
        ContainerId, RestartPolicy, ids,
        intent::{self, Intent},
    },
    shim::wire::{Client, Request},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// Run a one-off command on a service
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Remove the container when it exits
    #[arg(long)]
    rm: bool,
    /// Run container in background and print its id
    #[arg(short, long)]
    detach: bool,
    /// Set environment variables; without a value they are ours
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Set environment variables from a file
    #[arg(long, value_name = "FILE")]
    env_from_file: Vec<PathBuf>,
    /// Add or override a label
    #[arg(short, long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Bind mount a volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// Publish a container's port to the host
    #[arg(short, long, value_name = "[[IP:]HOST:]PORT", conflicts_with = "service_ports")]
    publish: Vec<String>,
    /// Publish the service's own ports
    #[arg(short = 'P', long)]
    service_ports: bool,
    /// Do not start linked services
    #[arg(long)]
    no_deps: bool,
    /// Override the entrypoint of the image
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Do not allocate a terminal; it is allocated when input and output are terminals
    #[arg(short = 'T', long = "no-tty", alias = "no-TTY")]
    no_tty: bool,
    /// Allocate a terminal; that is the default
    #[arg(short = 't', long = "tty", hide = true)]
    tty: bool,
    /// Keep standard input open
    #[arg(short, long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    interactive: bool,
    /// Run as this user
    #[arg(short, long)]
    user: Option<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Add Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Drop Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// Name of the container
    #[arg(long)]
    name: Option<String>,
    /// Use the service's network aliases in the networks that the container connects to
    #[arg(long)]
    use_aliases: bool,
    /// Build the image first
    #[arg(long)]
    build: bool,
    /// Pull the image before running
    #[arg(long, value_enum, value_name = "WHEN")]
    pull: Option<Pull>,
    /// Pull without printing progress information
    #[arg(long)]
    quiet_pull: bool,
    /// Build without printing progress information
    #[arg(long)]
    quiet_build: bool,
    /// Refuse images that compose.lock does not have, and entries of it that nothing uses
    #[arg(long)]
    locked: bool,
    /// Print nothing but what the container writes
    #[arg(short, long)]
    quiet: bool,
    /// Service
    service: String,
    /// Command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let overlay = overlay(&args, cx)?;
    let mut loaded = cx.load_with(std::slice::from_ref(&args.service), Purpose::Run, Some(overlay))?;
    cx.follow_lock(&mut loaded, args.locked)?;
    let wish = wish(&args);
    adjust(&args, &mut loaded, wish);
    let mode = if args.quiet { Mode::Quiet } else { cx.progress_mode(&loaded.environment) };
    let selection = build::Selection {
        named: std::slice::from_ref(&args.service),
        with_dependencies: !args.no_deps,
        pull: args.pull.and_then(Pull::policy),
        when: if args.build { When::Always } else { When::Missing },
    };
    let building = if args.quiet_build { Mode::Quiet } else { mode };
    build::prepare(cx, &loaded.project, &loaded.environment, &selection, building)?;
    cx.bring_variants(&mut loaded.project, &selection, mode)?;
    let project = loaded.project.name.clone();
    let intent = Intent::Run(intent::Run {
        service: args.service.clone(),
        no_deps: args.no_deps,
        remove: args.rm,
        detach: args.detach,
        name: args.name.clone(),
        service_ports: args.service_ports || !args.publish.is_empty(),
        use_aliases: args.use_aliases,
        slug: slug()?,
        environment_files: Vec::new(),
    });
    let apply = converge::request(cx, loaded, intent, None)?;
    let order = Order { project, apply, mode, quiet_pull: args.quiet_pull };
    let door = Door::new(cx, &order.project);
    let runtime = apply::runtime()?;
    let mut attendance = Attendance { cx, door, progress: order.progress() };
    let err = &mut attendance.cx.err;
    let mut lines = runtime.block_on(attendance.door.apply(&order.apply, &mut |note| tell(err, &note)))?;
    let Some(id) = runtime.block_on(attendance.until_ready(&mut lines))? else {
        return if attendance.progress.finish(&mut attendance.cx.err)? {
            Ok(Code::SUCCESS)
        } else {
            Err(Error::Reported)
        };
    };
    if args.detach {
        let succeeded = runtime.block_on(attendance.until_done(&mut lines))?;
        writeln!(attendance.cx.out, "{id}")?;
        return if succeeded { Ok(Code::SUCCESS) } else { Err(Error::Reported) };
    }
    let ended = attend(attendance.cx, &id, wish, args.interactive);
    // What follows is the removal, which nobody asked to see; the exit code is the container's in any case.
    attendance.progress = Progress::new(Mode::Quiet, Names::default(), true);
    // A program that could not be run has ended as well.
    if matches!(ended, Ok(_) | Err(Error::NotStarted { .. })) {
        let _ = runtime.block_on(attendance.until_done(&mut lines));
    }
    match ended? {
        End::Code(code) => Ok(Code::of_process(code)),
        End::Left => Err(Error::Interrupted),
    }
}

/// The stream of the plan, read in turns with the session.
struct Attendance<'a> {
    cx: &'a mut Context,
    door: Door,
    progress: Progress,
}

impl Attendance<'_> {
    /// The container, once it is held for us; `None` when the plan ended without one.
    async fn until_ready(&mut self, lines: &mut Lines<api::Progress>) -> Result<Option<ContainerId>, Error> {
        loop {
            let event = self.next(lines).await?;
            if let api::Progress::Ready { container, .. } = event {
                self.progress.stop_redrawing();
                return Ok(Some(ContainerId::new(container)));
            }
            if self.progress.is_done() {
                return Ok(None);
            }
        }
    }

    async fn until_done(&mut self, lines: &mut Lines<api::Progress>) -> Result<bool, Error> {
        while !self.progress.is_done() {
            self.next(lines).await?;
        }
        Ok(self.progress.finish(&mut self.cx.err)?)
    }

    async fn next(&mut self, lines: &mut Lines<api::Progress>) -> Result<api::Progress, Error> {
        let event = lines.next().await.map_err(|error| self.door.error(error))?;
        let event = event.ok_or_else(|| self.door.error(ClientError::GoneAmid))?;
        self.progress.take(&event, Instant::now().into_std(), &mut self.cx.err)?;
        Ok(event)
    }
}

fn attend(cx: &mut Context, id: &ContainerId, wish: Wish, interactive: bool) -> Result<End, Error> {
    cx.err.flush()?;
    let client = Client::connect(&cx.layout, id)?;
    let given = Given::new(wish)?;
    let signals = Session::block_signals()?;
    let request = Request::Attach { io: given.io };
    Session::start(client, request, given, Aim::Container, interactive, signals)?.run()
}

fn wish(args: &Args) -> Wish {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if terminal && !args.no_tty && !args.detach { Wish::Terminal } else { Wish::Streams { stdin: args.interactive } }
}

/// What is no attribute of a Compose file, or not as this verb means it.
fn adjust(args: &Args, loaded: &mut Loaded, wish: Wish) {
    let Some(service) = loaded.project.services.get_mut(&args.service) else { return };
    service.restart = RestartPolicy::No;
    service.container_name.clone_from(&args.name);
    service.scale = 1;
    service.tty = wish == Wish::Terminal;
    service.stdin_open = args.interactive;
    if let Some(policy) = args.pull.and_then(Pull::policy) {
        service.pull_policy = policy;
    }
}

/// 12 random hexadecimal digits for the container's name.
fn slug() -> Result<String, Error> {
    let mut bytes = [0; 6];
    let drawn = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    drawn.map_err(Error::system("draw a random name"))?;
    Ok(ids::hex(&bytes))
}

/// The flags as a Compose document. JSON is YAML; only the tags are not JSON.
fn overlay(args: &Args, cx: &Context) -> Result<String, Error> {
    let mut lines: Vec<(&str, &str, Value)> = Vec::new();
    let mut put = |key, tag, value| lines.push((key, tag, value));
    // Only ports that were asked for: the service's own would collide with its running containers.
    if !args.service_ports {
        put("ports", "!override ", json!(args.publish));
    }
    if !args.volume.is_empty() {
        put("volumes", "", args.volume.iter().map(|volume| json!(absolute(volume, &cx.env.cwd))).collect());
    }
    let environment = environment(args, cx)?;
    if !environment.is_empty() {
        put("environment", "", json!(environment));
    }
    if !args.label.is_empty() {
        put("labels", "", json!(args.label));
    }
    if let Some(entrypoint) = &args.entrypoint {
        put("entrypoint", "!override ", json!(entrypoint));
    }
    if args.entrypoint.is_some() || !args.command.is_empty() {
        put("command", "!override ", json!(args.command));
    }
    for (key, list) in [("cap_add", &args.cap_add), ("cap_drop", &args.cap_drop)] {
        if !list.is_empty() {
            put(key, "", json!(list));
        }
    }
    for (key, value) in [("user", &args.user), ("working_dir", &args.workdir)] {
        if let Some(value) = value {
            put(key, "", json!(value));
        }
    }
    let mut text = format!("services:\n  {}:\n", json!(args.service));
    for (key, tag, value) in lines {
        // The shell has resolved variables already.
        text.push_str(&format!("    {key}: {tag}{}\n", value.to_string().replace('$', "$$")));
    }
    Ok(text)
}

/// `--env-from-file` in order, `-e` over them.
fn environment(args: &Args, cx: &Context) -> Result<BTreeMap<String, String>, Error> {
    let mut entries = Vec::new();
    for file in &args.env_from_file {
        let values = compose::read_env_file(&cx.env.cwd.join(file), &cx.env.variables).map_err(Error::Compose)?;
        let values: Vec<String> = values.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        exec::set_variables(&mut entries, &values, &cx.env);
    }
    exec::set_variables(&mut entries, &args.env, &cx.env);
    let split = |entry: &String| entry.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    Ok(entries.iter().filter_map(split).collect())
}

/// On the command line a relative source is relative to where the person stands, not to the project.
fn absolute(volume: &str, cwd: &Path) -> String {
    match volume.split_once(':') {
        Some((source, rest))
            if source == "." || source == ".." || source.starts_with("./") || source.starts_with("../") =>
        {
            format!("{}:{rest}", cwd.join(source).display())
        }
        _ => volume.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{args::Global, env::Env, output::writer::capture},
        model::MountKind,
        state::Layout,
    };

    fn context(directory: &Path) -> Context {
        let (out, _) = capture::writer(false);
        let (err, _) = capture::writer(false);
        let mut env = Env { cwd: directory.to_owned(), ..Env::default() };
        env.variables.insert("TOKEN".into(), "t$x".into());
        Context { global: Global::default(), env, layout: Layout::system(), out, err, json: false }
    }

    #[test]
    fn flags_change_the_service_as_the_file_would() {
        let directory = tempfile::tempdir().unwrap();
        let file = "services: {web: {image: a, ports: ['80:80'], command: [x], environment: {A: file, B: b}, volumes: ['/data']}}";
        std::fs::write(directory.path().join("compose.yaml"), file).unwrap();
        std::fs::write(directory.path().join("vars"), "A=from-file\nC=c\n").unwrap();
        let mut cx = context(directory.path());
        let args = Args {
            service: "web".into(),
            command: vec!["echo".into(), "$HOME ${X:-y}".into()],
            entrypoint: Some("sh -c".into()),
            env: vec!["A=flag$".into(), "TOKEN".into()],
            env_from_file: vec!["vars".into()],
            volume: vec!["./src:/src:ro".into()],
            publish: vec!["8080:80".into()],
            label: vec!["k=v".into()],
            user: Some("1000".into()),
            workdir: Some("/src".into()),
            interactive: true,
            ..Args::default()
        };
        let overlay = overlay(&args, &cx).unwrap();
        let mut loaded = cx.load_with(&["web".into()], Purpose::Run, Some(overlay)).unwrap();
        adjust(&args, &mut loaded, Wish::Streams { stdin: true });
        let web = &loaded.project.services["web"];
        assert_eq!(web.command, Some(vec!["echo".into(), "$HOME ${X:-y}".into()]));
        assert_eq!(web.entrypoint, Some(vec!["sh".into(), "-c".into()]));
        let environment: BTreeMap<_, _> = web.environment.clone().into_iter().collect();
        let expected = [("A", "flag$"), ("B", "b"), ("C", "c"), ("TOKEN", "t$x")];
        assert_eq!(environment, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(web.ports.iter().map(|port| port.published.map(|p| p.first)).collect::<Vec<_>>(), [Some(8080)]);
        let bind = web.volumes.iter().find_map(|mount| match &mount.kind {
            MountKind::Bind { source, .. } => Some(source.clone()),
            _ => None,
        });
        assert_eq!(bind, Some(directory.path().join("src")));
        assert_eq!(web.volumes.len(), 2);
        assert_eq!((web.user.as_deref(), web.restart), (Some("1000"), RestartPolicy::No));
        assert!(web.stdin_open && !web.tty);
    }

    #[test]
    fn a_wrong_flag_is_shown_where_it_stands() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("compose.yaml"), "services: {web: {image: a}}").unwrap();
        let mut cx = context(directory.path());
        let args = Args { service: "web".into(), publish: vec!["notaport".into()], ..Args::default() };
        let overlay = overlay(&args, &cx).unwrap();
        let error = cx.load_with(&["web".into()], Purpose::Run, Some(overlay)).unwrap_err();
        let Error::Compose(findings) = error else { panic!("{error}") };
        assert!(findings.render(false).contains("--> <command line>:3"), "{}", findings.render(false));
    }

    #[test]
    fn a_slug_is_twelve_digits() {
        let slug = slug().unwrap();
        assert!(slug.len() == 12 && slug.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
