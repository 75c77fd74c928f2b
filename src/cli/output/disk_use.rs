//! `system df`: what the disk holds, by kind, and with `-v` by object.

use super::{Format, duration, image_list::since, table};
use crate::{
    image::{Reference, Usage},
    state::records::ContainerRecord,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// All objects of a kind. Field names and their types are docker's.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "DiskUse", deny_unknown_fields)]
pub struct Row {
    /// `Images`, `Containers`, `Local Volumes` or `Build Cache`
    #[serde(rename = "Type")]
    kind: &'static str,
    total_count: String,
    /// Used by a container, or running.
    active: String,
    /// `1.2GB`
    size: String,
    /// What removing all that is not active would give back: `800MB (66%)`
    reclaimable: String,
}

#[derive(Default)]
struct Sum {
    total: usize,
    active: usize,
    size: u64,
    reclaimable: u64,
}

/// Everything, to be shown whole or in sum.
pub struct Report {
    images: Sum,
    image_rows: Vec<[String; 7]>,
    containers: Sum,
    container_rows: Vec<[String; 5]>,
    volumes: Sum,
    volume_rows: Vec<[String; 3]>,
    cache: Sum,
}

impl Report {
    /// `used` counts the containers of an image.
    pub fn of_images(usage: &Usage, used: &HashMap<&str, usize>, now: Timestamp) -> Self {
        let count = |id: &str| used.get(id).copied().unwrap_or(0);
        let mut needed: HashSet<&str> = HashSet::new();
        let mut spare: HashMap<&str, u64> = HashMap::new();
        for image in &usage.images {
            for (name, size) in &image.parts {
                match count(image.image.id.as_str()) {
                    0 => drop(spare.insert(name, *size)),
                    _ => drop(needed.insert(name)),
                }
            }
        }
        let spare: u64 = spare.iter().filter(|(name, _)| !needed.contains(*name)).map(|(_, size)| size).sum();
        let images = Sum {
            total: usage.images.len(),
            active: usage.images.iter().filter(|image| count(image.image.id.as_str()) > 0).count(),
            size: usage.layers + usage.blobs + usage.partial,
            reclaimable: spare + usage.partial,
        };
        let image_rows = usage.images.iter().map(|entry| {
            let image = &entry.image;
            let (repository, tag) = match &image.reference {
                Reference::Registry(name) => {
                    (name.familiar_repository(), name.tag().map_or_else(|| "<none>".into(), str::to_owned))
                }
                Reference::Id(_) => ("<none>".into(), "<none>".into()),
                transport => (transport.to_string(), "<none>".into()),
            };
            let size: u64 = entry.parts.iter().map(|(_, size)| size).sum();
            [
                repository,
                tag,
                image.id.short().to_owned(),
                since(image.created.as_deref(), now),
                duration::size(size),
                duration::size(entry.unique),
                count(image.id.as_str()).to_string(),
            ]
        });
        Self {
            images,
            image_rows: image_rows.collect(),
            containers: Sum::default(),
            container_rows: Vec::new(),
            volumes: Sum::default(),
            volume_rows: Vec::new(),
            cache: Sum::default(),
        }
    }

    pub fn add_container(&mut self, record: &ContainerRecord, is_up: bool, size: u64) {
        self.containers.add(is_up, size);
        self.container_rows.push([
            record.id.short().to_owned(),
            record.applied.image.clone(),
            if is_up { "up" } else { "stopped" }.into(),
            duration::size(size),
            record.name.clone(),
        ]);
    }

    pub fn add_volume(&mut self, name: &str, is_mounted: bool, size: u64) {
        self.volumes.add(is_mounted, size);
        self.volume_rows.push([name.to_owned(), if is_mounted { "yes" } else { "no" }.into(), duration::size(size)]);
    }

    /// Layers that only the cache of builds holds are `size`, and all of that can be had back.
    pub fn add_cache(&mut self, layers: usize, shared: usize, size: u64) {
        self.cache = Sum { total: layers, active: shared, size, reclaimable: size };
    }

    pub fn render(self, format: Format, verbose: bool) -> serde_json::Result<String> {
        let sums = [
            self.images.row("Images"),
            self.containers.row("Containers"),
            self.volumes.row("Local Volumes"),
            self.cache.row("Build Cache"),
        ];
        if format == Format::Json {
            return sums.iter().map(|row| Ok(serde_json::to_string(row)? + "\n")).collect();
        }
        if !verbose {
            let cells = |row: Row| [row.kind.to_owned(), row.total_count, row.active, row.size, row.reclaimable];
            return Ok(table::render(["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"], sums.map(cells)));
        }
        let images = table::render(
            ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "UNIQUE SIZE", "CONTAINERS"],
            self.image_rows,
        );
        let containers = table::render(["CONTAINER ID", "IMAGE", "STATUS", "SIZE", "NAMES"], self.container_rows);
        let volumes = table::render(["VOLUME NAME", "MOUNTED", "SIZE"], self.volume_rows);
        Ok(format!(
            "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n{volumes}\nBuild cache usage: {}\n",
            duration::size(self.cache.size)
        ))
    }
}

impl Sum {
    fn add(&mut self, is_active: bool, size: u64) {
        self.total += 1;
        self.size += size;
        if is_active {
            self.active += 1;
        } else {
            self.reclaimable += size;
        }
    }

    fn row(&self, kind: &'static str) -> Row {
        let share = (self.reclaimable * 100).checked_div(self.size).map(|share| format!(" ({share}%)"));
        Row {
            kind,
            total_count: self.total.to_string(),
            active: self.active.to_string(),
            size: duration::size(self.size),
            reclaimable: duration::size(self.reclaimable) + &share.unwrap_or_default(),
        }
    }
}
