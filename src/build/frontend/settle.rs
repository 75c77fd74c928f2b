//! Instructions that change the configuration and no file; WORKDIR, which makes a directory besides.

use super::{
    error::{Error, Problem},
    expose, history, paths, signal,
    walk::{Here, Scope},
    warning::Hint,
};
use crate::build::{
    dockerfile::{Arg, Command, CommandLine, Healthcheck, Pair, Word},
    op::{Mkdir, Op},
};
use serde_json::{Map, Value, json};
use std::time::Duration;

impl Scope<'_, '_> {
    pub(super) fn settle(&mut self, command: &Command, here: &Here<'_>) -> Result<(), Error> {
        match command {
            Command::Arg(args) => self.args(args),
            Command::Env(pairs) => self.env(pairs),
            Command::Label(pairs) => self.labels(pairs),
            Command::Cmd(line) => self.cmd(line, here),
            Command::Entrypoint(line) => self.entrypoint(line, here),
            Command::Healthcheck(check) => self.healthcheck(check.as_ref(), here),
            Command::Expose(words) => self.expose(words),
            Command::Volume(words) => self.volumes(words),
            Command::Workdir(word) => self.workdir(word, here),
            Command::User(word) => self.user(word),
            Command::StopSignal(word) => self.stop_signal(word),
            Command::Shell(words) => {
                self.state.image.config.shell = words.clone();
                self.note(format!("SHELL {}", history::plain(words)), None);
                Ok(())
            }
            Command::Maintainer(text) => {
                self.warn(here.at, Hint::MaintainerDeprecated);
                self.state.image.author.clone_from(text);
                self.note(format!("MAINTAINER {text}"), None);
                Ok(())
            }
            // It leaves no entry in the history.
            Command::Onbuild(onbuild) => {
                self.state.image.config.on_build.push(onbuild.trigger.clone());
                Ok(())
            }
            // Stages begin with one, and the others are steps.
            Command::From(_) | Command::Run(_) | Command::Copy(_) | Command::Add(_) => Ok(()),
        }
    }

    /// Where an instruction counts only once in a stage, says so the second time.
    fn counts_once(&mut self, instruction: &'static str, here: &Here<'_>) {
        if !self.seen.insert(instruction) {
            self.warn(here.at, Hint::MultipleInstructionsDisallowed { instruction });
        }
    }

    /// A build argument wins over the default; without either, the global of that name is taken.
    fn args(&mut self, args: &[Arg]) -> Result<(), Error> {
        let mut told = Vec::new();
        for arg in args {
            let (name, at) = (&arg.name, arg.at);
            self.tell_secret("ARG", name, at);
            let value = match (self.build_arg(name), &arg.default) {
                (Some(given), _) => Some(given),
                (None, Some(default)) => Some(self.word(default, at)?),
                (None, None) => self.walk.globals.env.get(name).map(str::to_owned),
            };
            if let Some(value) = &value {
                self.state.env.set(name, value);
            }
            told.push(value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}={value}")));
            self.state.args.push((name.clone(), value));
        }
        self.note(format!("ARG {}", told.join(" ")), None);
        Ok(())
    }

    /// All values are expanded before any is set: `ENV a=1 b=$a` takes the `a` from before.
    fn pairs(&mut self, instruction: &'static str, pairs: &[Pair]) -> Result<Vec<(String, String)>, Error> {
        let mut expanded = Vec::new();
        for pair in pairs {
            if pair.old_form {
                self.warn(pair.at, Hint::LegacyKeyValueFormat { instruction });
            }
            let name = self.word(&pair.name, pair.at)?;
            if name.is_empty() {
                return Err(Error::new(pair.at, Problem::BlankName { instruction }));
            }
            expanded.push((name, self.word(&pair.value, pair.at)?));
        }
        let told: Vec<String> = expanded.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.note(format!("{instruction} {}", told.join(" ")), None);
        Ok(expanded)
    }

    fn env(&mut self, pairs: &[Pair]) -> Result<(), Error> {
        for (index, (name, value)) in self.pairs("ENV", pairs)?.into_iter().enumerate() {
            self.tell_secret("ENV", &name, pairs[index].at);
            self.state.env.set(&name, &value);
            let pair = format!("{name}={value}");
            let list = &mut self.state.image.config.env;
            match list.iter_mut().find(|old| old.split_once('=').map_or(old.as_str(), |(name, _)| name) == name) {
                Some(old) => *old = pair,
                None => list.push(pair),
            }
        }
        Ok(())
    }

    fn labels(&mut self, pairs: &[Pair]) -> Result<(), Error> {
        let labels = self.pairs("LABEL", pairs)?;
        self.state.image.config.labels.extend(labels);
        Ok(())
    }

    fn tell_secret(&mut self, instruction: &'static str, name: &str, at: crate::build::dockerfile::Place) {
        if looks_secret(name) {
            self.warn(at, Hint::SecretsUsedInArgOrEnv { instruction, name: name.to_owned() });
        }
    }

    fn words_of(&self, line: &CommandLine) -> Vec<String> {
        match line {
            CommandLine::Shell(text) => self.state.image.with_shell(text),
            CommandLine::Exec(words) => words.clone(),
        }
    }

    /// A list with single quotes, or with a comma too many, is a text for the shell.
    fn tell_list(&mut self, line: &CommandLine, here: &Here<'_>) {
        if let CommandLine::Shell(text) = line
            && text.starts_with('[')
            && text.ends_with(']')
            && text.contains(',')
        {
            self.warn(here.at, Hint::MalformedList);
        }
    }

