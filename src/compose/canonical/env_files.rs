//! `env_file`: a list of `{path, required}`.

use super::{
    lists,
    pass::{Pass, entry},
};
use crate::compose::tree::{Kind, Node};
use std::rc::Rc;

pub fn long(pass: &mut Pass<'_>, node: &Rc<Node>) -> Rc<Node> {
    let node = match &node.kind {
        Kind::Mapping(_) => Rc::new(node.with(Kind::Sequence(vec![node.clone()]))),
        _ => lists::one_or_more(pass, node),
    };
    let Kind::Sequence(items) = &node.kind else { return node };
    let items = items.iter().map(|item| file(pass, item)).collect();
    Rc::new(node.with(Kind::Sequence(items)))
}

fn file(pass: &Pass<'_>, item: &Rc<Node>) -> Rc<Node> {
    let item = match &item.kind {
        Kind::Scalar { .. } if !item.is_null() => {
            let path = [("path".to_owned(), entry(item.clone()))];
            Rc::new(item.with(Kind::Mapping(path.into_iter().collect())))
        }
        _ => item.clone(),
    };
    pass.with_default(&item, "required", Kind::typed("true"))
}

#[cfg(test)]
mod tests {
    use crate::compose::canonical::testing::check;

    #[test]
    fn env_files_are_a_list_of_paths() {
        check(&[
            ("env_file: a.env", r#"[{"path":"/w/a.env","required":true}]"#),
            (
                "env_file: [a.env, ./b.env, ~/c.env, /d/../e.env]",
                r#"[{"path":"/w/a.env","required":true},{"path":"/w/b.env","required":true},{"path":"/home/u/c.env","required":true},{"path":"/d/../e.env","required":true}]"#,
            ),
            ("env_file: {path: a.env}", r#"[{"path":"/w/a.env","required":true}]"#),
            (
                r#"env_file: [{path: a.env, required: "false", format: raw}]"#,
                r#"[{"path":"/w/a.env","required":false,"format":"raw"}]"#,
            ),
            ("env_file: [a.env, {path: ./a.env, required: false}]", r#"[{"path":"/w/a.env","required":false}]"#),
            (r#"env_file: """#, "11: `env_file[0].path` has a value that can't be blank"),
            ("label_file: a.labels", r#"["/w/a.labels"]"#),
            ("label_file: [a.labels, /b]", r#"["/w/a.labels","/b"]"#),
        ]);
    }
}
