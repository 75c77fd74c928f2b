//! `devices`, and requests for devices of a driver: `gpus` and `deploy.resources.reservations.devices`.

use super::pass::{Pass, entry};
use crate::compose::tree::{Kind, Mapping, Node};
use std::rc::Rc;

const ALL_PERMISSIONS: &str = "rwm";

/// `HOST[:CONTAINER[:PERMISSIONS]]` as a mapping.
pub fn long(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Some(text) = node.string() else { return node.clone() };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match *parts.as_slice() {
        [source] => (source, "", ""),
        [source, target] => (source, target, ""),
        [source, target, permissions] => (source, target, permissions),
        _ if pass.is_open(text) => return node.clone(),
        _ => {
            let what = format!("is a confusing device mapping, please use long syntax: \"{text}\"");
            pass.error_with_help(node.span, what, "write `source`, `target` and `permissions` below each other");
            return node.clone();
        }
    };
    if source.is_empty() {
        pass.error_with_help(node.span, format!("names no device: \"{text}\""), "write `HOST:CONTAINER:rwm`");
        return node.clone();
    }
    let piece = |start: usize, part: &str| entry(pass.piece(node, start..start + part.len()));
    let mut device = Mapping::with_capacity(3);
    device.insert("source".into(), piece(0, source));
    let target_start = source.len() + 1;
    device.insert(
        "target".into(),
        match target.is_empty() {
            true => entry(pass.implied(node.span, Kind::string(source))),
            false => piece(target_start, target),
        },
    );
    device.insert(
        "permissions".into(),
        match permissions.is_empty() {
            true => entry(pass.implied(node.span, Kind::string(ALL_PERMISSIONS))),
            false => piece(target_start + target.len() + 1, permissions),
        },
    );
    Rc::new(node.with(Kind::Mapping(device)))
}

/// A device is in the container where it is on the host.
pub fn target(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match node.get("source").and_then(|source| source.value.scalar()) {
        Some(source) => pass.with_default(node, "target", Kind::string(source)),
        None => node.clone(),
    }
}

/// `gpus: all`
pub fn all_gpus(_: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Scalar { .. } if !node.is_null() => {
            let count = [("count".to_owned(), entry(node.clone()))];
            let request = Rc::new(node.with(Kind::Mapping(count.into_iter().collect())));
            Rc::new(node.with(Kind::Sequence(vec![request])))
        }
        _ => node.clone(),
    }
}

/// A request is for a number of devices, or for certain ones.
pub fn request(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match (node.get("count"), node.get("device_ids")) {
        (Some(count), Some(ids)) => {
            let what = "has \"count\" and \"device_ids\" attributes, which are exclusive";
            pass.error_because(ids.key, what, count.key, "given here as well");
            node.clone()
        }
        (None, None) => pass.with_default(node, "count", Kind::string("all")),
        _ => node.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn short_devices_become_long_ones() {
        check(&[
            ("devices: [/dev/a]", r#"[{"source":"/dev/a","target":"/dev/a","permissions":"rwm"}]"#),
            (r#"devices: ["/dev/a:/dev/b"]"#, r#"[{"source":"/dev/a","target":"/dev/b","permissions":"rwm"}]"#),
            (r#"devices: ["/dev/a:/dev/b:r"]"#, r#"[{"source":"/dev/a","target":"/dev/b","permissions":"r"}]"#),
            (r#"devices: ["/dev/a::r"]"#, r#"[{"source":"/dev/a","target":"/dev/a","permissions":"r"}]"#),
            (
                r#"devices: ["vendor.com/class=x"]"#,
                r#"[{"source":"vendor.com/class=x","target":"vendor.com/class=x","permissions":"rwm"}]"#,
            ),
            ("devices: [{source: /dev/a}]", r#"[{"source":"/dev/a","target":"/dev/a"}]"#),
            (
                r#"devices: ["/dev/a", {source: /dev/b, target: /dev/a, permissions: r}]"#,
                r#"[{"source":"/dev/b","target":"/dev/a","permissions":"r"}]"#,
            ),
            (
                r#"devices: ["/dev/a:/dev/b:r:x"]"#,
                r#"11: `devices[0]` is a confusing device mapping, please use long syntax: "/dev/a:/dev/b:r:x""#,
            ),
            (r#"devices: [":/dev/b"]"#, r#"11: `devices[0]` names no device: ":/dev/b""#),
        ]);
    }

    #[test]
    fn requests_are_for_a_number_of_devices() {
        check(&[
            ("gpus: all", r#"[{"count":-1}]"#),
            ("gpus: [{driver: nvidia}]", r#"[{"driver":"nvidia","count":-1}]"#),
            (
                "gpus: [{count: 2, capabilities: [gpu], options: {a: 1}}]",
                r#"[{"count":2,"capabilities":["gpu"],"options":{"a":"1"}}]"#,
            ),
            (r#"gpus: [{device_ids: ["0"]}]"#, r#"[{"device_ids":["0"]}]"#),
            (
                "gpus: [{count: few}]",
                r#"16: `gpus[0].count` is invalid value "few", the only value allowed is 'all' or a number"#,
            ),
            (
                r#"gpus: [{count: 1, device_ids: ["0"]}]"#,
                r#"19: `gpus[0]` has "count" and "device_ids" attributes, which are exclusive"#,
            ),
            (
                r#"deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}, {count: "2", options: [a=1]}, {count: ALL}]}}}"#,
                r#"{"resources":{"reservations":{"devices":[{"capabilities":["gpu"],"count":-1},{"count":2,"options":{"a":"1"}},{"count":-1}]}}}"#,
            ),
        ]);
    }
}
