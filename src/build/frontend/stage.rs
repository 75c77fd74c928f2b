//! The stages of a file, what each begins with and what its commands take from others.

use super::{
    NamedContext, Options,
    error::{Error, Problem},
    globals::Globals,
    warning::{Hint, Warning},
};
use crate::{
    build::dockerfile::{self, Command, Dockerfile, Instruction, Lexer, Place, nearest},
    image::Reference,
    model::Platform,
};
use std::sync::Arc;

/// What files are taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Scratch,
    Stage(usize),
    /// Of a registry, of the store, or a directory on the host, in the words of `image`.
    Image(String),
    /// An additional context.
    Directory(String),
}

#[derive(Clone, Debug)]
pub struct Stage {
    pub at: Place,
    pub name: Option<String>,
    /// As it is written, expanded.
    pub base_name: String,
    pub base: Origin,
    pub platform: Platform,
    /// Triggers of the base come first.
    pub commands: Vec<StageCommand>,
    triggers_known: bool,
    /// A context stands in its place: none of its commands is carried out.
    pub replaced: bool,
}

#[derive(Clone, Debug)]
pub struct StageCommand {
    pub instruction: Instruction,
    pub triggered: bool,
    /// For COPY one, for RUN one for each mount; `None` is the build context.
    pub origins: Vec<Option<Origin>>,
}

#[derive(Debug, Default)]
pub struct Stages {
    pub all: Vec<Stage>,
    pub target: usize,
    /// Images that only COPY and mounts name.
    pub taken: Vec<String>,
}

impl Stage {
    pub fn label(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("stage-{index}"))
    }

    /// Stages that it needs.
    fn needs(&self) -> impl Iterator<Item = (usize, Place)> {
        let base = (&self.base, self.at);
        let taken = self
            .commands
            .iter()
            .flat_map(|command| command.origins.iter().flatten().map(|origin| (origin, command.instruction.at)));
        [base].into_iter().chain(taken).filter_map(|(origin, at)| match origin {
            Origin::Stage(index) => Some((*index, at)),
            _ => None,
        })
    }
}

/// Reads the stages; the triggers of images are not known yet.
pub fn read(
    file: &Dockerfile,
    options: &Options,
    globals: &Globals,
    lexer: &Lexer,
    warnings: &mut Vec<Warning>,
) -> Result<Stages, Vec<Error>> {
    let mut stages = Stages::default();
    let mut errors = Vec::new();
    for instruction in &file.instructions {
        match &instruction.command {
            Command::From(from) => match stages.begin(from, instruction.at, options, globals, lexer, warnings) {
                Ok(stage) => stages.all.push(stage),
                Err(error) => {
                    errors.push(error);
                    // The commands below still belong to something.
                    stages.all.push(Stage::broken(instruction.at, from, options));
                }
            },
            _ => {
                if let Some(stage) = stages.all.last_mut().filter(|stage| !stage.replaced) {
                    stage.commands.push(StageCommand {
                        instruction: instruction.clone(),
                        triggered: false,
                        origins: Vec::new(),
                    });
                }
            }
        }
    }
    if stages.all.is_empty() {
        return Err(vec![Error::new(Place::default(), Problem::NoStage)]);
    }
    stages.link(options, lexer, &mut errors);
    if let Some(error) = stages.circle() {
        errors.push(error);
    }
    match stages.find_target(options) {
        Ok(target) => stages.target = target,
        Err(error) => errors.push(error),
    }
    if errors.is_empty() { Ok(stages) } else { Err(errors) }
}

impl Stage {
    fn broken(at: Place, from: &dockerfile::From, options: &Options) -> Self {
        Self {
            at,
            name: from.name.as_ref().map(|name| name.text.clone()),
            base_name: String::new(),
            base: Origin::Scratch,
            platform: options.target_platform().clone(),
            commands: Vec::new(),
            triggers_known: true,
            replaced: false,
        }
    }
}

