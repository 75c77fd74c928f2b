//! `muster system`: what muster takes on the disk, and taking back what nobody needs.

use crate::{
    build::engine,
    cli::{
        containers,
        context::Context,
        exit::{Code, Error, Outcome},
        output::{Format, disk_use},
    },
    image::Store,
};
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Write,
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Look after what muster keeps on this host
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    Df(Df),
}

/// Show how much of the disk images, containers, volumes and the build cache take
#[derive(Clone, Debug, clap::Args)]
struct Df {
    /// Output format; JSON is an object a line
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Show each image, container and volume
    #[arg(short, long)]
    verbose: bool,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    match args.command {
        Command::Df(args) => df(&args, cx),
    }
}

fn df(args: &Df, cx: &mut Context) -> Outcome {
    let found = containers::list(&cx.layout, None);
    for error in &found.unreadable {
        cx.warn(&error.to_string())?;
    }
    let used: HashMap<&str, usize> = found.containers.iter().fold(HashMap::new(), |mut used, container| {
        *used.entry(container.record.image_id.as_str()).or_default() += 1;
        used
    });
    let store = Store::open(&cx.layout)?;
    let usage = store.usage()?;
    let mounted: HashSet<&str> = found
        .containers
        .iter()
        .flat_map(|container| container.record.volumes.iter().map(|volume| volume.name.as_str()))
        .collect();
    let mut report = disk_use::Report::of_images(&usage, &used, Timestamp::now());
    for container in &found.containers {
        let size = tree_bytes(&cx.layout.container_upper(&container.record.id));
        report.add_container(&container.record, container.is_up(), size);
    }
    for name in names(&cx.layout.volumes())? {
        let size = tree_bytes(&cx.layout.volume_data(&name));
        report.add_volume(&name, mounted.contains(name.as_str()), size);
    }
    let cache = engine::cache_use(&store, &cx.layout)?;
    let size = cache.own.iter().map(|directory| tree_bytes(directory)).sum();
    report.add_cache(cache.layers, cache.shared, size);
    let text = report.render(args.format, args.verbose).map_err(std::io::Error::from)?;
    cx.out.write_all(text.as_bytes())?;
    Ok(Code::SUCCESS)
}

fn names(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::file("read", directory))?,
    };
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// On the disk; links are not followed, hard links count once. What vanishes meanwhile counts for nothing.
fn tree_bytes(top: &Path) -> u64 {
    let (mut open, mut seen, mut bytes) = (vec![top.to_owned()], HashSet::new(), 0);
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                open.push(entry.path());
            }
            if metadata.nlink() > 1 && !metadata.is_dir() && !seen.insert((metadata.dev(), metadata.ino())) {
                continue;
            }
            bytes += metadata.blocks() * 512;
        }
    }
    bytes
}
