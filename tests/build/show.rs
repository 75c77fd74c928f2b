//! Plans as text: a step is its number and title, then what is not as it is without being said.

use muster::build::op::{
    Chmod, Copy, CopySource, History, Mount, Network, Op, Plan, Run, Security, Sharing, Source, StepId, Unpack,
};
use std::fmt::Write;

pub fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let anew = if step.no_cache { " (anew)" } else { "" };
        writeln!(text, "{index} {}{anew}", step.title).unwrap();
        let body = match &step.op {
            Op::Base(base) => format!("image {} {}\n", base.image, base.platform),
            Op::Mkdir(mkdir) => format!("{}mkdir {}{}\n", on(mkdir.root), mkdir.path, some("user", &mkdir.user)),
            Op::Run(op) => run(op),
            Op::Copy(op) => copy(op),
        };
        body.lines().for_each(|line| writeln!(text, "    {line}").unwrap());
    }
    writeln!(text, "= {}", plan.outcome.root.map_or("nothing".to_owned(), |root| root.0.to_string())).unwrap();
    text
}

pub fn history(plan: &Plan) -> String {
    let line = |entry: &History| match entry {
        History::Inherited(_) => None,
        History::Made { created_by, step, .. } => {
            let created_by = created_by.replace('\n', "\\n");
            Some(format!("{} {created_by}\n", if step.is_some() { "+" } else { "-" }))
        }
    };
    plan.outcome.history.iter().filter_map(line).collect()
}

fn on(root: Option<StepId>) -> String {
    root.map_or("on nothing: ".to_owned(), |root| format!("on {}: ", root.0))
}

fn some(name: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!(" {name} {value}") }
}

fn source(from: &Source) -> String {
    match from {
        Source::Context => "context".to_owned(),
        Source::Named(name) => format!("context {name}"),
        Source::Step(id) => id.0.to_string(),
        Source::Scratch => "nothing".to_owned(),
    }
}

fn run(run: &Run) -> String {
    let mut text = format!("{}run {:?}\n", on(run.root), run.args);
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            writeln!(text, "{name} {value}").unwrap();
        }
    };
    for file in &run.files {
        line("file", format!("{} {:o} {:?}", file.name, file.mode, String::from_utf8_lossy(&file.content)));
    }
    let env: Vec<&str> = run.env.iter().filter(|pair| !pair.starts_with("PATH=")).map(String::as_str).collect();
    line("env", env.join(" "));
    line("proxy", run.proxy_env.join(" "));
    line("user", run.user.clone());
    line("cwd", if run.cwd == "/" { String::new() } else { run.cwd.clone() });
    run.mounts.iter().for_each(|one| line("mount", mount(one)));
    line(
        "network",
        match run.network {
            Network::Default => String::new(),
            Network::None => "none".to_owned(),
            Network::Host => "host".to_owned(),
        },
    );
    line("security", if run.security == Security::Insecure { "insecure".to_owned() } else { String::new() });
    run.extra_hosts.iter().for_each(|(name, address)| line("host", format!("{name} {address}")));
    line("shm", run.shm_size.map(|size| size.to_string()).unwrap_or_default());
    run.ulimits.iter().for_each(|(name, (soft, hard))| line("ulimit", format!("{name} {soft}:{hard}")));
    text
}

fn mount(mount: &Mount) -> String {
    let owner = |mode: u32, uid: u32, gid: u32| format!("{mode:o} {uid}:{gid}");
    let flag = |on: bool, name: &str| if on { format!(" {name}") } else { String::new() };
    match mount {
        Mount::Bind { from, source: path, target, writable } => {
            format!("bind {} {path} -> {target}{}", source(from), flag(*writable, "writable"))
        }
        Mount::Cache { id, target, sharing, read_only, from, source: path, mode, uid, gid } => {
            let sharing = match sharing {
                Sharing::Shared => "shared",
                Sharing::Private => "private",
                Sharing::Locked => "locked",
            };
            let owner = owner(*mode, *uid, *gid);
            let read_only = flag(*read_only, "read-only");
            format!("cache {id} -> {target} {sharing} {owner} from {} {path}{read_only}", source(from))
        }
        Mount::Tmpfs { target, size } => {
            format!("tmpfs -> {target}{}", size.map(|size| format!(" {size}")).unwrap_or_default())
        }
        Mount::Secret { id, target, env, required, mode, uid, gid } => {
            let target = target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
            let env = env.as_ref().map(|env| format!(" env {env}")).unwrap_or_default();
            format!("secret {id}{target}{env} {}{}", owner(*mode, *uid, *gid), flag(*required, "required"))
        }
        Mount::Ssh { id, target, required, mode, uid, gid } => {
            let target = target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
            format!("ssh {id}{target} {}{}", owner(*mode, *uid, *gid), flag(*required, "required"))
        }
    }
}

fn copy(copy: &Copy) -> String {
    let mut text = format!("{}copy", on(copy.root));
    for one in &copy.sources {
        match one {
            CopySource::Path { from, path } => write!(text, " [{} {path}]", source(from)).unwrap(),
            CopySource::Inline(file) => {
                let content = String::from_utf8_lossy(&file.content);
                write!(text, " [inline {} {:o} {content:?}]", file.name, file.mode).unwrap();
            }
            CopySource::Url { url, checksum } => {
                let checksum = checksum.as_ref().map(|sum| format!(" {sum}")).unwrap_or_default();
                write!(text, " [url {url}{checksum}]").unwrap();
            }
            CopySource::Git { url, keep_git_dir } => {
                let option = |name: &str, value: &Option<String>| {
                    value.as_ref().map(|value| format!(" {name} {value}")).unwrap_or_default()
                };
                let (reference, commit) = (option("ref", &url.reference), option("commit", &url.checksum));
                let (subdir, kept) = (option("subdir", &url.subdir), if *keep_git_dir { " with .git" } else { "" });
                write!(text, " [git {}{reference}{commit}{subdir}{kept}]", url.remote).unwrap();
            }
        }
    }
    write!(text, " -> {}", copy.destination).unwrap();
    if let Some(chown) = &copy.chown {
        write!(text, " chown {chown}").unwrap();
    }
    match &copy.chmod {
        Some(Chmod::Octal(mode)) => write!(text, " chmod {mode:o}").unwrap(),
        Some(Chmod::Symbolic(change)) => write!(text, " chmod {change}").unwrap(),
        None => {}
    }
    for (on, name) in [(copy.link, "link"), (copy.parents, "parents")] {
        if on {
            write!(text, " {name}").unwrap();
        }
    }
    copy.exclude.iter().for_each(|pattern| write!(text, " exclude {pattern}").unwrap());
    text.push_str(match copy.unpack {
        Unpack::Never => "\n",
        Unpack::Local => " unpack\n",
        Unpack::All => " unpack all\n",
    });
    text
}
