//! The stages that are needed, in order; each command in the state that those before it left.

use super::{
    Configurations, Options,
    config::{self, Image},
    env::Env,
    error::{Error, Problem},
    globals::{self, Globals},
    history,
    prune::prune,
    stage::{Origin, Stage, StageCommand, Stages},
    warning::{Hint, Warning},
};
use crate::{
    build::{
        dockerfile::{Command, Dockerfile, Lexer, Place, nearest},
        op::{Base, Copy, CopySource, History, Op, Outcome, Plan, Source, Step, StepId, Unpack},
    },
    model::Platform,
};
use std::collections::{BTreeMap, BTreeSet};

/// Where a stage is after some of its commands.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The files; `None` is an empty root.
    pub root: Option<StepId>,
    pub image: Image,
    /// What RUN finds and variables stand for: ENV and ARG alike.
    pub env: Env,
    /// ARGs so far, in order, as the history tells them.
    pub args: Vec<(String, Option<String>)>,
    pub history: Vec<History>,
    /// A WORKDIR of this file was seen.
    pub workdir_known: bool,
}

pub(super) struct Walk<'a> {
    pub options: &'a Options,
    pub globals: &'a Globals,
    pub lexer: &'a Lexer,
    stages: &'a Stages,
    known: &'a Configurations,
    pub steps: Vec<Step>,
    /// Steps that are the files of an image, or of a directory.
    bases: BTreeMap<(String, String), StepId>,
    states: Vec<Option<State>>,
    pub errors: Vec<Error>,
    pub warnings: Vec<Warning>,
    /// Build arguments that some ARG asked for.
    asked: BTreeSet<String>,
}

/// One stage, while it is walked.
pub(super) struct Scope<'w, 'a> {
    pub walk: &'w mut Walk<'a>,
    pub state: State,
    /// Empty where there is but one.
    label: String,
    total: usize,
    count: usize,
    pub no_cache: bool,
    /// Instructions of which the last counts, seen in this stage.
    pub seen: BTreeSet<&'static str>,
}

/// The command that is looked at.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub at: Place,
    pub source: &'a str,
    pub triggered: bool,
    pub origins: &'a [Option<Origin>],
}

pub(super) fn plan(
    file: &Dockerfile,
    options: &Options,
    known: &Configurations,
    globals: &Globals,
    stages: &Stages,
    lexer: &Lexer,
    warnings: &mut Vec<Warning>,
) -> Result<Plan, Vec<Error>> {
    let mut walk = Walk {
        options,
        globals,
        lexer,
        stages,
        known,
        steps: Vec::new(),
        bases: BTreeMap::new(),
        states: vec![None; stages.all.len()],
        errors: Vec::new(),
        warnings: Vec::new(),
        asked: BTreeSet::new(),
    };
    for (index, _) in stages.reachable().into_iter().enumerate().filter(|(_, reached)| *reached) {
        walk.stage(index);
    }
    walk.tell_unused_args(file);
    warnings.append(&mut walk.warnings);
    let target = walk.states.get_mut(stages.target).and_then(Option::take);
    let Some(target) = target.filter(|_| walk.errors.is_empty()) else {
        walk.errors.sort_by_key(|error| error.at);
        return Err(walk.errors);
    };
    let mut image = target.image;
    image.config.labels.extend(options.labels.clone());
    if let Some(platform) = &options.platform {
        image.platform = platform.clone();
    }
    let outcome = Outcome { root: target.root, config: image.write(), history: target.history };
    let mut plan = Plan { steps: walk.steps, outcome };
    prune(&mut plan);
    Ok(plan)
}

