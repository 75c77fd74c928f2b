//! Files that want the loader to run away, and large ones that do not.

use super::Bundle;
use std::time::{Duration, Instant};

/// What is said, and that it did not take long.
fn quickly(bundle: &Bundle, limit: u64) -> String {
    let started = Instant::now();
    let findings = bundle.findings();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(limit), "{took:?}: {findings:.200}");
    findings
}

fn write(bundle: &Bundle, name: &str, content: impl AsRef<[u8]>) {
    let path = bundle.options.cwd.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn includes_that_double_at_every_level_are_read_once_each() {
    let bundle = Bundle::new("=== compose.yaml\ninclude: [a0.yaml, b0.yaml]\nservices: {web: {image: i}}\n");
    for level in 0..40 {
        for side in ["a", "b"] {
            let next = level + 1;
            let text = match next {
                40 => format!("services: {{{side}: {{image: i}}}}\n"),
                _ => format!("include: [a{next}.yaml, b{next}.yaml]\nservices: {{{side}{level}: {{image: i}}}}\n"),
            };
            write(&bundle, &format!("{side}{level}.yaml"), text);
        }
    }
    assert_eq!(quickly(&bundle, 20), "");
}

#[test]
fn includes_that_double_with_variables_of_their_own_are_bounded() {
    let bundle = Bundle::new("=== compose.yaml\ninclude: [a0/c.yaml, b0/c.yaml]\n");
    for level in 0..30 {
        for side in ["a", "b"] {
            let next = level + 1;
            let text = format!("include: [../a{next}/c.yaml, ../b{next}/c.yaml]\nservices: {{web: {{image: i}}}}\n");
            write(&bundle, &format!("{side}{level}/c.yaml"), text);
            write(&bundle, &format!("{side}{level}/.env"), format!("V{level}={side}\n"));
        }
    }
    for side in ["a", "b"] {
        write(&bundle, &format!("{side}30/c.yaml"), "services: {web: {image: i}}\n");
    }
    let findings = quickly(&bundle, 20);
    assert!(findings.contains("are extended and included"), "{findings:.300}");
}

#[test]
fn includes_that_go_ever_deeper_through_a_link_are_a_circle() {
    let bundle = Bundle::new("=== compose.yaml\ninclude: [self/b.yaml]\n=== b.yaml\ninclude: [self/b.yaml]\n");
    std::os::unix::fs::symlink(".", bundle.options.cwd.join("self")).unwrap();
    let findings = quickly(&bundle, 5);
    assert!(findings.starts_with("error: include cycle detected: "), "{findings}");
    let bundle = Bundle::new(
        "=== compose.yaml\ninclude: [loop.yaml]\nservices: {a: {extends: {file: loop.yaml, service: b}}}\n",
    );
    std::os::unix::fs::symlink("loop.yaml", bundle.options.cwd.join("loop.yaml")).unwrap();
    assert!(quickly(&bundle, 5).contains("cannot read Compose file loop.yaml"));
}

#[test]
fn includes_that_nest_too_deep_are_refused() {
    let bundle = Bundle::new("=== compose.yaml\ninclude: [c0.yaml]\n");
    for level in 0..200 {
        write(&bundle, &format!("c{level}.yaml"), format!("include: [c{}.yaml]\n", level + 1));
    }
    assert!(quickly(&bundle, 5).contains("files include each other more than 50 deep"));
}

#[test]
fn a_chain_of_ten_thousand_extends_is_walked() {
    let chain: String = (1..10_000).map(|i| format!("  s{i}: {{extends: s{}, hostname: h{i}}}\n", i - 1)).collect();
    let text = format!("=== compose.yaml\nservices:\n  s0: {{image: i}}\n{chain}");
    assert_eq!(quickly(&Bundle::new(&text), 60), "");
    let reversed: String = (0..10_000).map(|i| format!("  s{i}: {{extends: s{}}}\n", i + 1)).collect();
    let text = format!("=== compose.yaml\nservices:\n{reversed}  s10000: {{image: i}}\n");
    assert_eq!(quickly(&Bundle::new(&text), 60), "");
    let text = format!("=== compose.yaml\nservices:\n{reversed}  s10000: {{extends: s0}}\n");
    assert!(quickly(&Bundle::new(&text), 60).starts_with("error: Circular reference: "));
}

#[test]
fn extends_that_make_more_and_more_are_bounded() {
    let keys: String = (0..20_000).map(|i| format!("      K{i}: v\n")).collect();
    let services: String =
        (0..5_000).map(|i| format!("  s{i}: {{extends: base, environment: {{X: '{i}'}}}}\n")).collect();
    let text = format!("=== compose.yaml\nservices:\n  base:\n    image: i\n    environment:\n{keys}{services}");
    let findings = quickly(&Bundle::new(&text), 120);
    assert!(findings.starts_with("error: too much data\n"), "{findings:.300}");
}

#[test]
fn services_that_share_one_large_base_count_each_by_itself() {
    let labels: String = (0..10_000).map(|i| format!("K{i}: v, ")).collect();
    let services: String =
        (0..2_000).map(|i| format!("  s{i}: {{extends: {{file: base.yaml, service: b}}}}\n")).collect();
    let bundle = Bundle::new(&format!("=== compose.yaml\nservices:\n{services}"));
    write(&bundle, "base.yaml", format!("services: {{b: {{image: i, labels: {{{labels}}}}}}}\n"));
    let findings = quickly(&bundle, 30);
    assert!(findings.contains("all files together have more than 2000000 values"), "{findings:.300}");
}

#[test]
fn an_alias_bomb_with_variables_is_resolved_once_and_refused_where_it_is_too_large() {
    let bomb = |levels: usize, text: &str| {
        let first = format!("x-0: &a0 [{}]\n", [text; 10].join(", "));
        let rest = (1..levels).map(|i| format!("x-{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", ")));
        format!("=== compose.yaml\n{first}{}services: {{web: {{image: i}}}}\n", rest.collect::<String>())
    };
    assert_eq!(quickly(&Bundle::new(&bomb(4, "'${A-xxxxxxxxxx}'")), 20), "");
    assert!(quickly(&Bundle::new(&bomb(12, "x")), 5).starts_with("error: too much data\n"));
}

#[test]
fn values_that_double_each_other_are_bounded() {
    let doubling: String = (0..64).map(|i| format!("V{}=$V{i}$V{i}\n", i + 1)).collect();
    let bundle = Bundle::new(&format!(
        "=== compose.yaml\nservices: {{web: {{image: '$V64'}}}}\n=== .env\nV0=xxxxxxxx\n{doubling}"
    ));
    assert!(quickly(&bundle, 20).contains("variables expand to more than 32 MiB"));
    let nested = format!("{}{}{}", "${A:-".repeat(40), "x".repeat(1 << 20), "}".repeat(40));
    let bundle =
        Bundle::new(&format!("=== compose.yaml\nservices: {{web: {{image: i, labels: {{a: '{nested}'}}}}}}\n"));
    assert!(quickly(&bundle, 20).contains("variables expand to more than 32 MiB"));
}

#[test]
fn what_is_too_long_too_deep_or_no_text_is_refused() {
    for (content, expected) in [
        (vec![b'a'; 100 << 20], "is larger than 32 MiB"),
        (b"services: {web: {image: caf\xe9}}\n".to_vec(), "is not UTF-8"),
        (b"services: {web: {image: a\0b}}\n".to_vec(), "is not a text file"),
        ("{a: ".repeat(10_000).into_bytes(), "error: "),
        ("- ".repeat(10_000).into_bytes(), "error: "),
        (vec![b'['; 1 << 20], "error: "),
    ] {
        for bundle in [
            Bundle::new("=== compose.yaml\n"),
            Bundle::new("=== main.yaml\ninclude: [compose.yaml]\n").files(&["main.yaml"]),
            Bundle::new("=== main.yaml\nservices: {a: {extends: {service: b, file: compose.yaml}}}\n")
                .files(&["main.yaml"]),
        ] {
            write(&bundle, "compose.yaml", &content);
            let findings = quickly(&bundle, 20);
            assert!(findings.starts_with("error: ") && findings.contains(expected), "{expected}: {findings:.300}");
        }
    }
    let many = Bundle::new("=== compose.yaml\n");
    write(&many, "compose.yaml", [b"a: [".to_vec(), b"a,".repeat(3 << 20), b"]\n".to_vec()].concat());
    assert!(quickly(&many, 60).starts_with("error: too much data\n"));
    let device = Bundle::new("=== compose.yaml\ninclude: [/dev/zero]\n");
    assert!(quickly(&device, 5).contains("is larger than 32 MiB"));
}

#[test]
fn ten_thousand_services_load() {
    let service = |i: usize| {
        format!(
            "  s{i}:\n    image: registry.example/app:${{TAG:-latest}}\n    command: [serve, --port, '{i}']\n    \
             environment:\n      A: '1'\n      B: $VALUE\n      C: c{i}\n    ports: ['{}:80']\n    \
             volumes: ['./data/{i}:/data', 'cache:/cache:ro']\n    networks: [front, back]\n    \
             labels: [app=s{i}, tier=web]\n    healthcheck: {{test: [CMD, 'true'], interval: 10s}}\n    \
             deploy: {{resources: {{limits: {{cpus: '0.5', memory: 64m}}}}}}\n    depends_on: [s{}]\n    \
             restart: unless-stopped\n    logging: *log\n",
            1000 + i % 60_000,
            i.saturating_sub(1)
        )
    };
    let first = "  s0: {image: x}\n".to_owned();
    let services: String = std::iter::once(first).chain((1..10_000).map(service)).collect();
    let bundle = Bundle::new(&format!(
        "=== compose.yaml\nx-log: &log {{driver: json-file, options: {{max-size: 10m}}}}\nservices:\n{services}\
         networks: {{front: , back: }}\nvolumes: {{cache: }}\n=== .env\nVALUE=v\n"
    ));
    assert_eq!(quickly(&bundle, 120), "");
}
