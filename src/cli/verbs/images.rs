//! `muster images`: what the project's containers run, or all that this host has.

use crate::{
    cli::{
        containers,
        context::Context,
        exit::{Code, Outcome},
        output::{Format, images},
    },
    image::Store,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap},
    io::Write,
};

/// List images used by the created containers
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// All images of this host, of whatever project
    #[arg(short, long)]
    all: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Only display ids
    #[arg(short, long)]
    quiet: bool,
    /// Services; all without any
    #[arg(value_name = "SERVICE", conflicts_with = "all")]
    services: Vec<String>,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let rows = if args.all { of_host(cx)? } else { of_project(&args, cx)? };
    let text = if args.quiet {
        let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        ids.into_iter().map(|id| format!("{id}\n")).collect()
    } else {
        images::render(&rows, args.format, args.all, Timestamp::now()).map_err(std::io::Error::from)?
    };
    cx.out.write_all(text.as_bytes())?;
    Ok(Code::SUCCESS)
}

fn of_host(cx: &Context) -> Result<Vec<images::Row>, crate::cli::exit::Error> {
    Ok(Store::open(&cx.layout)?.list()?.iter().map(|image| images::Row::of_image(image, "")).collect())
}

fn of_project(args: &Args, cx: &mut Context) -> Result<Vec<images::Row>, crate::cli::exit::Error> {
    let target = cx.target(&args.services)?;
    let found = containers::list(&cx.layout, Some(&target.name)).containers;
    let store = Store::open(&cx.layout)?;
    let known: HashMap<String, crate::image::Image> =
        store.list()?.into_iter().map(|image| (image.id.as_str().to_owned(), image)).collect();
    let chosen = found.iter().filter(|c| args.services.is_empty() || args.services.contains(&c.record.service));
    let rows = chosen.map(|container| match known.get(container.record.image_id.as_str()) {
        Some(image) => images::Row::of_container(&container.record, image),
        None => images::Row::without_image(&container.record),
    });
    Ok(rows.collect())
}
