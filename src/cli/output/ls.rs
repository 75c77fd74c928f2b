//! `ls`: projects, by what their containers are.

use super::{Format, table};
use crate::cli::containers::Container;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A project of this host. Field names and their order are docker compose's.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(deny_unknown_fields)]
pub struct Project {
    pub name: String,
    /// `running(2), exited(1)`
    pub status: String,
    /// Joined by commas.
    pub config_files: String,
}

/// Projects of these containers, by name; `all` includes those of which nothing is up.
pub fn projects(containers: &[Container], all: bool) -> Vec<Project> {
    let mut by_name: BTreeMap<&str, Vec<&Container>> = BTreeMap::new();
    for container in containers.iter().filter(|container| all || container.is_up()) {
        by_name.entry(&container.record.project).or_default().push(container);
    }
    by_name.into_iter().map(|(name, containers)| project(name, &containers)).collect()
}

fn project(name: &str, containers: &[&Container]) -> Project {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    let mut files = BTreeSet::new();
    for container in containers {
        *states.entry(container.state()).or_default() += 1;
        let paths = container.record.config_files.iter().map(|path| path.display().to_string());
        files.insert(paths.collect::<Vec<_>>().join(","));
    }
    let mut states: Vec<String> = states.into_iter().map(|(state, count)| format!("{state}({count})")).collect();
    states.sort_by_key(|state| !state.starts_with("running"));
    let files: Vec<String> = files.into_iter().filter(|files| !files.is_empty()).collect();
    Project { name: name.into(), status: states.join(", "), config_files: files.join(",") }
}

pub fn render(projects: &[Project], format: Format) -> serde_json::Result<String> {
    match format {
        Format::Json => Ok(serde_json::to_string(projects)? + "\n"),
        Format::Table => {
            let row = |p: &Project| [p.name.clone(), p.status.clone(), p.config_files.clone()];
            Ok(table::render(["NAME", "STATUS", "CONFIG FILES"], projects.iter().map(row)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::containers::tests::{exit, record, running};
    use crate::state::records::Status;

    #[test]
    fn a_project_is_listed_with_the_states_of_its_containers() {
        let mut other = record("db", 1, Status::Exited { exit: exit(0) });
        other.project = "other".into();
        let records =
            [record("web", 1, running(1)), record("web", 2, running(1)), record("db", 1, Status::Created), other];
        let containers: Vec<Container> = records.into_iter().map(|record| Container { record }).collect();
        insta::assert_snapshot!(render(&projects(&containers, true), Format::Table).unwrap(), @r"
        NAME    STATUS                   CONFIG FILES
        app     running(2), created(1)   /srv/app/compose.yaml
        other   exited(1)                /srv/app/compose.yaml
        ");
        insta::assert_snapshot!(render(&projects(&containers, false), Format::Json).unwrap(), @r#"[{"Name":"app","Status":"running(2)","ConfigFiles":"/srv/app/compose.yaml"}]"#);
        assert_eq!(render(&[], Format::Json).unwrap(), "[]\n");
    }
}
