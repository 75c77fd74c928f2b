//! `ps`: the table and the JSON lines of docker compose.

use super::{duration, labels, status, table};
use crate::{
    cli::containers::Container,
    model::{MountKind, Protocol},
    state::records::{BoundPort, ContainerRecord},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A container. Field names and their order are docker compose's.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(deny_unknown_fields)]
pub struct Row {
    /// In double quotes, as the table shows it.
    command: String,
    /// `2026-11-22 10:00:00 +0000 UTC`
    created_at: String,
    engine: &'static str,
    /// 0 while it runs.
    exit_code: i32,
    /// `starting`, `healthy` or `unhealthy`; empty where there is no healthcheck, or nothing runs.
    health: &'static str,
    #[serde(rename = "ID")]
    id: String,
    image: String,
    /// `KEY=VALUE`, joined by commas.
    labels: String,
    /// Number of volumes.
    local_volumes: String,
    /// Sources of the mounts, joined by commas.
    mounts: String,
    name: String,
    /// The same as `Name`.
    names: String,
    /// Joined by commas.
    networks: String,
    /// `0.0.0.0:8080->80/tcp, 9000/tcp`
    ports: String,
    project: String,
    publishers: Vec<Publisher>,
    /// `9 seconds ago`
    running_for: String,
    service: String,
    size: &'static str,
    /// `created`, `running`, `restarting`, `exited` and their like.
    state: &'static str,
    /// `Up 8 seconds (healthy)`
    status: String,
}

/// A port of a container.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(deny_unknown_fields)]
pub struct Publisher {
    /// Address of the host; empty where the port is not published.
    #[serde(rename = "URL")]
    url: String,
    /// Port of the container.
    target_port: u16,
    /// Port of the host; 0 where the port is not published.
    published_port: u16,
    protocol: Protocol,
}

pub fn table(containers: &[Container], now: Timestamp, truncate: bool) -> String {
    let rows = containers.iter().map(|container| {
        let row = row(container, now, truncate);
        let created = row.running_for;
        [row.name, row.image, row.command, row.service, created, row.status, row.ports]
    });
    table::render(["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"], rows)
}

/// An object a line.
pub fn json(containers: &[Container], now: Timestamp, truncate: bool) -> serde_json::Result<String> {
    let lines = containers.iter().map(|container| serde_json::to_string(&row(container, now, truncate)));
    Ok(lines.collect::<Result<Vec<_>, _>>()?.into_iter().map(|line| line + "\n").collect())
}

fn row(container: &Container, now: Timestamp, truncate: bool) -> Row {
    let record = &container.record;
    let command = record.command.join(" ");
    let labels = labels::of(record).into_iter().map(|(key, value)| format!("{key}={value}"));
    let created = duration::human(duration::since(&record.created_at, now));
    Row {
        command: quote(&if truncate { table::ellipsis(&command, 20) } else { command }),
        created_at: duration::go_time(&record.created_at),
        engine: "muster",
        exit_code: container.exit().map_or(0, |exit| exit.code),
        health: record.health.filter(|_| container.is_running()).map_or("", |health| health.as_str()),
        id: if truncate { record.id.short().into() } else { record.id.as_str().into() },
        image: record.applied.image.clone(),
        labels: labels.collect::<Vec<_>>().join(","),
        local_volumes: record.volumes.len().to_string(),
        mounts: mounts(record, truncate),
        name: record.name.clone(),
        names: record.name.clone(),
        networks: record.networks.iter().map(|network| network.name.as_str()).collect::<Vec<_>>().join(","),
        ports: ports(container),
        project: record.project.clone(),
        publishers: publishers(container),
        running_for: format!("{created} ago"),
        service: record.service.clone(),
        size: "0B",
        state: container.state(),
        status: status::text(record, now),
    }
}

/// Sources of the mounts; volumes by name.
fn mounts(record: &ContainerRecord, truncate: bool) -> String {
    let volumes = record.volumes.iter().map(|volume| volume.name.clone());
    let binds = record.applied.volumes.iter().filter_map(|mount| match &mount.kind {
        MountKind::Bind { source, .. } => Some(source.display().to_string()),
        _ => None,
    });
    let names = volumes.chain(binds).map(|name| if truncate { table::ellipsis(&name, 15) } else { name });
    names.collect::<Vec<_>>().join(",")
}

/// `0.0.0.0:8080->80/tcp, 9000/tcp`
fn ports(container: &Container) -> String {
    let publishers = publishers(container);
    let texts = publishers.iter().map(|p| match p.published_port {
        0 => format!("{}/{}", p.target_port, p.protocol),
        published if p.url.contains(':') => format!("[{}]:{published}->{}/{}", p.url, p.target_port, p.protocol),
        published => format!("{}:{published}->{}/{}", p.url, p.target_port, p.protocol),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// What is published while the container runs, then what is only exposed.
fn publishers(container: &Container) -> Vec<Publisher> {
    if !container.is_running() {
        return Vec::new();
    }
    let record = &container.record;
    let mut bound: Vec<&BoundPort> = record.ports.iter().collect();
    bound.sort_by_key(|port| (port.target, port.protocol, port.host_ip, port.host_port));
    let published = bound.iter().map(|port| Publisher {
        url: port.host_ip.to_string(),
        target_port: port.target,
        published_port: port.host_port,
        protocol: port.protocol,
    });
    let exposed =
        record.applied.expose.iter().filter_map(|text| exposed(text)).filter(|(target, protocol)| {
            !bound.iter().any(|port| (port.target, port.protocol) == (*target, *protocol))
        });
    let exposed = exposed.map(|(target_port, protocol)| Publisher {
        url: String::new(),
        target_port,
        published_port: 0,
        protocol,
    });
    published.chain(exposed).collect()
}

/// `80/tcp`; ranges are not listed one by one.
fn exposed(text: &str) -> Option<(u16, Protocol)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
    Some((port.parse().ok()?, protocol))
}

/// In double quotes, with what would break the line escaped.
fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::containers::tests::{exit, record, running};
    use crate::state::records::{Health, Status};

    fn containers() -> Vec<Container> {
        let mut web = record("web", 1, running(1));
        web.ports.push(BoundPort {
            host_ip: "0.0.0.0".parse().unwrap(),
            host_port: 8080,
            target: 80,
            protocol: Protocol::Tcp,
        });
        web.applied.expose.push("9000/tcp".into());
        web.health = Some(Health::Healthy);
        web.command = vec!["/docker-entrypoint.sh".into(), "nginx".into(), "-g\n".into()];
        let db = record("db", 1, Status::Exited { exit: exit(137) });
        [web, db].map(|record| Container { record }).into()
    }

    fn now() -> Timestamp {
        "2026-11-22T10:00:09Z".parse().unwrap()
    }

    #[test]
    fn the_table_has_the_columns_of_docker_compose() {
        insta::assert_snapshot!(table(&containers(), now(), true), @r#"
        NAME        IMAGE   COMMAND                  SERVICE   CREATED         STATUS                       PORTS
        app-web-1   web:1   "/docker-entrypoint.…"   web       9 seconds ago   Up 8 seconds (healthy)       0.0.0.0:8080->80/tcp, 9000/tcp
        app-db-1    db:1    "/bin/serve --all"       db        9 seconds ago   Exited (137) 4 seconds ago
        "#);
    }

    #[test]
    fn json_has_the_fields_of_docker_compose_one_object_a_line() {
        let text = json(&containers(), now(), true).unwrap();
        let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 2);
        let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
        assert_eq!(
            keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(" "),
            "Command CreatedAt Engine ExitCode Health ID Image Labels LocalVolumes Mounts Name Names Networks Ports \
             Project Publishers RunningFor Service Size State Status"
        );
        insta::assert_snapshot!(rows[0]["Publishers"], @r#"[{"URL":"0.0.0.0","TargetPort":80,"PublishedPort":8080,"Protocol":"tcp"},{"URL":"","TargetPort":9000,"PublishedPort":0,"Protocol":"tcp"}]"#);
        assert_eq!(rows[0]["Health"], "healthy");
        assert_eq!(rows[1]["ExitCode"], 137);
        assert_eq!(rows[1]["State"], "exited");
        assert_eq!(rows[1]["CreatedAt"], "2026-11-22 10:00:00 +0000 UTC");
        assert!(rows[0]["Labels"].as_str().unwrap().contains("com.docker.compose.service=web"));
    }
}
