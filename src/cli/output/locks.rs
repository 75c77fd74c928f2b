//! `lock`: what became of each image's entry.

use super::{Format, table};
use schemars::JsonSchema;
use serde::Serialize;

/// An image that a project takes from a registry, and its entry in the lock.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Row {
    /// As the files write it.
    pub image: String,
    pub change: Change,
    /// `sha256:...` as it was; `None` where it was not locked.
    pub from: Option<String>,
    /// As it is now; `None` where it is not locked.
    pub to: Option<String>,
    /// `service web`, `build of api`
    pub used_by: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Kept,
    Added,
    Updated,
    Removed,
    /// Not in the lock; with `--check`.
    Missing,
    /// In the lock, and nothing uses it.
    Unused,
    /// No registry decides what it means.
    Local,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Missing => "missing",
            Self::Unused => "unused",
            Self::Local => "local",
        }
    }

    /// Whether the lock is not what the project needs.
    pub fn is_drift(self) -> bool {
        !matches!(self, Self::Kept | Self::Local)
    }
}

pub fn render(rows: &[Row], format: Format) -> serde_json::Result<String> {
    match format {
        Format::Json => Ok(serde_json::to_string(rows)? + "\n"),
        Format::Table => {
            let row = |row: &Row| {
                let digest = match (&row.from, &row.to) {
                    (Some(from), Some(to)) if from != to => format!("{} -> {}", short(from), short(to)),
                    (_, Some(to)) => short(to),
                    (Some(from), None) => short(from),
                    (None, None) => String::new(),
                };
                [row.image.clone(), row.change.word().to_owned(), digest, row.used_by.join(", ")]
            };
            Ok(table::render(["IMAGE", "CHANGE", "DIGEST", "USED BY"], rows.iter().map(row)))
        }
    }
}

fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_both_digests() {
        let digest = |digit: &str| Some(format!("sha256:{}", digit.repeat(64)));
        let row = |image: &str, change, from, to| Row {
            image: image.into(),
            change,
            from,
            to,
            used_by: vec!["service a".into(), "build of b".into()],
        };
        let rows = [
            row("a:1", Change::Kept, digest("a"), digest("a")),
            row("b:1", Change::Updated, digest("a"), digest("b")),
            row("c:1", Change::Added, None, digest("c")),
            row("d:1", Change::Removed, digest("d"), None),
        ];
        insta::assert_snapshot!(render(&rows, Format::Table).unwrap(), @r"
        IMAGE   CHANGE    DIGEST                                       USED BY
        a:1     kept      sha256:aaaaaaaaaaaa                          service a, build of b
        b:1     updated   sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb   service a, build of b
        c:1     added     sha256:cccccccccccc                          service a, build of b
        d:1     removed   sha256:dddddddddddd                          service a, build of b
        ");
        insta::assert_snapshot!(render(&rows[3..], Format::Json).unwrap(), @r#"[{"image":"d:1","change":"removed","from":"sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","to":null,"used_by":["service a","build of b"]}]"#);
    }
}
