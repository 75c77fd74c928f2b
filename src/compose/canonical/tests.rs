//! What holds for the whole phase; the forms of single attributes are tested where they are made.

use super::{
    rules::RULES,
    testing::{canonical, file, json, warnings, with_context},
    *,
};
use crate::compose::tree::{self, Kind};

#[test]
fn resources_of_the_top_level_become_canonical() {
    for (written, expected) in [
        (
            "networks: {n: , m: {external: 'true', internal: 'false', enable_ipv6: true}}",
            r#"{"networks":{"n":null,"m":{"external":true,"internal":false,"enable_ipv6":true}}}"#,
        ),
        ("networks: {n: {external: {name: x}}}", r#"{"networks":{"n":{"external":true,"name":"x"}}}"#),
        ("networks: {n: {external: {}, name: x}}", r#"{"networks":{"n":{"external":true,"name":"x"}}}"#),
        (
            "networks: {n: {driver_opts: {a: 1}, labels: [a=1, b], ipam: {config: [{aux_addresses: {a: 1.1.1.1}}]}}}",
            r#"{"networks":{"n":{"driver_opts":{"a":"1"},"labels":{"a":"1","b":""},"ipam":{"config":[{"aux_addresses":{"a":"1.1.1.1"}}]}}}}"#,
        ),
        (
            "volumes: {v: {driver: local, driver_opts: {o: bind, device: ./x}}}",
            r#"{"volumes":{"v":{"driver":"local","driver_opts":{"o":"bind","device":"/w/x"}}}}"#,
        ),
        (
            "volumes: {v: {driver: local, driver_opts: {o: 'bind,ro', device: ./x}}}",
            r#"{"volumes":{"v":{"driver":"local","driver_opts":{"o":"bind,ro","device":"./x"}}}}"#,
        ),
        (
            "volumes: {v: {external: true, name: x, x-a: 1}}",
            r#"{"volumes":{"v":{"external":true,"name":"x","x-a":1}}}"#,
        ),
        (
            "secrets: {s: {file: ~/s, labels: [a]}, t: {environment: T}, u: {external: false}}",
            r#"{"secrets":{"s":{"file":"/home/u/s","labels":{"a":""}},"t":{"environment":"T"},"u":{"external":false}}}"#,
        ),
        ("configs: {c: {content: 1 2}, d: {file: ../d}}", r#"{"configs":{"c":{"content":"1 2"},"d":{"file":"/d"}}}"#),
        ("models: {m: {model: x, context_size: '10'}}", r#"{"models":{"m":{"model":"x","context_size":10}}}"#),
        ("x-a: {ports: ['80'], b: 0x10, c: yes, d: }", r#"{"x-a":{"ports":["80"],"b":16,"c":"yes","d":null}}"#),
    ] {
        assert_eq!(file(written), expected, "{written}");
    }
}

#[test]
fn what_contradicts_itself_is_told_of_all_at_once() {
    let text = "\
networks:
  n: {external: {name: a}, name: b}
volumes:
  v: {external: true, driver: x, labels: {a: b}}
secrets:
  s: {file: a, environment: b}
  t: {}
configs:
  c: {content: a, file: b}
services:
  w: {develop: {watch: [{path: '', action: rebuild}]}}
";
    insta::assert_snapshot!(canonical(text).1.render(false), @r#"
    warning: `networks.n` has external.name, which is deprecated
     --> compose.yaml:2:18
      |
    2 |   n: {external: {name: a}, name: b}
      |                  ^^^^
      |
      = help: write `external: true`, and `name` beside it

    error: `networks.n` has a name and external.name that conflict; only use name
     --> compose.yaml:2:24
      |
    2 |   n: {external: {name: a}, name: b}
      |                        ^         - named otherwise here

    error: `volumes.v` has conflicting parameters "external" and "driver" specified
     --> compose.yaml:4:23
      |
    4 |   v: {external: true, driver: x, labels: {a: b}}
      |                       ^^^^^^

    error: `volumes.v` has conflicting parameters "external" and "labels" specified
     --> compose.yaml:4:34
      |
    4 |   v: {external: true, driver: x, labels: {a: b}}
      |                                  ^^^^^^

    error: `secrets.s` has file|environment attributes, which are mutually exclusive
     --> compose.yaml:6:16
      |
    6 |   s: {file: a, environment: b}
      |       ----     ^^^^^^^^^^^
      |       |
      |       given here as well

    error: `secrets.t` has no source: one of file|environment must be set
     --> compose.yaml:7:3
      |
    7 |   t: {}
      |   ^

    error: `configs.c` has file|environment|content attributes, which are mutually exclusive
     --> compose.yaml:9:7
      |
    9 |   c: {content: a, file: b}
      |       ^^^^^^^     ---- given here as well

    error: `services.w.develop.watch[0].path` has a value that can't be blank
      --> compose.yaml:11:32
       |
    11 |   w: {develop: {watch: [{path: '', action: rebuild}]}}
       |                                ^^
    "#);
}

#[test]
fn what_has_another_meaning_than_it_looks_like_is_warned_of() {
    insta::assert_debug_snapshot!(warnings("volumes: ['v:/data', './a:/b:ro,noocpy,cached', 'vv:/b']"), @r#"
    [
        "2:12: `volumes[0]` has the path `v:/data` of the Windows drive `v:`",
        "2:33: `volumes[1]` has the unknown option `noocpy`, which is ignored",
        "2:49: `volumes[2]` mounts over /b",
    ]
    "#);
    insta::assert_debug_snapshot!(warnings("command: a > b, init: yes"), @r#"
    [
        "2:10: `command` ends at the unquoted `>`, the rest is dropped",
        "2:23: `init` is \"yes\", which YAML 1.2 does not take for a boolean",
    ]
    "#);
}

#[test]
fn paths_of_an_included_text_start_where_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inc.yaml");
    std::fs::write(&path, "services: {w: {volumes: ['./a:/a', '../b:/b', '~/c:/c', /d:/d], build: .}}").unwrap();
    let mut sources = Sources::new(dir.path());
    for (base, resolve_paths, expected) in [
        ("/w/inc", true, "/w/inc/a /w/b /home/u/c /d; /w/inc"),
        ("/w/inc", false, "inc/a b /home/u/c /d; inc"),
        ("/other", false, "/other/a /b /home/u/c /d; /other"),
    ] {
        let (source, text) = sources.read_based(&path, Some(Path::new(base))).unwrap();
        let mut findings = Vec::new();
        let root = tree::parse(source, &text, &mut findings).remove(0);
        let context = Context {
            working_dir: Path::new("/w"),
            home: Some(Path::new("/home/u")),
            sources: &sources,
            resolve_paths,
            interpolated: true,
        };
        let service = json(&canonicalise(&root, &context, &mut findings))["services"]["w"].clone();
        let mounts: Vec<&str> =
            service["volumes"].as_array().unwrap().iter().map(|mount| mount["source"].as_str().unwrap()).collect();
        assert_eq!(format!("{}; {}", mounts.join(" "), service["build"]["context"].as_str().unwrap()), expected);
    }
}

#[test]
fn without_resolving_paths_stay_as_they_are_written() {
    let text = "services: {w: {volumes: ['./x/../a:/a', '~/b:/b'], build: .}}";
    let (root, _) = with_context(text, |context| Context { resolve_paths: false, ..context });
    let service = json(&root)["services"]["w"].clone();
    assert_eq!(service["volumes"][0]["source"], "./x/../a");
    assert_eq!(service["volumes"][1]["source"], "~/b");
    assert_eq!(service["build"]["context"], ".");
}

#[test]
fn without_interpolation_only_forms_change_and_only_where_they_can_be_read() {
    let text = "services: {w: {ports: ['${P}:80', '81:81'], volumes: ['${V}:/a:${O}', './${X}:/b', '${V:-a:b}:/c'], \
            environment: [A=1], mem_limit: 1g, init: '${I}', command: a b, networks: [n], devices: ['${A}:b:c:d']}}";
    let (root, findings) = with_context(text, |context| Context { interpolated: false, ..context });
    assert!(findings.is_empty(), "{}", findings.render(false));
    insta::assert_snapshot!(json(&root)["services"]["w"], @r#"{"ports":["${P}:80",{"mode":"ingress","target":81,"published":"81","protocol":"tcp"}],"volumes":[{"type":"volume","source":"${V}","target":"/a","volume":{}},{"type":"bind","source":"/w/${X}","target":"/b","bind":{"create_host_path":true}},{"type":"volume","source":"${V:-a:b}","target":"/c","volume":{}}],"environment":["A=1"],"mem_limit":"1g","init":"${I}","command":"a b","networks":{"n":null},"devices":["${A}:b:c:d"]}"#);
}

#[test]
fn every_value_keeps_a_place_and_what_no_file_says_has_a_rule() {
    let text = "services: {w: {ports: ['8080:80'], volumes: ['vol:/a:ro']}}";
    let (root, _) = canonical(text);
    let mut lines = Vec::new();
    fn walk(node: &Node, path: &str, text: &str, lines: &mut Vec<String>) {
        match &node.kind {
            Kind::Mapping(entries) => {
                entries.iter().for_each(|(name, entry)| walk(&entry.value, &format!("{path}.{name}"), text, lines));
            }
            Kind::Sequence(items) => items.iter().for_each(|item| walk(item, path, text, lines)),
            Kind::Scalar { text: value, .. } => {
                let rule = node.trail.as_ref().and_then(|trail| trail.implied).unwrap_or("written");
                let place = &text[node.span.start as usize..node.span.end as usize];
                lines.push(format!("{path} = {value}: {rule} at {place}"));
            }
        }
    }
    walk(&root, "", text, &mut lines);
    insta::assert_snapshot!(lines.join("\n"), @r#"
    .services.w.ports.mode = ingress: the default at '8080:80'
    .services.w.ports.target = 80: written at 80
    .services.w.ports.published = 8080: written at 8080
    .services.w.ports.protocol = tcp: the default at '8080:80'
    .services.w.volumes.type = volume: written at 'vol:/a:ro'
    .services.w.volumes.source = vol: written at vol
    .services.w.volumes.target = /a: written at /a
    .services.w.volumes.read_only = true: written at 'vol:/a:ro'
    "#);
}

/// Shapes were checked before; what has a wrong one must at least do no harm.
#[test]
fn wrong_shapes_do_no_harm() {
    let values = [
        "null",
        "1",
        "1.5",
        "true",
        "a",
        "''",
        "'=:/'",
        "[]",
        "[1, a, null]",
        "[[a], {b: c}]",
        "{}",
        "{a: 1, b: null}",
        "{a: {b: c}, d: [e]}",
        "[{source: [], target: {}}]",
        "{external: {name: [a]}}",
        "{count: {}, device_ids: 1}",
    ];
    for (pattern, _) in RULES {
        for value in values {
            let steps: Vec<&str> = pattern.split('.').collect();
            let text = steps.iter().rev().fold(value.to_owned(), |inside, step| match *step {
                "[]" => format!("[{inside}]"),
                "*" => format!("{{k: {inside}}}"),
                step => format!("{{{step}: {inside}}}"),
            });
            let (root, _) = canonical(&text);
            json(&root);
        }
    }
}

#[test]
fn short_forms_cannot_grow_without_end() {
    let range = "1-65535:1-65535/tcp/and-so-on";
    let (_, findings) = canonical(&format!("services: {{w: {{ports: ['{range}', '{range}', '{range}']}}}}"));
    assert_eq!(findings.items().len(), 2);
    let hosts = format!("services: {{w: {{extra_hosts: ['a={}']}}}}", "1,".repeat(200_000));
    assert!(canonical(&hosts).1.has_errors());
    let options = format!("services: {{w: {{volumes: ['vol:/a:{}']}}}}", "x,".repeat(200_000));
    assert_eq!(canonical(&options).1.items().len(), 8);
}
