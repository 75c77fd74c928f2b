//! `WWW-Authenticate` (RFC 9110 section 11.6.1): what a registry wants to see. Pure.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// The challenge to answer, Bearer first; `None` when there is none that is known.
pub fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for header in headers {
        for (scheme, mut parameters) in split(header) {
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameters.remove("realm")
            {
                let (service, scope) = (parameters.remove("service"), parameters.remove("scope"));
                return Some(Challenge::Bearer { realm, service, scope });
            }
        }
    }
    basic
}

/// `Bearer realm="a",service="b", Basic realm="c"` to schemes with their parameters.
fn split(header: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut schemes: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return schemes;
        }
        let Some(value) = after.trim_start().strip_prefix('=') else {
            schemes.push((word.to_owned(), BTreeMap::new()));
            rest = after;
            continue;
        };
        let (value, after) = value_of(value.trim_start());
        if let Some((_, parameters)) = schemes.last_mut() {
            parameters.insert(word.to_ascii_lowercase(), value);
        }
        rest = after;
    }
}

/// A token or a quoted string, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((position, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[position + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.into(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_are_read() {
        for (headers, expected) in [
            (
                &[
                    r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:x:pull""#,
                ][..],
                bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:x:pull")),
            ),
            (&[r#"bearer Realm="https://a/\"t,x" , service=s"#], bearer("https://a/\"t,x", Some("s"), None)),
            (&[r#"Basic realm="Registry""#], Some(Challenge::Basic)),
            (&[r#"Basic realm="r", Bearer realm="https://t""#], bearer("https://t", None, None)),
            (&[r#"Basic realm="r""#, r#"Bearer realm="https://t""#], bearer("https://t", None, None)),
            (&["Bearer"], None),
            (&["Negotiate"], None),
            (&[""], None),
            (&[r#"Bearer realm="unclosed"#], bearer("unclosed", None, None)),
        ] {
            assert_eq!(parse(headers.iter().copied()), expected, "{headers:?}");
        }
    }
}