impl Stages {
    fn begin(
        &self,
        from: &dockerfile::From,
        at: Place,
        options: &Options,
        globals: &Globals,
        lexer: &Lexer,
        warnings: &mut Vec<Warning>,
    ) -> Result<Stage, Error> {
        let env = |name: &str| globals.env.get(name).map(str::to_owned);
        let mut unset = Vec::new();
        let mut expand = |word: &dockerfile::Word| {
            let expanded = lexer.expand(&word.text, &env).map_err(|error| Error::new(word.at, error.into()))?;
            let mut hint = None;
            unset.extend(expanded.unmatched.iter().cloned());
            for name in expanded.unmatched {
                hint = nearest(&name, globals.env.names()).map(str::to_owned);
                warnings.push(Warning::new(word.at, Hint::UndefinedArgInFrom { name, hint: hint.clone() }));
            }
            Ok::<_, Error>((expanded.text, expanded.matched, hint))
        };
        let (base_name, _, hint) = expand(&from.base)?;
        if base_name.is_empty() {
            let text = from.base.text.clone();
            return Err(Error::new(from.base.at, Problem::EmptyBase { text, hint }));
        }
        let mut platform = None;
        if let Some(word) = &from.platform {
            let (text, matched, hint) = expand(word)?;
            let fail = |problem| Err(Error::new(word.at, problem));
            if text.is_empty() {
                return fail(Problem::EmptyPlatform { text: word.text.clone(), hint });
            }
            let Some(found) = Platform::parse(&text, options.target_platform()) else {
                return fail(Problem::Platform { text, hint });
            };
            if found.os != "linux" {
                return fail(Problem::ForeignPlatform { platform: found.to_string() });
            }
            if matched.contains("TARGETPLATFORM") && found == *options.target_platform() {
                warnings.push(Warning::new(word.at, Hint::RedundantTargetPlatform));
            }
            platform = Some(found);
        }
        let name = from.name.as_ref().map(|name| name.text.clone());
        if let Some(word) = &from.name {
            let name = word.text.clone();
            if self.by_name(&name).is_some() {
                warnings.push(Warning::new(word.at, Hint::DuplicateStageName { name }));
            } else if name == "scratch" || name == "context" {
                warnings.push(Warning::new(word.at, Hint::ReservedStageName { name }));
            }
        }
        // A context with the name of the stage stands in its place, commands and all.
        let given = name.as_deref().and_then(|name| options.context(name));
        let replaced = given.is_some();
        let base = match given {
            Some((name, context)) => context.origin(name),
            None => self
                .by_name(&base_name)
                .map_or_else(|| outside(&base_name, options), |stage| Ok(Origin::Stage(stage)))
                .map_err(|problem| Error::new(from.base.at, problem.of_unset(unset)))?,
        };
        let platform = match (platform, &base) {
            // A stage upon another is for the same machine.
            (_, Origin::Stage(index)) => self.all[*index].platform.clone(),
            (Some(platform), _) => platform,
            (None, _) => options.target_platform().clone(),
        };
        Ok(Stage { at, name, base_name, base, platform, commands: Vec::new(), triggers_known: replaced, replaced })
    }

