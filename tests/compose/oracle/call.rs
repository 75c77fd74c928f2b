//! A command line of a case, carried out by the library as the command line tool does it.

use super::case::{Answer, Case, lines};
use muster::compose::{Document, LoadOptions, Phases, Purpose, document};
use std::{collections::BTreeSet, path::Path};

/// `[NAME=value ...] muster [options] config [options] [service ...]`.
pub struct Call {
    pub options: LoadOptions,
    /// All words after the program.
    arguments: Vec<String>,
    flags: BTreeSet<String>,
}

impl Call {
    pub fn of(case: &Case, directory: &Path) -> Self {
        let words = words(case.command.as_deref().unwrap_or("muster config"));
        let mut options = LoadOptions { cwd: directory.to_owned(), ..LoadOptions::default() };
        // The files of env_file are part of what is compared.
        options.purpose = Purpose::Show;
        options.environment.insert("HOME".into(), "/home/user".into());
        options.environment.insert("PWD".into(), directory.display().to_string());
        let mut rest = words.into_iter();
        for word in rest.by_ref() {
            let Some((name, value)) = word.split_once('=') else { break };
            options.environment.insert(name.into(), value.into());
        }
        let arguments: Vec<String> = rest.as_slice().to_vec();
        let mut flags = BTreeSet::new();
        while let Some(word) = rest.next() {
            let (name, joined) = match word.split_once('=') {
                Some((name, value)) if name.starts_with('-') => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let mut value = || joined.clone().or_else(|| rest.next()).unwrap();
            match name {
                "-f" | "--file" => options.files.push(value().into()),
                "-p" | "--project-name" => options.project_name = Some(value()),
                "--profile" => options.profiles.push(value()),
                "--env-file" => options.env_files.push(value().into()),
                "--project-directory" => options.project_directory = Some(value().into()),
                "config" => {}
                flag if flag.starts_with('-') => drop(flags.insert(flag.to_owned())),
                service => options.services.push(service.to_owned()),
            }
        }
        Self { options, arguments, flags }
    }

    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The answer is a list of lines.
    pub fn is_list(&self) -> bool {
        const LISTS: [&str; 8] =
            ["--services", "--volumes", "--images", "--profiles", "--variables", "--hash", "-q", "--quiet"];
        self.flags.iter().any(|flag| LISTS.contains(&flag.as_str()))
    }

    /// What muster answers, with `directory` taken out.
    pub fn answer(&self) -> Answer {
        let outer = self.options.cwd.parent().unwrap().display().to_string();
        let clean = |text: String| text.replace(&format!("{outer}/"), "/").replace(&outer, "/");
        match document(&self.options, self.phases()) {
            Err(findings) => Answer::Error(clean(findings.render(false))),
            Ok(document) => match self.listed(&document) {
                Some(list) => Answer::Text(lines(&clean(list))),
                None => {
                    let text = serde_json::to_string(&document.to_json()).unwrap();
                    Answer::Json(serde_json::from_str(&clean(text)).unwrap())
                }
            },
        }
    }

    /// What muster prints as YAML, read again by muster: the answer to that, where the call prints a whole project.
    pub fn again(&self) -> Option<Answer> {
        if !self.flags.is_empty() {
            return None;
        }
        let text = document(&self.options, self.phases()).ok()?.to_yaml();
        std::fs::write(self.options.cwd.join("printed.yaml"), text).unwrap();
        let options = LoadOptions { files: vec!["printed.yaml".into()], ..self.options.clone() };
        Some(Self { options, arguments: Vec::new(), flags: BTreeSet::new() }.answer())
    }

    fn phases(&self) -> Phases {
        let is = |flag: &str| self.flags.contains(flag);
        Phases {
            interpolate: !is("--no-interpolate") && !is("--variables"),
            normalise: !is("--no-normalize"),
            paths: !is("--no-path-resolution"),
            consistency: !is("--no-consistency") && !is("--variables"),
            environment: !is("--no-env-resolution") && !is("--variables"),
        }
    }

    fn listed(&self, document: &Document) -> Option<String> {
        let lines = |names: Vec<String>| names.into_iter().map(|name| name + "\n").collect::<String>();
        let names = |section| lines(document.names(section).map(str::to_owned).collect());
        let is = |flag: &str| self.flags.contains(flag);
        Some(match () {
            () if is("--services") => names("services"),
            () if is("--volumes") => names("volumes"),
            () if is("--networks") => names("networks"),
            () if is("--images") => lines(document.images().into_iter().map(|(_, image)| image).collect()),
            () if is("--profiles") => lines(document.profiles.iter().cloned().collect()),
            () if is("--variables") => variables(document),
            () if is("-q") || is("--quiet") => String::new(),
            () => return None,
        })
    }
}

fn variables(document: &Document) -> String {
    let mut text = String::from("NAME REQUIRED DEFAULT VALUE ALTERNATE VALUE\n");
    for variable in &document.variables {
        let (default, alternate) = (variable.default.as_deref(), variable.alternate.as_deref());
        let line = [&variable.name, &*variable.required.to_string(), default.unwrap_or(""), alternate.unwrap_or("")];
        text += &(line.join(" ") + "\n");
    }
    text
}

/// Words of a shell without its quotes: what the recorder's shlex makes of them.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut started = false;
    for c in command.chars() {
        match (quote, c) {
            (None, '\'' | '"') => (quote, started) = (Some(c), true),
            (Some(q), _) if q == c => quote = None,
            (None, c) if c.is_whitespace() => {
                if started {
                    words.push(String::new());
                }
                started = false;
            }
            _ => {
                started = true;
                words.last_mut().unwrap().push(c);
            }
        }
    }
    if !started {
        words.pop();
    }
    words
}
