//! `build`: a context alone, and what else has a short form there.

use super::pass::{Pass, entry};
use crate::compose::tree::{Kind, Node};
use std::rc::Rc;

/// The context alone as a mapping. A build without context has the directory its text starts at.
pub fn long(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Scalar { .. } if !node.is_null() => {
            let context = [("context".to_owned(), entry(node.clone()))];
            Rc::new(node.with(Kind::Mapping(context.into_iter().collect())))
        }
        _ => pass.with_default(node, "context", Kind::string(".")),
    }
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn every_short_form_of_a_build_becomes_a_long_one() {
        check(&[
            ("build: .", r#"{"context":"/w"}"#),
            ("build: {}", r#"{"context":"/w"}"#),
            ("build: {dockerfile: D}", r#"{"dockerfile":"D","context":"/w"}"#),
            (r#"build: {context: ""}"#, r#"{"context":""}"#),
            (
                "build: {args: [A=1, B, C=], labels: [a=1, b]}",
                r#"{"args":{"A":"1","B":null,"C":""},"labels":{"a":"1","b":""},"context":"/w"}"#,
            ),
            (
                "build: {args: {A: 1, B: null, C: true, D: 1.0}}",
                r#"{"args":{"A":"1","B":null,"C":"true","D":"1"},"context":"/w"}"#,
            ),
            ("build: {ssh: [default, a=x, b=/y]}", r#"{"ssh":{"default":null,"a":"/w/x","b":"/y"},"context":"/w"}"#),
            ("build: {ssh: {default: null, a: ~/x}}", r#"{"ssh":{"default":null,"a":"/home/u/x"},"context":"/w"}"#),
            ("build: {ssh: [a]}", r#"15: `build.ssh[0]` has an invalid ssh key "a""#),
            (
                "build: {additional_contexts: [a=./x, b=docker-image://alpine, c=d=e]}",
                r#"{"additional_contexts":{"a":"/w/x","b":"docker-image://alpine","c":"/w/d=e"},"context":"/w"}"#,
            ),
            (
                r#"build: {additional_contexts: {a: ../x, b: "service:b", c: "oci-layout:///x"}}"#,
                r#"{"additional_contexts":{"a":"/x","b":"service:b","c":"oci-layout:///x"},"context":"/w"}"#,
            ),
            (
                "build: {additional_contexts: [a]}",
                r#"31: `build.additional_contexts[0]` has the invalid value "a", expected key=value"#,
            ),
            (
                r#"build: {no_cache: true, pull: "false", privileged: "true", shm_size: 1g, provenance: true, sbom: x, no_cache_filter: a}"#,
                r#"{"no_cache":true,"pull":false,"privileged":true,"shm_size":"1073741824","provenance":"true","sbom":"x","no_cache_filter":["a"],"context":"/w"}"#,
            ),
            (
                r#"build: {extra_hosts: [a=1.1.1.1], ulimits: {nofile: "5"}, secrets: [c, {source: d, mode: 0440}], tags: [x, x]}"#,
                r#"{"extra_hosts":["a=1.1.1.1"],"ulimits":{"nofile":5},"secrets":[{"source":"c"},{"source":"d","mode":288}],"tags":["x"],"context":"/w"}"#,
            ),
        ]);
    }
}
