//! Every image that the services of a project name, whether they are on or not: their own, those of their hooks and those
//! whose files they mount. What is built is named by its Dockerfile, not here.

use super::tree::Node;

/// An image that a Compose file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUse {
    pub service: String,
    /// As it is written, with variables resolved.
    pub image: String,
    /// What it is for, in words: `service web`, `pre_start of web`.
    pub role: String,
}

/// In the order of the file.
pub fn named(root: &Node) -> Vec<ImageUse> {
    let mut found = Vec::new();
    for (service, entry) in root.get("services").and_then(|entry| entry.value.entries()).into_iter().flatten() {
        let mut push = |image: Option<&str>, role: String| {
            if let Some(image) = image.filter(|image| !image.is_empty()) {
                found.push(ImageUse { service: service.clone(), image: image.to_owned(), role });
            }
        };
        let value = &entry.value;
        if value.get("build").is_none_or(|build| build.value.is_null()) {
            push(value.text_at(&["image"]), format!("service {service}"));
        }
        for hook in value.get("pre_start").map(|entry| entry.value.items()).unwrap_or_default() {
            push(hook.text_at(&["image"]), format!("pre_start of {service}"));
        }
        for volume in value.get("volumes").map(|entry| entry.value.items()).unwrap_or_default() {
            if volume.text_at(&["type"]) == Some("image") {
                push(volume.text_at(&["source"]), format!("volume of {service}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::tree;

    #[test]
    fn images_of_services_hooks_and_volumes_are_named_and_those_of_builds_are_not() {
        let text = "
services:
  web:
    image: nginx:1
    pre_start: [{command: [a], image: 'tool:1'}, {command: [b]}]
    volumes: [{type: image, source: 'data:1', target: /d}, {type: bind, source: /x, target: /x}]
  own: {image: 'own:1', build: {context: .}}
  bare: {image: ''}
";
        let mut findings = Vec::new();
        let documents = tree::parse(0, text, &mut findings);
        let told: Vec<String> = named(&documents[0])
            .into_iter()
            .map(|used| format!("{} {} ({})", used.service, used.image, used.role))
            .collect();
        let expected = ["web nginx:1 (service web)", "web tool:1 (pre_start of web)", "web data:1 (volume of web)"];
        assert_eq!(told, expected);
    }
}
