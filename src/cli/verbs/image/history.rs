//! `muster image history`: how an image came to be, newest step first.

use crate::{
    cli::{
        context::Context,
        exit::{Code, Outcome},
        output::{Format, duration, image_list::since, table},
    },
    image::Store,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::Write;

const WIDTH: usize = 45;

/// Show the history of an image
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Output format; JSON is an object a line
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Do not shorten
    #[arg(long)]
    no_trunc: bool,
    /// Only show ids
    #[arg(short, long)]
    quiet: bool,
    /// Name or id
    image: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    history: Option<Vec<Step>>,
}

#[derive(Deserialize)]
struct Step {
    created: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

/// A step by which an image was made. Field names are docker's.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ImageStep", deny_unknown_fields)]
pub struct Row {
    /// Of the last step; `<missing>` of those before, which are no images.
    #[serde(rename = "ID")]
    id: String,
    /// RFC 3339; empty where the image does not say.
    created_at: String,
    created_since: String,
    created_by: String,
    /// Of the files that it added: `78.1MB`
    size: String,
    comment: String,
}

pub fn run(args: Args, cx: &mut Context) -> Outcome {
    let store = Store::open(&cx.layout)?;
    let image = store.resolve(&args.image)?;
    let document = store.configuration(&image)?.and_then(|bytes| serde_json::from_slice::<Document>(&bytes).ok());
    let steps = document.and_then(|document| document.history).unwrap_or_default();
    let sizes = store.layer_sizes(&image);
    let mut sizes = sizes.into_iter();
    let now = Timestamp::now();
    let mut rows: Vec<Row> = steps
        .into_iter()
        .map(|step| {
            let size = if step.empty_layer { 0 } else { sizes.next().unwrap_or(0) };
            Row {
                id: "<missing>".into(),
                created_since: since(step.created.as_deref(), now),
                created_at: step.created.unwrap_or_default(),
                created_by: step.created_by.unwrap_or_default(),
                size: duration::size(size),
                comment: step.comment.unwrap_or_default(),
            }
        })
        .collect();
    if let Some(last) = rows.last_mut() {
        let id = image.id.as_str();
        last.id = if args.no_trunc { id.to_owned() } else { image.id.short().to_owned() };
    }
    rows.reverse();
    let text = match (args.quiet, args.format) {
        (true, _) => rows.iter().map(|row| format!("{}\n", row.id)).collect(),
        (false, Format::Json) => rows
            .iter()
            .map(|row| Ok(serde_json::to_string(row)? + "\n"))
            .collect::<serde_json::Result<String>>()
            .map_err(std::io::Error::from)?,
        (false, Format::Table) => table::render(
            ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"],
            rows.into_iter().map(|row| {
                // One line a step, whatever its script has.
                let by: String = row.created_by.split_whitespace().collect::<Vec<_>>().join(" ");
                let by = if args.no_trunc { by } else { table::ellipsis(&by, WIDTH) };
                [row.id, row.created_since, by, row.size, row.comment]
            }),
        ),
    };
    cx.out.write_all(text.as_bytes())?;
    Ok(Code::SUCCESS)
}