    fn cmd(&mut self, line: &CommandLine, here: &Here<'_>) -> Result<(), Error> {
        self.counts_once("CMD", here);
        self.tell_list(line, here);
        let words = self.words_of(line);
        self.note(format!("CMD {}", history::quoted(&words)), None);
        self.state.image.config.cmd = words;
        self.state.image.config.args_escaped = true;
        Ok(())
    }

    /// The base's CMD was meant for the base's ENTRYPOINT: it goes, unless this stage has one of its own.
    fn entrypoint(&mut self, line: &CommandLine, here: &Here<'_>) -> Result<(), Error> {
        self.counts_once("ENTRYPOINT", here);
        self.tell_list(line, here);
        let words = self.words_of(line);
        self.note(format!("ENTRYPOINT {}", history::quoted(&words)), None);
        self.state.image.config.entrypoint = words;
        if !self.seen.contains("CMD") {
            self.state.image.config.cmd.clear();
        }
        Ok(())
    }

    fn healthcheck(&mut self, check: Option<&Healthcheck>, here: &Here<'_>) -> Result<(), Error> {
        self.counts_once("HEALTHCHECK", here);
        if let Some(check) = check {
            self.tell_list(&check.command, here);
        }
        let nanos = |time: Option<Duration>| time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let test = match check.map(|check| &check.command) {
            None => vec!["NONE".to_owned()],
            Some(CommandLine::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.clone()],
            Some(CommandLine::Exec(words)) => ["CMD".to_owned()].into_iter().chain(words.iter().cloned()).collect(),
        };
        let times = [
            ("Interval", check.and_then(|check| check.interval)),
            ("Timeout", check.and_then(|check| check.timeout)),
            ("StartPeriod", check.and_then(|check| check.start_period)),
            ("StartInterval", check.and_then(|check| check.start_interval)),
        ]
        .map(|(name, time)| (name, nanos(time)));
        let retries = check.and_then(|check| check.retries).unwrap_or(0);
        self.note(format!("HEALTHCHECK {}", history::health(&test, times.map(|(_, nanos)| nanos), retries)), None);
        let mut document: Map<String, Value> = Map::new();
        document.insert("Test".into(), json!(test));
        let numbers = times.into_iter().chain([("Retries", u64::from(retries))]);
        document.extend(numbers.filter(|(_, value)| *value > 0).map(|(name, value)| (name.into(), json!(value))));
        self.state.image.config.healthcheck = Some(Value::Object(document));
        Ok(())
    }

    /// A variable may stand for several ports.
    fn expose(&mut self, words: &[Word]) -> Result<(), Error> {
        let mut all = Vec::new();
        for word in words {
            for text in self.expand(&word.text, word.at)?.1 {
                all.extend(expose::ports(&text).map_err(|problem| Error::new(word.at, problem))?);
            }
        }
        self.note(format!("EXPOSE {}", history::set(&all)), None);
        self.state.image.config.exposed_ports.extend(all.into_iter().map(|port| (port, json!({}))));
        Ok(())
    }

    fn volumes(&mut self, words: &[Word]) -> Result<(), Error> {
        let mut all = Vec::new();
        for word in words {
            let path = self.word(&word.text, word.at)?;
            if path.is_empty() {
                return Err(Error::new(word.at, Problem::EmptyVolume));
            }
            all.push(path);
        }
        self.note(format!("VOLUME {}", history::plain(&all)), None);
        self.state.image.config.volumes.extend(all.into_iter().map(|path| (path, json!({}))));
        Ok(())
    }

    fn workdir(&mut self, word: &Word, here: &Here<'_>) -> Result<(), Error> {
        let path = self.word(&word.text, word.at)?;
        if !self.state.workdir_known && !path.is_empty() && !path.starts_with('/') {
            self.warn(here.at, Hint::WorkdirRelativePath { path: path.clone() });
        }
        self.state.workdir_known = true;
        let clean = paths::absolute(&self.state.image.config.working_dir, &path);
        // An absolute path stands in the image as it is written: `/a/../b/`.
        let path = if path.starts_with('/') { path } else { clean.clone() };
        self.state.image.config.working_dir.clone_from(&path);
        // A source that says `WORKDIR $x` is told with its value.
        let title = self.title_of(here.source, &self.walk.lexer.clone());
        let title = self.title(&title, here.triggered);
        let step = (clean != "/").then(|| {
            let (root, user) = (self.state.root, self.state.image.config.user.clone());
            let mkdir = Mkdir { root, path: clean, user };
            self.walk.add(Op::Mkdir(mkdir), title, here.at, self.no_cache)
        });
        self.state.root = step.or(self.state.root);
        self.note(format!("WORKDIR {path}"), step);
        Ok(())
    }

    fn user(&mut self, word: &Word) -> Result<(), Error> {
        let user = self.word(&word.text, word.at)?;
        self.note(format!("USER {user}"), None);
        self.state.image.config.user = user;
        Ok(())
    }

    fn stop_signal(&mut self, word: &Word) -> Result<(), Error> {
        let text = self.word(&word.text, word.at)?;
        if !signal::is_signal(&text) {
            return Err(Error::new(word.at, Problem::Signal { text }));
        }
        self.note(format!("STOPSIGNAL {text}"), None);
        self.state.image.config.stop_signal = text;
        Ok(())
    }
}

/// Names that BuildKit's check takes for secrets: by a word of them, unless another says that it is public.
fn looks_secret(name: &str) -> bool {
    const SECRET: [&str; 10] =
        ["apikey", "auth", "credential", "credentials", "key", "passwd", "password", "pword", "secret", "token"];
    const PUBLIC: [&str; 3] = ["file", "name", "public"];
    let lower = name.to_ascii_lowercase();
    let has = |known: &[&str]| lower.split(['_', '-', '.']).any(|word| known.contains(&word));
    has(&SECRET) && !has(&PUBLIC)
}
