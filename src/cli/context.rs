//! What every verb works with: the global flags, the environment, the streams and where things are on disk.

use super::{
    args::Global,
    env::Env,
    exit::Error,
    output::{Writer, progress, progress::Mode},
};
use crate::{
    compose::{
        self, Diagnostics, Document, LoadOptions, Loaded, Phases, Purpose, diagnostics::did_you_mean,
        explain::Explanation,
    },
    image::Credentials,
    model::Project,
    state::Layout,
};
use std::{
    collections::BTreeMap,
    io::{BufRead, IsTerminal, Write},
};

pub struct Context {
    pub global: Global,
    pub env: Env,
    pub layout: Layout,
    pub out: Writer,
    pub err: Writer,
    /// What goes wrong is told in JSON.
    pub json: bool,
}

/// A project by name, with its model where there is one.
pub struct Target {
    pub name: String,
    pub project: Option<Project>,
}

impl Context {
    pub fn new(global: Global, env: Env) -> Result<Self, Error> {
        let ansi = global.ansi.or_else(|| word(&env.variables, "COMPOSE_ANSI")).unwrap_or_default();
        let out = Writer::stdout(ansi, env.colourless()).map_err(Error::system("open standard output"))?;
        let err = Writer::stderr(ansi, env.colourless()).map_err(Error::system("open standard error"))?;
        let json = global.progress == Some(Mode::Json);
        Ok(Self { layout: env.layout(), global, env, out, err, json })
    }

    /// Reads the Compose files and shows their warnings. `services`, named on the command line, exist in what
    /// comes back.
    pub fn load(&mut self, services: &[String], purpose: Purpose) -> Result<Loaded, Error> {
        self.load_with(services, purpose, None)
    }

    /// The same with a last document over the files.
    pub fn load_with(
        &mut self,
        services: &[String],
        purpose: Purpose,
        overlay: Option<String>,
    ) -> Result<Loaded, Error> {
        let options = LoadOptions { overlay, ..self.load_options(services, purpose) };
        let loaded = compose::load(&options).map_err(Error::Compose)?;
        self.tell(&loaded.warnings)?;
        check_services(&loaded.project, services)?;
        Ok(loaded)
    }

    /// The Compose files as one, after the phases that are asked for; shows their warnings.
    pub fn document(&mut self, services: &[String], phases: Phases) -> Result<Document, Error> {
        let options = self.load_options(services, Purpose::Show);
        let document = compose::document(&options, phases).map_err(Error::Compose)?;
        self.tell(&document.warnings)?;
        Ok(document)
    }

    fn tell(&mut self, findings: &Diagnostics) -> Result<(), Error> {
        if self.json {
            progress::diagnostics(findings, &mut self.err)?;
        } else if !findings.is_empty() {
            writeln!(self.err, "{}", findings.render(self.err.colour))?;
        }
        Ok(())
    }

    /// Where values of the Compose files come from; shows the warnings of the files.
    pub fn explain(&mut self, path: &str, purpose: Purpose) -> Result<Explanation, Error> {
        let options = self.load_options(&[], purpose);
        let (explanation, warnings) = compose::explain(&options, path).map_err(Error::Compose)?;
        self.tell(&warnings)?;
        Ok(explanation)
    }

    /// For verbs that need no more than a name: with `-p` and no services no file is read.
    pub fn target(&mut self, services: &[String]) -> Result<Target, Error> {
        if services.is_empty() && self.global.project_name.is_some() {
            return Ok(Target { name: self.project_name()?, project: None });
        }
        let named = self.global.project_name.is_some() || self.env.get("COMPOSE_PROJECT_NAME").is_some();
        match self.load(services, Purpose::Look) {
            Ok(loaded) => Ok(Target { name: loaded.project.name.clone(), project: Some(loaded.project) }),
            // The records know the services of a project whose files are elsewhere.
            Err(Error::Compose(_)) if named && !self.has_files() => {
                Ok(Target { name: self.project_name()?, project: None })
            }
            Err(error) => Err(error),
        }
    }

    fn project_name(&self) -> Result<String, Error> {
        compose::resolve_name(&self.load_options(&[], Purpose::Look)).map_err(Error::Compose)
    }

    /// Somebody named a Compose file: it has to be right.
    fn has_files(&self) -> bool {
        !self.global.files.is_empty() || self.env.get("COMPOSE_FILE").is_some()
    }

    pub fn load_options(&self, services: &[String], purpose: Purpose) -> LoadOptions {
        LoadOptions {
            files: self.global.files.clone(),
            project_directory: self.global.project_directory.clone(),
            project_name: self.global.project_name.clone(),
            profiles: self.global.profiles.clone(),
            env_files: self.global.env_files.clone(),
            services: services.to_vec(),
            cwd: self.env.cwd.clone(),
            environment: self.env.variables.clone(),
            purpose,
            all_resources: self.global.all_resources,
            overlay: None,
        }
    }

