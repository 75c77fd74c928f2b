//! RUN: what is run, with which heredocs, in which environment.

use super::{
    error::{Error, Problem},
    paths,
    walk::{Here, Scope},
};
use crate::build::{
    dockerfile::{CommandLine, Heredoc, Lexer, Run, nearest},
    op::{self, InlineFile, Op},
};

/// Where a heredoc that is a program of its own stands.
const SCRIPTS: &str = "/dev/pipes";

impl Scope<'_, '_> {
    pub(super) fn run(&mut self, run: &Run, here: &Here<'_>) -> Result<(), Error> {
        let (args, files, summary) = self.command_of(run);
        let lexer = Lexer { raw_quotes: true, skip_unset: true, ..*self.walk.lexer };
        let title = self.title_of(here.source, &lexer) + &summary;
        let mut mounts = Vec::new();
        for (mount, origin) in run.mounts.iter().zip(here.origins) {
            mounts.push(self.mount(mount, origin.as_ref())?);
        }
        let network = self.network(run)?;
        let security = self.security(run)?;
        let title = self.title(&title, here.triggered);
        let options = self.walk.options;
        let created_by = format!("RUN {} # buildkit", self.told(&args));
        let op = op::Run {
            root: self.state.root,
            args,
            files,
            env: self.state.env.pairs(),
            proxy_env: self.walk.globals.proxies.clone(),
            user: self.state.image.config.user.clone(),
            cwd: self.cwd(),
            mounts,
            network,
            security,
            extra_hosts: options.extra_hosts.clone(),
            shm_size: options.shm_size,
            ulimits: options.ulimits.clone(),
        };
        let step = self.walk.add(Op::Run(op), title, here.at, self.no_cache);
        self.state.root = Some(step);
        self.note(created_by, Some(step));
        Ok(())
    }

    pub(super) fn cwd(&self) -> String {
        paths::absolute("/", &self.state.image.config.working_dir)
    }

    /// The program with its arguments, files that it needs, and what the title says of a heredoc.
    fn command_of(&self, run: &Run) -> (Vec<String>, Vec<InlineFile>, String) {
        let text = match &run.command {
            CommandLine::Exec(words) => return (words.clone(), Vec::new(), String::new()),
            CommandLine::Shell(text) => text,
        };
        let shell = |text: &str| self.state.image.with_shell(text);
        match run.heredocs.as_slice() {
            [] => (shell(text), Vec::new(), String::new()),
            // Alone it is the program: for the shell, or for what its first line names.
            [heredoc] if is_lone(text, heredoc) => {
                let content = heredoc.text();
                let first = content.trim().lines().next().unwrap_or_default();
                let more = if content.trim().lines().count() > 1 { "..." } else { "" };
                let summary = format!(" ({first}{more})");
                if !content.starts_with("#!") {
                    return (shell(&content), Vec::new(), summary);
                }
                let name = format!("{SCRIPTS}/{}", heredoc.name);
                let args = shell(&name);
                (args, vec![InlineFile { name, content: content.into_bytes(), mode: 0o755 }], summary)
            }
            // The shell reads them itself.
            heredocs => {
                let bodies = heredocs.iter().map(|heredoc| format!("\n{}{}", heredoc.content, heredoc.name));
                (shell(&(text.clone() + &bodies.collect::<String>())), Vec::new(), String::new())
            }
        }
    }

    /// With the ARGs that a run depends on.
    fn told(&self, args: &[String]) -> String {
        let mut seen: Vec<(&str, String)> = Vec::new();
        for (name, value) in &self.state.args {
            let value = self.state.env.get(name).unwrap_or(value.as_deref().unwrap_or_default());
            match seen.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => value.clone_into(old),
                None => seen.push((name, value.to_owned())),
            }
        }
        let count = (!seen.is_empty()).then(|| format!("|{}", seen.len()));
        let pairs = seen.iter().map(|(name, value)| format!("{name}={value}"));
        count.into_iter().chain(pairs).chain(args.iter().cloned()).collect::<Vec<_>>().join(" ")
    }

    fn network(&mut self, run: &Run) -> Result<op::Network, Error> {
        let Some(word) = &run.network else { return Ok(self.walk.options.network) };
        match word.text.as_str() {
            // That of the build.
            "default" => Ok(self.walk.options.network),
            "none" => Ok(op::Network::None),
            "host" => Ok(op::Network::Host),
            text => {
                let hint = nearest(text, ["default", "none", "host"]).map(str::to_owned);
                Err(Error::new(word.at, Problem::Network { text: text.to_owned(), hint }))
            }
        }
    }

    fn security(&mut self, run: &Run) -> Result<op::Security, Error> {
        let Some(word) = &run.security else { return Ok(op::Security::Sandbox) };
        match word.text.as_str() {
            "sandbox" => Ok(op::Security::Sandbox),
            "insecure" => Ok(op::Security::Insecure),
            text => {
                let hint = nearest(text, ["sandbox", "insecure"]).map(str::to_owned);
                Err(Error::new(word.at, Problem::Security { text: text.to_owned(), hint }))
            }
        }
    }
}

/// `<<EOF` and no word besides.
fn is_lone(text: &str, heredoc: &Heredoc) -> bool {
    matches!(Heredoc::opened_by(text), Ok(Some(opener)) if opener.name == heredoc.name)
}
