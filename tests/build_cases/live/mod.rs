//! The oracle on the spot: each case is built by muster and by docker, and everything that both made is compared: the
//! whole file tree, what each layer holds, the configuration, the history; where both refuse, the line.
//!
//! ```sh
//! MUSTER_DOCKER_ORACLE=docker cargo test --test build_cases [-- NAME ...]
//! ```
//!
//! The variable names a docker client with buildx; DOCKER_HOST, DOCKER_CONFIG and the like go on to it. Without it there
//! is no such run. The daemon is better one for this alone: the cases' base images (`base`, `other` ...) are loaded into
//! it under their names. No step gets a network, so that it needs no bridge.
//!
//! With BLESS=1 the sections `tree` and `config` that are empty are filled with what docker made.
//!
//! What differs on purpose stands in `differences.rs`, and only that.

mod archive;
mod compare;
mod differences;
mod docker;
mod record;

use super::{Base, case::Case, contexts, digest, frontend, muster as build};
use archive::{Node, Outcome};
use docker::{Docker, Refused};
use muster::build::engine::Inputs;
use std::{collections::BTreeMap, path::Path};

pub struct Live {
    docker: Docker,
    /// The files of `base`.
    base: BTreeMap<String, Node>,
}

impl Live {
    pub fn from_env(base: &Base) -> Option<Self> {
        let program = std::env::var_os("MUSTER_DOCKER_ORACLE")?;
        Some(Self { docker: Docker::new(program), base: archive::files(&base.0.tar) })
    }

    /// What both say of a case, compared.
    pub fn check(&self, case: &mut Case, base: &Base, dir: &Path) -> Result<(), String> {
        if differences::is_deadly(&case.name) {
            return Ok(());
        }
        let inputs = contexts(case, dir);
        self.docker.load(case, base)?;
        let docker = self.docker.build(case, dir, &inputs);
        if let Ok(docker) = &docker {
            record::fill(case, docker, &self.base);
        }
        let muster = of_muster(case, base, dir, inputs);
        let found = match (&docker, &muster) {
            (Ok(docker), Ok(muster)) => compare::outcomes(docker, muster),
            (Err(docker), Err(muster)) => compare::refusals(docker, muster).into_iter().collect(),
            (Err(docker), Ok(_)) => vec![format!("docker refuses: {}", docker.text)],
            (Ok(_), Err(muster)) => vec![format!("muster refuses: {}", muster.text)],
        };
        let found = differences::unexpected(&case.name, found)?;
        if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
    }

    /// Differences whose case is none of these.
    pub fn forgotten(&self, cases: &[String]) -> Vec<String> {
        differences::cases().filter(|name| !cases.iter().any(|case| case == name)).map(str::to_owned).collect()
    }
}

fn of_muster(case: &Case, base: &Base, dir: &Path, inputs: Inputs) -> Result<Outcome, Refused> {
    frontend::plan(case).map_err(|errors| Refused::of_muster(&errors))?;
    let (store, built) = build(case, base, dir, inputs);
    let image = built.map_err(|error| Refused::of_muster(&[super::located(&error)]))?;
    let mut archive = Vec::new();
    muster::image::save(&store, &[image.reference], &mut archive).unwrap();
    Ok(Outcome::read(&archive))
}
