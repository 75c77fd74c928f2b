//! Secrets and configs: where their bytes come from, and where a service has them.

use super::pass::{Pass, entry};
use crate::compose::tree::{Kind, Node};
use std::rc::Rc;

/// `name` as `{source: name}`.
pub fn long(_: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Scalar { .. } if !node.is_null() => {
            let source = [("source".to_owned(), entry(node.clone()))];
            Rc::new(node.with(Kind::Mapping(source.into_iter().collect())))
        }
        _ => node.clone(),
    }
}

/// Secrets of a service are below `/run/secrets`. A target that is written stays as it is.
pub fn secret_target(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match node.get("source").and_then(|source| source.value.scalar()) {
        Some(source) => {
            let target = format!("/run/secrets/{source}");
            pass.with_default(node, "target", Kind::string(target))
        }
        None => node.clone(),
    }
}

/// All secrets have one source of bytes.
pub fn secret_sources(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    sources(pass, node, &["file", "environment"])
}

/// All configs have one source of bytes.
pub fn config_sources(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    sources(pass, node, &["file", "environment", "content"])
}

fn sources(pass: &mut Pass<'_>, node: &Rc<Node>, keys: &[&str]) -> Rc<Node> {
    let Kind::Mapping(objects) = &node.kind else { return node.clone() };
    for (name, object) in objects {
        let Kind::Mapping(entries) = &object.value.kind else { continue };
        let mut given = keys.iter().filter_map(|key| entries.get_key_value(*key));
        pass.at_key(name, |pass| match (given.next(), given.next()) {
            (Some((_, first)), Some((_, second))) => {
                let what = format!("has {} attributes, which are mutually exclusive", keys.join("|"));
                pass.error_because(second.key, what, first.key, "given here as well");
            }
            (None, _) if !entries.contains_key("driver") && !entries.contains_key("external") => {
                pass.error(object.key, format!("has no source: one of {} must be set", keys.join("|")));
            }
            _ => {}
        });
    }
    node.clone()
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn names_become_files() {
        check(&[
            ("configs: [c, {source: d}]", r#"[{"source":"c"},{"source":"d"}]"#),
            (
                r#"configs: [{source: c, target: /x, uid: 1, gid: "2", mode: 0440}]"#,
                r#"[{"source":"c","target":"/x","uid":"1","gid":"2","mode":288}]"#,
            ),
            (r#"configs: [{source: c, mode: "0440"}]"#, r#"[{"source":"c","mode":288}]"#),
            ("configs: [c, {source: d, target: /c}]", r#"[{"source":"d","target":"/c"}]"#),
            ("secrets: [c]", r#"[{"source":"c","target":"/run/secrets/c"}]"#),
            ("secrets: [{source: c, target: x, mode: 288}]", r#"[{"source":"c","target":"x","mode":288}]"#),
            (
                "secrets: [c, {source: c, target: x}, {source: d, target: /run/secrets/c}]",
                r#"[{"source":"d","target":"/run/secrets/c"},{"source":"c","target":"x"}]"#,
            ),
            (
                r#"configs: [{source: c, mode: "899"}]"#,
                r#"29: `configs[0].mode` must be file permissions, not the string "899""#,
            ),
        ]);
    }
}