impl<'a> Walk<'a> {
    fn stage(&mut self, index: usize) {
        let stages = self.stages;
        let stage = &stages.all[index];
        let single = stages.all.len() + stages.taken.len() == 1;
        let commands = &stage.commands;
        let own_base = !matches!(stage.base, Origin::Scratch | Origin::Stage(_)) && !stage.replaced;
        let total = usize::from(own_base) + commands.iter().filter(|command| is_step(command)).count();
        let named = |name: &String| stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name));
        let filter = &self.options.no_cache_filter;
        let no_cache = self.options.no_cache || filter.iter().any(named);
        let mut scope = Scope {
            state: State {
                root: None,
                image: Image::empty(&stage.platform),
                env: Env::default(),
                args: Vec::new(),
                history: Vec::new(),
                workdir_known: false,
            },
            walk: self,
            label: if single { String::new() } else { stage.label(index) },
            total,
            count: 0,
            no_cache,
            seen: BTreeSet::new(),
        };
        if let Err(error) = scope.begin(stage) {
            scope.walk.errors.push(error);
            return;
        }
        for command in commands {
            let instruction = &command.instruction;
            let here = Here {
                at: instruction.at,
                source: &instruction.source,
                triggered: command.triggered,
                origins: &command.origins,
            };
            if let Err(error) = scope.command(&instruction.command, &here) {
                scope.walk.errors.push(error);
            }
        }
        let state = scope.state;
        self.states[index] = Some(state);
    }

    /// The step that has the files of an image; the same for all who take them.
    fn base(&mut self, image: &str, platform: &Platform, title: String, at: Place) -> StepId {
        let key = (image.to_owned(), platform.to_string());
        if let Some(step) = self.bases.get(&key) {
            return *step;
        }
        let op = Op::Base(Base { image: key.0.clone(), platform: key.1.clone() });
        let step = self.add(op, title, at, false);
        self.bases.insert(key, step);
        step
    }

    pub fn add(&mut self, op: Op, title: String, at: Place, no_cache: bool) -> StepId {
        self.steps.push(Step { op, title, line: at.line, no_cache });
        StepId(self.steps.len() - 1)
    }

    /// What COPY and mounts read.
    pub fn source(&mut self, origin: Option<&Origin>, at: Place) -> Result<Source, Error> {
        Ok(match origin {
            None => Source::Context,
            Some(Origin::Scratch) => Source::Scratch,
            Some(Origin::Directory(name)) => Source::Named(name.clone()),
            Some(Origin::Image(image)) => {
                let platform = self.options.target_platform();
                Source::Step(self.base(image, platform, format!("FROM {image}"), at))
            }
            Some(Origin::Stage(index)) => match self.states.get(*index) {
                Some(Some(state)) => state.root.map_or(Source::Scratch, Source::Step),
                _ => {
                    let name = self.stages.all[*index].label(*index);
                    return Err(Error::new(at, Problem::LaterStage { name }));
                }
            },
        })
    }

    fn tell_unused_args(&mut self, file: &Dockerfile) {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for instruction in &file.instructions {
            if let Command::Arg(args) = &instruction.command {
                names.extend(args.iter().map(|arg| arg.name.as_str()));
            }
        }
        for name in self.options.args.keys().filter(|name| !globals::is_predefined(name)) {
            if !names.contains(name.as_str()) && !self.asked.contains(name) {
                let hint = nearest(name, names.iter().copied()).map(str::to_owned);
                let hint = Hint::UnusedBuildArg { name: name.clone(), hint };
                self.warnings.push(Warning::new(Place::default(), hint));
            }
        }
        for name in ["BUILDKIT_INLINE_CACHE", "BUILDKIT_MULTI_PLATFORM", "BUILDKIT_SANDBOX_HOSTNAME"] {
            if self.options.args.contains_key(name) {
                let what = format!("the build argument {name}");
                self.warnings.push(Warning::new(Place::default(), Hint::NoEffect { what }));
            }
        }
    }
}

/// What BuildKit counts: `WORKDIR /` is counted as well, though it makes nothing.
fn is_step(command: &StageCommand) -> bool {
    matches!(command.instruction.command, Command::Add(_) | Command::Copy(_) | Command::Run(_) | Command::Workdir(_))
}

