//! `bundle`: what one holds.

use super::{Format, duration::size, table};
use crate::bundle::Index;

pub fn render(index: &Index, format: Format) -> serde_json::Result<String> {
    if format == Format::Json {
        return Ok(serde_json::to_string(index)? + "\n");
    }
    let short = |digest: &str| digest.chars().take("sha256:".len() + 12).collect::<String>();
    let mut rows =
        vec![["model".to_owned(), index.project.clone(), short(&index.model.digest), size(index.model.size)]];
    rows.extend(
        index.files.iter().map(|files| ["files".into(), String::new(), short(&files.digest), size(files.size)]),
    );
    let images = index.images.iter();
    rows.extend(images.map(|image| ["image".into(), image.image.clone(), short(&image.manifest), size(image.size)]));
    let volumes = index.volumes.iter();
    rows.extend(volumes.map(|v| ["volume".into(), v.name.clone(), short(&v.digest), size(v.size)]));
    rows.extend(index.outside.iter().map(|what| ["outside".into(), what.clone(), String::new(), String::new()]));
    Ok(table::render(["KIND", "NAME", "DIGEST", "SIZE"], rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Blob, ImageEntry, VolumeEntry};

    #[test]
    fn all_that_a_bundle_holds_and_needs_is_listed() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let index = Index {
            muster_bundle: 1,
            project: "shop".into(),
            platform: "linux/amd64".into(),
            model: Blob { digest: digest("a"), size: 1_200 },
            lock: Blob { digest: digest("b"), size: 300 },
            files: Some(Blob { digest: digest("c"), size: 12_000 }),
            images: vec![ImageEntry {
                image: "nginx:1".into(),
                names: Vec::new(),
                id: digest("d"),
                manifest: digest("e"),
                media_type: String::new(),
                size: 60_000_000,
            }],
            volumes: vec![VolumeEntry {
                name: "shop_data".into(),
                external: false,
                labels: indexmap::IndexMap::new(),
                digest: digest("f"),
                size: 5_000,
            }],
            outside: vec!["path /etc/x for bind of web".into()],
            blobs: std::collections::BTreeMap::new(),
        };
        insta::assert_snapshot!(render(&index, Format::Table).unwrap(), @r"
        KIND      NAME                          DIGEST                SIZE
        model     shop                          sha256:aaaaaaaaaaaa   1.2kB
        files                                   sha256:cccccccccccc   12kB
        image     nginx:1                       sha256:eeeeeeeeeeee   60MB
        volume    shop_data                     sha256:ffffffffffff   5kB
        outside   path /etc/x for bind of web
        ");
    }
}