    /// `--progress`, then `COMPOSE_PROGRESS`, then BuildKit's variable, then what fits standard error. `environment` is the files' view of the
    /// variables, so that `.env` counts.
    pub fn progress_mode(&self, environment: &BTreeMap<String, String>) -> Mode {
        let variables = ["COMPOSE_PROGRESS", "BUILDKIT_PROGRESS"];
        let asked = self.global.progress.or_else(|| variables.iter().find_map(|name| word(environment, name)));
        asked.unwrap_or_default().resolve(self.err.terminal && self.err.colour)
    }

    /// The logins of the person who calls.
    pub fn credentials(&self) -> Credentials {
        match self.env.docker_config() {
            Some(directory) => Credentials::from_docker_config(Some(&directory.join("config.json"))),
            None => Credentials::none(),
        }
    }

    /// Asks on standard error; the end of the input is no. Without a terminal nobody can answer: refused, with the
    /// flag that says yes.
    pub fn confirm(&mut self, warning: &str) -> Result<bool, Error> {
        if !std::io::stdin().is_terminal() {
            return Err(Error::Refused {
                message: format!("{} Nobody is there to say yes", warning.lines().next().unwrap_or_default().trim()),
                hint: Some("--force does not ask".into()),
            });
        }
        let word = self.err.paint("33", "WARNING!");
        write!(self.err, "{word} {warning}\nAre you sure you want to continue? [y/N] ")?;
        self.err.flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map_err(Error::system("read the answer"))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// `--parallel`, then `COMPOSE_PARALLEL_LIMIT`; `None` is no limit.
    pub fn parallel(&self, environment: &BTreeMap<String, String>) -> Result<Option<u32>, Error> {
        let asked = match (self.global.parallel, environment.get("COMPOSE_PARALLEL_LIMIT").map(String::as_str)) {
            (Some(number), _) => number,
            (None, None | Some("")) => -1,
            (None, Some(text)) => text
                .trim()
                .parse()
                .map_err(|_| Error::Usage(format!("COMPOSE_PARALLEL_LIMIT is {text:?}; it has to be a number")))?,
        };
        match asked {
            -1 => Ok(None),
            1.. => Ok(Some(asked.unsigned_abs())),
            _ => Err(Error::Usage(format!("--parallel has to be positive, or -1 for no limit; it is {asked}"))),
        }
    }

    /// A line on standard error that is no error.
    pub fn note(&mut self, text: &str) -> Result<(), Error> {
        writeln!(self.err, "{text}")?;
        Ok(())
    }

    pub fn warn(&mut self, text: &str) -> Result<(), Error> {
        let word = self.err.paint("33", "warning");
        self.note(&format!("{word}: {text}"))
    }
}

/// A variable whose value is one of a flag's words; another value counts as unset.
fn word<T: clap::ValueEnum>(variables: &BTreeMap<String, String>, name: &str) -> Option<T> {
    T::from_str(variables.get(name)?, true).ok()
}

/// Refuses a name that is no service of the project.
pub fn check_services(project: &Project, services: &[String]) -> Result<(), Error> {
    match services.iter().find(|name| !project.services.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Error::NoSuchService {
            name: name.clone(),
            similar: did_you_mean(name, project.services.keys().map(String::as_str)).map(str::to_owned),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::writer::capture;

    fn context(parallel: Option<i32>) -> Context {
        let (out, _) = capture::writer(false);
        let (err, _) = capture::writer(false);
        let global = Global { parallel, ..Global::default() };
        Context { global, env: Env::default(), layout: Layout::system(), out, err, json: false }
    }

    #[test]
    fn the_limit_of_parallel_operations_comes_from_the_flag_then_the_variable() {
        let variable = BTreeMap::from([("COMPOSE_PARALLEL_LIMIT".to_owned(), "3".to_owned())]);
        let none = BTreeMap::new();
        assert_eq!(context(None).parallel(&none).unwrap(), None);
        assert_eq!(context(Some(-1)).parallel(&variable).unwrap(), None);
        assert_eq!(context(Some(2)).parallel(&variable).unwrap(), Some(2));
        assert_eq!(context(None).parallel(&variable).unwrap(), Some(3));
        assert!(context(Some(0)).parallel(&none).is_err());
    }

    #[test]
    fn a_service_that_is_not_there_is_refused_with_the_nearest_name() {
        let mut project = Project::default();
        project.services.insert("web".into(), Default::default());
        assert!(check_services(&project, &["web".into()]).is_ok());
        let error = check_services(&project, &["wbe".into()]).unwrap_err();
        assert_eq!(error.to_string(), "no such service: wbe");
        assert_eq!(error.hint().as_deref(), Some("did you mean web?"));
    }
}