    /// The last stage of that name, whatever its letters' case.
    fn by_name(&self, name: &str) -> Option<usize> {
        self.all.iter().rposition(|stage| stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)))
    }

    /// Says of every command what it takes files from.
    fn link(&mut self, options: &Options, lexer: &Lexer, errors: &mut Vec<Error>) {
        for stage in 0..self.all.len() {
            for command in 0..self.all[stage].commands.len() {
                match self.origins(&self.all[stage].commands[command].instruction, options, lexer) {
                    Ok(origins) => self.note(stage, command, origins),
                    Err(error) => errors.push(error),
                }
            }
        }
    }

    fn note(&mut self, stage: usize, command: usize, origins: Vec<Option<Origin>>) {
        for origin in origins.iter().flatten() {
            if let Origin::Image(name) | Origin::Directory(name) = origin
                && !self.taken.contains(name)
            {
                self.taken.push(name.clone());
            }
        }
        self.all[stage].commands[command].origins = origins;
    }

    fn origins(
        &self,
        instruction: &Instruction,
        options: &Options,
        lexer: &Lexer,
    ) -> Result<Vec<Option<Origin>>, Error> {
        match &instruction.command {
            Command::Copy(copy) | Command::Add(copy) => {
                let Some(from) = &copy.from else { return Ok(vec![None]) };
                let fail = |problem| Error::new(from.at, problem);
                let plain = lexer.expand(&from.text, &|_| None).map_err(|error| fail(error.into()))?;
                if plain.text != from.text {
                    return Err(fail(Problem::FromVariable));
                }
                if let Ok(number) = from.text.parse::<i64>() {
                    let index = usize::try_from(number).ok().filter(|index| *index < self.all.len());
                    let count = self.all.len();
                    return match index {
                        Some(index) => Ok(vec![Some(self.of_stage(index))]),
                        None => Err(fail(Problem::NoStageNumber { number, count })),
                    };
                }
                self.origin(&from.text, options).map(|origin| vec![Some(origin)]).map_err(fail)
            }
            Command::Run(run) => {
                let one = |mount: &dockerfile::Mount| match mount.from.as_deref().filter(|from| !from.is_empty()) {
                    None => Ok(None),
                    Some(from) => {
                        self.origin(from, options).map(Some).map_err(|problem| Error::new(mount.options.at, problem))
                    }
                };
                run.mounts.iter().map(one).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    fn origin(&self, name: &str, options: &Options) -> Result<Origin, Problem> {
        self.by_name(name).map_or_else(|| outside(name, options), |index| Ok(self.of_stage(index)))
    }

    /// A directory that stands in the place of a stage is read where it is.
    fn of_stage(&self, index: usize) -> Origin {
        match &self.all[index] {
            Stage { replaced: true, base: directory @ Origin::Directory(_), .. } => directory.clone(),
            _ => Origin::Stage(index),
        }
    }

    fn find_target(&self, options: &Options) -> Result<usize, Error> {
        let Some(name) = &options.target else { return Ok(self.all.len() - 1) };
        let number = name.parse::<usize>().ok().filter(|number| *number < self.all.len());
        self.by_name(name).or(number).ok_or_else(|| {
            let names: Vec<String> = self.all.iter().enumerate().map(|(index, stage)| stage.label(index)).collect();
            let hint = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
            let problem = Problem::NoTarget { name: name.clone(), hint, stages: names.join(", ") };
            Error::new(Place::default(), problem)
        })
    }

    /// Stages that need one another cannot begin, whether they are asked for or not.
    fn circle(&self) -> Option<Error> {
        // 0: not looked at, 1: on the way, 2: without a circle.
        let mut marks = vec![0u8; self.all.len()];
        for start in 0..self.all.len() {
            let mut way: Vec<(usize, Vec<(usize, Place)>)> = Vec::new();
            if marks[start] == 0 {
                marks[start] = 1;
                way.push((start, self.all[start].needs().collect()));
            }
            while let Some((stage, open)) = way.last_mut() {
                let Some((next, at)) = open.pop() else {
                    marks[*stage] = 2;
                    way.pop();
                    continue;
                };
                match marks[next] {
                    0 => {
                        marks[next] = 1;
                        way.push((next, self.all[next].needs().collect()));
                    }
                    1 => {
                        let from = way.iter().position(|(stage, _)| *stage == next).unwrap_or_default();
                        let round = way[from..].iter().map(|(stage, _)| *stage).chain([next]);
                        let names: Vec<String> = round.map(|stage| self.all[stage].label(stage)).collect();
                        return Some(Error::new(at, Problem::Circle { stages: names.join(" -> ") }));
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Which stages the target needs.
    pub fn reachable(&self) -> Vec<bool> {
        let mut reached = vec![false; self.all.len()];
        let mut open = vec![self.target];
        while let Some(stage) = open.pop() {
            if !std::mem::replace(&mut reached[stage], true) {
                open.extend(self.all[stage].needs().map(|(index, _)| index));
            }
        }
        reached
    }

    /// Puts what the bases of needed stages trigger before the stages' own commands. `triggers` knows those of images;
    /// `None` is an image that nothing is known of yet. Answers the stages whose image that is.
    pub fn trigger(
        &mut self,
        triggers: impl Fn(&Stage) -> Option<Vec<String>>,
        options: &Options,
        lexer: &Lexer,
        errors: &mut Vec<Error>,
    ) -> Vec<usize> {
        loop {
            let mut unknown = Vec::new();
            let mut changed = false;
            for (index, _) in self.reachable().into_iter().enumerate().filter(|(_, reached)| *reached) {
                if self.all[index].triggers_known {
                    continue;
                }
                let found = match &self.all[index].base {
                    Origin::Stage(base) => Some(self.all[*base].own_triggers()),
                    Origin::Image(_) => triggers(&self.all[index]),
                    Origin::Scratch | Origin::Directory(_) => Some(Vec::new()),
                };
                let Some(found) = found else {
                    unknown.push(index);
                    continue;
                };
                self.all[index].triggers_known = true;
                changed |= self.prepend(index, &found, options, lexer, errors);
            }
            if !changed {
                return unknown;
            }
            if let Some(error) = self.circle() {
                errors.push(error);
                return unknown;
            }
        }
    }

    /// True where the triggers name other stages or images.
    fn prepend(
        &mut self,
        stage: usize,
        triggers: &[String],
        options: &Options,
        lexer: &Lexer,
        errors: &mut Vec<Error>,
    ) -> bool {
        let at = self.all[stage].at;
        let mut changed = false;
        for (place, trigger) in triggers.iter().enumerate() {
            let told = |problem: Problem| {
                let image = self.all[stage].base_name.clone();
                let trigger = trigger.lines().next().unwrap_or_default().to_owned();
                Error::new(at, Problem::Trigger { image, trigger, fault: Box::new(problem) })
            };
            let instruction = match dockerfile::parse_trigger(trigger, at) {
                Ok(instruction) => instruction,
                Err(error) => {
                    errors.push(told(error.kind.into()));
                    continue;
                }
            };
            match self.origins(&instruction, options, lexer) {
                Ok(origins) => {
                    changed |= origins.iter().any(Option::is_some);
                    let command = StageCommand { instruction, triggered: true, origins: Vec::new() };
                    let place = place.min(self.all[stage].commands.len());
                    self.all[stage].commands.insert(place, command);
                    self.note(stage, place, origins);
                }
                Err(error) => errors.push(told(error.kind)),
            }
        }
        changed
    }
}

impl Stage {
    fn own_triggers(&self) -> Vec<String> {
        let own = self.commands.iter().filter_map(|command| match &command.instruction.command {
            Command::Onbuild(onbuild) => Some(onbuild.trigger.clone()),
            _ => None,
        });
        own.collect()
    }
}

/// What is no stage: nothing, an additional context, or an image.
fn outside(name: &str, options: &Options) -> Result<Origin, Problem> {
    if name == "scratch" {
        return Ok(Origin::Scratch);
    }
    if let Some((name, context)) = options.context(name) {
        return Ok(context.origin(name));
    }
    match Reference::parse(name) {
        Ok(_) => Ok(Origin::Image(name.to_owned())),
        Err(error) => Err(Problem::Image { error: Arc::new(error), unset: Vec::new() }),
    }
}

impl NamedContext {
    fn origin(&self, name: &str) -> Origin {
        match self {
            NamedContext::Directory => Origin::Directory(name.to_owned()),
            NamedContext::Image(image) => Origin::Image(image.clone()),
        }
    }
}
