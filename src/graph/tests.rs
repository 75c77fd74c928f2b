//! Graphs as text: `web: db api`, one service a line; `!` marks `restart: true`.

use super::Graph;
use crate::model::{Condition, Dependency};
use indexmap::IndexMap;
use std::collections::BTreeSet;

type Services = IndexMap<String, IndexMap<String, Dependency>>;

fn services(text: &str) -> Services {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (name, rest) = line.split_once(':').unwrap_or((line, ""));
            let depends_on = rest.split_whitespace().map(|word| {
                let restart = word.ends_with('!');
                let dependency = Dependency { condition: Condition::Started, restart, required: true };
                (word.trim_end_matches('!').to_owned(), dependency)
            });
            (name.to_owned(), depends_on.collect())
        })
        .collect()
}

fn graph(services: &Services) -> Graph<'_> {
    Graph::new(services.iter().map(|(name, depends_on)| (name.as_str(), depends_on)))
}

fn words(set: BTreeSet<&str>) -> String {
    set.into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn dependencies_come_first_and_the_file_decides_the_rest() {
    let services = services("proxy: web\nweb: db cache\ncache\ndb\nlone");
    assert_eq!(graph(&services).order().join(" "), "cache db web proxy lone");
}

#[test]
fn a_wave_depends_only_on_earlier_ones() {
    let services = services("proxy: web\nweb: db cache\ncache\ndb\nlone\nreport: db");
    let waves: Vec<String> = graph(&services).waves().iter().map(|wave| wave.join(" ")).collect();
    assert_eq!(waves, ["cache db lone", "web report", "proxy"]);
}

#[test]
fn selection_reaches_as_far_as_the_edges() {
    let services = services("proxy: web\nweb: db! cache\ncache\ndb\nlone\nreport: db");
    let graph = graph(&services);
    assert_eq!(words(graph.with_dependencies(["web"])), "cache db web");
    assert_eq!(words(graph.with_dependents(["db"])), "db proxy report web");
    assert_eq!(words(graph.with_restarted(["db"])), "db web");
    assert_eq!(words(graph.with_dependencies(["nobody"])), "");
}

#[test]
fn a_cycle_is_shown_as_its_path() {
    let cycle = |text| {
        let services = services(text);
        graph(&services).cycle().map(|path| path.join(" -> "))
    };
    assert_eq!(cycle("a: b\nb: c\nc: a").as_deref(), Some("a -> b -> c -> a"));
    assert_eq!(cycle("x: a\na: b c\nb: a\nc: b").as_deref(), Some("a -> b -> a"));
    assert_eq!(cycle("a: a").as_deref(), Some("a -> a"));
    assert_eq!(cycle("a: b\nb: c\nc"), None);
}

#[test]
fn a_cycle_does_not_keep_the_others_from_an_order() {
    let services = services("top: a\na: b\nb: a base\nbase");
    assert_eq!(graph(&services).order().join(" "), "a top base b");
}

#[test]
fn a_chain_of_many_services_needs_no_deep_stack() {
    let text: String = (0..20_000).map(|n| format!("s{n}: s{}\n", n + 1)).collect();
    let services = services(&text);
    let graph = graph(&services);
    assert_eq!(graph.order().first(), Some(&"s19999"));
    assert_eq!(graph.cycle(), None);
}
