//! The Dockerfile language, as BuildKit's frontend 1.7 has it, with what later versions accept besides.
//!
//! ```text
//! lines      text -> statements: no comments, no continuations, heredocs apart; directives
//! split      a statement -> keyword, flags, rest; words
//! parse      a statement -> Instruction, with health, csv (--mount), json (exec forms)
//! expand     variables in words, when their values are known; pattern for ${x#p} and its like
//! glob       file names: sources of COPY, and .dockerignore in ignore
//! ```
//! Nothing here reads a file, and nothing knows what an instruction does.

mod csv;
mod directive;
mod error;
mod expand;
mod flags;
mod glob;
mod health;
mod heredoc;
mod ignore;
mod instruction;
mod json;
mod lines;
mod parse;
mod pattern;
mod place;
mod split;
#[cfg(test)]
mod tests;

pub use csv::fields as csv_fields;
pub use directive::Directives;
pub use error::{Error, Fault, nearest};
pub use expand::{ExpandError, Expanded, Lexer};
pub use glob::{BadPattern, Glob, has_wildcards};
pub use heredoc::Heredoc;
pub use ignore::{Patterns, Verdict, ignore_file_names};
pub use instruction::{Arg, Command, CommandLine, Copy, From, Healthcheck, Instruction, Mount, Onbuild, Pair, Run};
pub use place::{Located, Place, Word};

/// A file that is read. Its instructions are in their order; only ARG stands before the first FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    pub directives: Directives,
    pub instructions: Vec<Instruction>,
    /// Lines of instructions with empty lines inside, which a later version of the language refuses.
    pub empty_continuations: Vec<usize>,
}

/// Reads a whole file; every instruction that is wrong is told of, not the first alone.
pub fn parse(text: &str) -> Result<Dockerfile, Vec<Error>> {
    let lines = lines::read(text);
    let mut errors = lines.errors;
    let mut instructions: Vec<Instruction> = Vec::new();
    for statement in &lines.statements {
        match parse::instruction(statement, &lines.directives) {
            Ok(instruction) => instructions.push(instruction),
            Err(error) => errors.push(error),
        }
    }
    if lines.statements.is_empty() && errors.is_empty() {
        errors.push(Error::new(Place::default(), Fault::Empty));
    }
    if errors.is_empty() {
        errors.extend(before_from(&instructions));
    }
    if !errors.is_empty() {
        errors.sort_by_key(|error| error.at);
        return Err(errors);
    }
    Ok(Dockerfile { directives: lines.directives, instructions, empty_continuations: lines.empty_continuations })
}

/// One instruction of a trigger, in the place of the FROM that it comes from.
pub fn parse_trigger(text: &str, at: Place) -> Result<Instruction, Error> {
    let lines = lines::read(text);
    let here = |error: Error| Error::new(at, error.kind);
    if let Some(error) = lines.errors.into_iter().next() {
        return Err(here(error));
    }
    let [statement] = lines.statements.as_slice() else {
        return Err(Error::new(at, Fault::Arguments { instruction: "ONBUILD", expected: "one instruction" }));
    };
    let instruction = parse::instruction(statement, &lines.directives).map_err(here)?;
    if matches!(instruction.command, Command::From(_) | Command::Onbuild(_) | Command::Maintainer(_)) {
        return Err(Error::new(at, Fault::OnbuildTrigger { instruction: instruction.command.name() }));
    }
    Ok(Instruction { at, last_line: at.line, ..instruction })
}

fn before_from(instructions: &[Instruction]) -> Option<Error> {
    let first = instructions.iter().find(|instruction| !matches!(instruction.command, Command::Arg(_)))?;
    let fault = Fault::BeforeFrom { instruction: first.command.name() };
    (!matches!(first.command, Command::From(_))).then(|| Error::new(first.at, fault))
}