impl<'a> Scope<'_, 'a> {
    /// Takes over from what the stage stands on.
    fn begin(&mut self, stage: &'a Stage) -> Result<(), Error> {
        let fail = |problem| Err(Error::new(stage.at, problem));
        match &stage.base {
            Origin::Scratch => {}
            Origin::Stage(index) => match self.walk.states.get(*index) {
                Some(Some(state)) => {
                    self.state = state.clone();
                    self.state.image.config.on_build.clear();
                }
                // Its own error is told of.
                _ => return fail(Problem::LaterStage { name: stage.base_name.clone() }),
            },
            Origin::Image(image) => {
                let key = (image.clone(), stage.platform.to_string());
                let Some(document) = self.walk.known.get(&key) else {
                    return fail(Problem::MissingConfiguration { image: key.0, platform: key.1 });
                };
                let (found, entries) = match Image::read(document) {
                    Ok(read) => read,
                    Err(why) => return fail(Problem::BadConfiguration { image: key.0, why }),
                };
                if (&found.platform.os, &found.platform.architecture)
                    != (&stage.platform.os, &stage.platform.architecture)
                {
                    let (found, wanted) = (found.platform.to_string(), stage.platform.to_string());
                    let hint = Hint::InvalidBaseImagePlatform { image: image.clone(), found, wanted };
                    self.walk.warnings.push(Warning::new(stage.at, hint));
                }
                let title = self.title(&format!("FROM {image}"), false);
                self.state.root = Some(self.walk.base(image, &stage.platform, title, stage.at));
                self.state.image = found;
                self.state.image.config.on_build.clear();
                self.state.history = entries.into_iter().map(History::Inherited).collect();
            }
            Origin::Directory(name) => {
                let title = self.title(&format!("FROM {name}"), false);
                let from = Source::Named(name.clone());
                let copy = Copy {
                    root: None,
                    sources: vec![CopySource::Path { from, path: "/".to_owned() }],
                    destination: "/".to_owned(),
                    chown: None,
                    chmod: None,
                    link: false,
                    parents: false,
                    exclude: Vec::new(),
                    unpack: Unpack::Never,
                };
                let step = self.walk.add(Op::Copy(copy), title, stage.at, self.no_cache);
                self.state.root = Some(step);
                self.state.history.push(history::entry(format!("FROM {name}"), Some(step)));
            }
        }
        let state = &mut self.state;
        if !state.image.config.env.iter().any(|pair| pair.starts_with("PATH=")) {
            state.image.config.env.push(format!("PATH={}", config::PATH));
        }
        state.image.config.env.iter().for_each(|pair| state.env.set_pair(pair));
        Ok(())
    }

    fn command(&mut self, command: &Command, here: &Here<'_>) -> Result<(), Error> {
        match command {
            Command::Run(run) => self.run(run, here),
            Command::Copy(copy) => self.copy(copy, false, here),
            Command::Add(copy) => self.copy(copy, true, here),
            other => self.settle(other, here),
        }
    }

    /// `[web 2/5] RUN make`; counts.
    pub fn title(&mut self, text: &str, triggered: bool) -> String {
        if self.total == 0 {
            return text.to_owned();
        }
        self.count += 1;
        let label = if self.label.is_empty() { String::new() } else { format!("{} ", self.label) };
        let width = self.total.to_string().len();
        let trigger = if triggered { "ONBUILD " } else { "" };
        format!("[{label}{:>width$}/{}] {trigger}{text}", self.count, self.total)
    }

    /// An instruction as a title shows it: its name in capitals, variables expanded as far as they can be.
    pub fn title_of(&self, source: &str, lexer: &Lexer) -> String {
        let shown = lexer.expand(source, &|name| self.state.env.get(name).map(str::to_owned));
        let shown = shown.map(|expanded| expanded.text).unwrap_or_else(|_| source.to_owned());
        match shown.split_once(' ') {
            Some((name, rest)) => format!("{} {rest}", name.to_ascii_uppercase()),
            None => shown.to_ascii_uppercase(),
        }
    }

    /// A word with its variables, and the words that it is then.
    pub fn expand(&mut self, text: &str, at: Place) -> Result<(String, Vec<String>), Error> {
        let lexer = *self.walk.lexer;
        self.expand_with(&lexer, text, at)
    }

    pub fn expand_with(&mut self, lexer: &Lexer, text: &str, at: Place) -> Result<(String, Vec<String>), Error> {
        let env = &self.state.env;
        let expanded = lexer
            .expand(text, &|name| env.get(name).map(str::to_owned))
            .map_err(|error| Error::new(at, error.into()))?;
        for name in expanded.unmatched {
            // An ARG without a value is known and empty.
            if self.state.args.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let known = env.names().chain(self.state.args.iter().map(|(name, _)| name.as_str()));
            let hint = nearest(&name, known).map(|name| format!("${name}"));
            self.walk.warnings.push(Warning::new(at, Hint::UndefinedVar { name, hint }));
        }
        Ok((expanded.text, expanded.words))
    }

    pub fn word(&mut self, text: &str, at: Place) -> Result<String, Error> {
        self.expand(text, at).map(|(text, _)| text)
    }

    pub fn note(&mut self, created_by: String, step: Option<StepId>) {
        self.state.history.push(history::entry(created_by, step));
    }

    pub fn warn(&mut self, at: Place, hint: Hint) {
        self.walk.warnings.push(Warning::new(at, hint));
    }

    /// The value of a build argument that an ARG asks for.
    pub fn build_arg(&mut self, name: &str) -> Option<String> {
        self.walk.asked.insert(name.to_owned());
        self.walk.options.args.get(name).cloned()
    }
}
