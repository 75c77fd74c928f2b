//! A statement as a typed instruction.

use super::{
    csv,
    directive::Directives,
    error::{Error, Fault, nearest},
    flags::Flags,
    health, heredoc,
    instruction::{self, Arg, Command, CommandLine, Copy, From, Instruction, Mount, Onbuild, Pair, Run},
    json,
    lines::Statement,
    place::{Place, Word},
    split::{self, Split},
};

/// One statement, taken apart so far that its instruction can be read.
pub(super) struct Request<'a> {
    pub name: &'static str,
    pub statement: &'a Statement,
    pub split: Split<'a>,
    pub flags: Flags,
    escape: char,
}

pub fn instruction(statement: &Statement, directives: &Directives) -> Result<Instruction, Error> {
    let split = split::split(&statement.text);
    let at = statement.place(split.keyword_at);
    let Some(name) = instruction::NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(split.keyword)) else {
        let hint = nearest(split.keyword, instruction::NAMES);
        return Err(Error::new(at, Fault::UnknownInstruction { name: split.keyword.to_owned(), hint }));
    };
    // BuildKit looks at the flags of a check that there is none of no further.
    let no_check = name == "HEALTHCHECK" && split.rest.eq_ignore_ascii_case("NONE");
    let flags = if no_check { Flags::default() } else { Flags::read(name, &split.flags, statement)? };
    let source = statement.text.trim().to_owned();
    let request = Request { name, statement, split, flags, escape: directives.escape() };
    let command = match name {
        "ADD" => Command::Add(request.copy()?),
        "ARG" => Command::Arg(request.args()?),
        "CMD" => Command::Cmd(request.command_line(request.split.rest)?),
        "COPY" => Command::Copy(request.copy()?),
        "ENTRYPOINT" => Command::Entrypoint(request.command_line(request.split.rest)?),
        "ENV" => Command::Env(request.pairs()?),
        "EXPOSE" => Command::Expose(request.some(request.plain())?),
        "FROM" => Command::From(request.from()?),
        "HEALTHCHECK" => Command::Healthcheck(health::read(&request)?),
        "LABEL" => Command::Label(request.pairs()?),
        "MAINTAINER" => Command::Maintainer(request.one()?.text),
        "ONBUILD" => Command::Onbuild(request.onbuild(directives)?),
        "RUN" => Command::Run(request.run()?),
        "SHELL" => Command::Shell(request.shell()?),
        "STOPSIGNAL" => Command::StopSignal(request.one()?),
        "USER" => Command::User(request.one()?),
        "VOLUME" => Command::Volume(request.some(request.list()?)?),
        _ => Command::Workdir(request.one()?),
    };
    Ok(Instruction { at, last_line: statement.last_line, source, command })
}

