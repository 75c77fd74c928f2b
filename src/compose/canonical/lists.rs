//! Lists: single values that stand for a list of one, and items that are texts.

use super::{pass::Pass, scalars};
use crate::compose::tree::{Kind, Node};
use std::rc::Rc;

/// A single value as a list of one.
pub fn one_or_more(_: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Scalar { .. } if !node.is_null() => Rc::new(node.with(Kind::Sequence(vec![node.clone()]))),
        _ => node.clone(),
    }
}

/// A list in which numbers are texts.
pub fn texts(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let Kind::Sequence(items) = &node.kind else { return node.clone() };
    let items = items.iter().map(|item| scalars::text(pass, item)).collect();
    Rc::new(node.with(Kind::Sequence(items)))
}

/// Empty items say nothing: a variable that is not set, most often.
pub fn without_empty(_: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    match &node.kind {
        Kind::Sequence(items) if items.iter().any(|item| item.scalar() == Some("")) => {
            let items = items.iter().filter(|item| item.scalar() != Some("")).cloned().collect();
            Rc::new(node.with(Kind::Sequence(items)))
        }
        _ => node.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn single_values_become_lists_without_duplicates() {
        check(&[
            ("dns: 1.1.1.1", r#"["1.1.1.1"]"#),
            ("dns: [1.1.1.1, 8.8.8.8, 1.1.1.1]", r#"["1.1.1.1","8.8.8.8"]"#),
            (r#"dns: ["", 1.1.1.1]"#, r#"["1.1.1.1"]"#),
            (r#"dns: """#, "[]"),
            ("dns_search: a.b", r#"["a.b"]"#),
            ("dns_opt: [a, b, a]", r#"["a","b"]"#),
            (r#"tmpfs: "/run:size=64m""#, r#"["/run:size=64m"]"#),
            (r#"tmpfs: [/a, "/b:size=1m", /a]"#, r#"["/a","/b:size=1m"]"#),
            (r#"expose: [80, "81", "82-84/udp", "80"]"#, r#"["80","81","82-84/udp"]"#),
            ("group_add: [a, 1000]", r#"["a","1000"]"#),
            ("cap_add: [A, B, A]", r#"["A","B"]"#),
            ("profiles: [a, a]", r#"["a"]"#),
        ]);
    }
}
