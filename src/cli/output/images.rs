//! `images`: the images that containers run, or that this host has.

use super::{Format, duration, table};
use crate::{
    image::{Image, Reference},
    state::records::ContainerRecord,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// An image. Field names and their order are docker compose's.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "Image", deny_unknown_fields)]
pub struct Row {
    #[serde(rename = "ID")]
    pub id: String,
    /// Empty in the list of all images of this host.
    container_name: String,
    /// `<none>` where it has no name.
    repository: String,
    /// `<none>` where it has none.
    tag: String,
    /// Empty where it is not known, as of a plain directory.
    platform: String,
    /// Bytes.
    size: u64,
    /// RFC 3339.
    created: Option<String>,
    /// Is not known.
    last_tag_time: Option<String>,
}

impl Row {
    /// The name under which the image is on this host.
    pub fn of_image(image: &Image, container: &str) -> Self {
        let (repository, tag) = name(&image.reference);
        Self {
            id: image.id.as_str().to_owned(),
            container_name: container.to_owned(),
            repository,
            tag,
            platform: image.platform.clone(),
            size: image.size,
            created: image.created.clone(),
            last_tag_time: None,
        }
    }

    /// The name is the one that the service uses.
    pub fn of_container(record: &ContainerRecord, image: &Image) -> Self {
        let (repository, tag) = written_name(&record.applied.image);
        Self { repository, tag, ..Self::of_image(image, &record.name) }
    }

    /// A plain directory, or an image that was removed since.
    pub fn without_image(record: &ContainerRecord) -> Self {
        let (repository, tag) = written_name(&record.applied.image);
        Self {
            id: record.image_id.as_str().to_owned(),
            container_name: record.name.clone(),
            repository,
            tag,
            platform: String::new(),
            size: 0,
            created: None,
            last_tag_time: None,
        }
    }

    fn short_id(&self) -> &str {
        let digits = self.id.strip_prefix("sha256:").unwrap_or(&self.id);
        if digits.len() == self.id.len() { digits } else { digits.get(..12).unwrap_or(digits) }
    }
}

fn written_name(image: &str) -> (String, String) {
    Reference::parse(image).map_or_else(|_| (image.to_owned(), "<none>".to_owned()), |reference| name(&reference))
}

fn name(reference: &Reference) -> (String, String) {
    let none = || "<none>".to_owned();
    match reference {
        Reference::Registry(name) => (name.familiar_repository(), name.tag().map_or_else(none, str::to_owned)),
        Reference::Id(_) => (none(), none()),
        transport => (transport.to_string(), none()),
    }
}

/// `of_host` has no containers to show.
pub fn render(rows: &[Row], format: Format, of_host: bool, now: Timestamp) -> serde_json::Result<String> {
    if format == Format::Json {
        return Ok(serde_json::to_string(rows)? + "\n");
    }
    let created = |row: &Row| match &row.created {
        Some(time) => format!("{} ago", duration::human(duration::since(time, now))),
        None => "N/A".into(),
    };
    let cells = |row: &Row| {
        [
            row.repository.clone(),
            row.tag.clone(),
            row.platform.clone(),
            row.short_id().to_owned(),
            duration::size(row.size),
            created(row),
        ]
    };
    let header = ["REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"];
    if of_host {
        return Ok(table::render(header, rows.iter().map(cells)));
    }
    let [a, b, c, d, e, f] = header;
    let with_container = rows.iter().map(|row| {
        let [a, b, c, d, e, f] = cells(row);
        [row.container_name.clone(), a, b, c, d, e, f]
    });
    Ok(table::render(["CONTAINER", a, b, c, d, e, f], with_container))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::containers::tests::record, state::records::Status};

    #[test]
    fn an_image_that_is_gone_is_listed_by_the_name_in_the_file() {
        let mut record = record("web", 1, Status::Created);
        record.applied.image = "localhost:5000/shop/web:3".into();
        let rows = [Row::without_image(&record)];
        let now = "2026-11-22T10:00:09Z".parse().unwrap();
        insta::assert_snapshot!(render(&rows, Format::Table, false, now).unwrap(), @r"
        CONTAINER   REPOSITORY                TAG   PLATFORM   IMAGE ID   SIZE   CREATED
        app-web-1   localhost:5000/shop/web   3                aa         0B     N/A
        ");
        insta::assert_snapshot!(render(&rows, Format::Json, false, now).unwrap(), @r#"[{"ID":"sha256:aa","ContainerName":"app-web-1","Repository":"localhost:5000/shop/web","Tag":"3","Platform":"","Size":0,"Created":null,"LastTagTime":null}]"#);
    }
}