impl Request<'_> {
    pub fn at(&self) -> Place {
        self.statement.place(self.split.keyword_at)
    }

    /// Where the byte at `offset` of the rest stands.
    fn place(&self, offset: usize) -> Place {
        self.statement.place(self.split.rest_at + offset)
    }

    pub fn fail<T>(&self, fault: Fault) -> Result<T, Error> {
        Err(Error::new(self.at(), fault))
    }

    fn missing<T>(&self, expected: &'static str) -> Result<T, Error> {
        self.fail(Fault::Arguments { instruction: self.name, expected })
    }

    /// The rest as it stands.
    fn one(&self) -> Result<Word, Error> {
        match self.split.rest {
            "" => self.missing("an argument"),
            rest => Ok(Word { text: rest.to_owned(), at: self.place(0) }),
        }
    }

    fn plain(&self) -> Vec<Word> {
        split::words(split::plain(self.split.rest), |offset| self.place(offset))
    }

    /// Words, from a JSON list or between spaces.
    fn list(&self) -> Result<Vec<Word>, Error> {
        let json = json::strings(self.name, self.split.rest).or_else(|fault| self.fail(fault))?;
        Ok(match json {
            Some(words) => words.into_iter().map(|text| Word { text, at: self.place(0) }).collect(),
            None => self.plain(),
        })
    }

    fn some(&self, words: Vec<Word>) -> Result<Vec<Word>, Error> {
        if words.is_empty() { self.missing("at least one argument") } else { Ok(words) }
    }

    pub fn command_line(&self, text: &str) -> Result<CommandLine, Error> {
        let json = json::strings(self.name, text).or_else(|fault| self.fail(fault))?;
        Ok(json.map_or_else(|| CommandLine::Shell(text.to_owned()), CommandLine::Exec))
    }

    /// `name=value ...`, or `name value` where the first word has no `=`.
    fn pairs(&self) -> Result<Vec<Pair>, Error> {
        let words = split::quoted(self.split.rest, self.escape);
        let Some((first, _)) = words.first() else { return self.missing("at least one name=value") };
        if !first.contains('=') {
            let Some((name, value)) = split::once(self.split.rest) else {
                return self.missing("a value: name=value");
            };
            return Ok(vec![Pair { name: name.into(), value: value.into(), at: self.place(0), old_form: true }]);
        }
        let pair = |(word, offset): (String, usize)| {
            let at = self.place(offset);
            let instruction = self.name;
            let Some((name, value)) = word.split_once('=') else {
                return Err(Error::new(at, Fault::NoEquals { instruction, word }));
            };
            if name.is_empty() {
                return Err(Error::new(at, Fault::BlankName { instruction }));
            }
            Ok(Pair { name: name.to_owned(), value: value.to_owned(), at, old_form: false })
        };
        words.into_iter().map(pair).collect()
    }

    fn args(&self) -> Result<Vec<Arg>, Error> {
        let words = split::quoted(self.split.rest, self.escape);
        if words.is_empty() {
            return self.missing("a name, or name=value");
        }
        let arg = |(word, offset): (String, usize)| {
            let at = self.place(offset);
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
                None => (word, None),
            };
            match name.is_empty() {
                true => Err(Error::new(at, Fault::BlankName { instruction: self.name })),
                false => Ok(Arg { name, default, at }),
            }
        };
        words.into_iter().map(arg).collect()
    }

    fn from(&self) -> Result<From, Error> {
        let words = self.plain();
        let (base, name) = match words.as_slice() {
            [base] => (base, None),
            [base, word, name] if word.text.eq_ignore_ascii_case("as") => (base, Some(name)),
            _ => return self.fail(Fault::FromForm),
        };
        let name = match name {
            Some(word) => {
                let name = word.text.to_ascii_lowercase();
                let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
                    && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
                if !valid {
                    return Err(Error::new(word.at, Fault::StageName { name: word.text.clone() }));
                }
                Some(Word { text: name, at: word.at })
            }
            None => None,
        };
        Ok(From { base: base.clone(), name, platform: self.flags.text("platform") })
    }

    fn run(&self) -> Result<Run, Error> {
        let command = self.command_line(self.split.rest)?;
        if command == CommandLine::Exec(Vec::new()) {
            return self.missing("a program in its list");
        }
        let mount = |word: &Word| {
            let from = csv::fields(&word.text).into_iter().flatten().rev().find_map(|field| {
                let (key, value) = field.split_once('=')?;
                key.eq_ignore_ascii_case("from").then(|| value.to_owned())
            });
            let variable = from.as_deref().is_some_and(|from| from.contains('$') && !from.ends_with('$'));
            match variable {
                true => Err(Error::new(word.at, Fault::MountFromVariable)),
                false => Ok(Mount { options: word.clone(), from }),
            }
        };
        Ok(Run {
            command,
            heredocs: self.statement.heredocs.clone(),
            mounts: self.flags.all("mount").map(mount).collect::<Result<_, _>>()?,
            network: self.flags.text("network"),
            security: self.flags.text("security"),
        })
    }

    fn copy(&self) -> Result<Copy, Error> {
        let mut words = self.list()?;
        let Some(destination) = words.pop() else { return self.missing("a source and a destination") };
        if words.is_empty() {
            return self.missing("two arguments at least: a source and a destination");
        }
        let opener = |word: &Word| heredoc::parse(&word.text).map_err(|error| Error::new(word.at, error.into()));
        if opener(&destination)?.is_some() {
            return Err(Error::new(destination.at, Fault::HeredocDestination { instruction: self.name }));
        }
        let mut copy = Copy {
            destination,
            from: self.flags.text("from"),
            chown: self.flags.text("chown"),
            chmod: self.flags.text("chmod"),
            checksum: self.flags.text("checksum"),
            exclude: self.flags.all("exclude").cloned().collect(),
            link: self.flags.boolean("link") == Some(true),
            parents: self.flags.boolean("parents") == Some(true),
            keep_git_dir: self.flags.on("keep-git-dir"),
            unpack: self.flags.boolean("unpack"),
            ..Copy::default()
        };
        for word in words {
            let named = match opener(&word)? {
                Some(opener) => self.statement.heredocs.iter().find(|heredoc| heredoc.name == opener.name),
                None => None,
            };
            match named {
                Some(heredoc) => copy.heredocs.push(heredoc.clone()),
                None => copy.sources.push(word),
            }
        }
        Ok(copy)
    }

    fn shell(&self) -> Result<Vec<String>, Error> {
        match json::strings(self.name, self.split.rest).or_else(|fault| self.fail(fault))? {
            Some(words) if words.is_empty() => self.missing("a program in its list"),
            Some(words) => Ok(words),
            None if self.split.rest.is_empty() => self.missing("a list: SHELL [\"/bin/sh\", \"-c\"]"),
            None => self.fail(Fault::NotJson { instruction: self.name }),
        }
    }

    /// The trigger is read now as well: an image whose triggers nobody can run is of no use.
    fn onbuild(&self, directives: &Directives) -> Result<Onbuild, Error> {
        if self.split.rest.is_empty() {
            return self.missing("an instruction");
        }
        let inner = self.statement.inner(self.split.rest_at);
        let read = instruction(&inner, directives)?;
        if matches!(read.command, Command::Onbuild(_) | Command::From(_) | Command::Maintainer(_)) {
            let instruction = read.command.name();
            return Err(Error::new(read.at, Fault::OnbuildTrigger { instruction }));
        }
        let mut trigger = self.split.rest.to_owned();
        for heredoc in &self.statement.heredocs {
            trigger.push_str(&format!("\n{}{}", heredoc.content, heredoc.name));
        }
        Ok(Onbuild { trigger })
    }
}
