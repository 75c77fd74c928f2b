//! Dependencies that go round in a circle. Every circle is reported once, with the lines that make it; of very many, and
//! of very long ones, what can be read.

use super::{Checked, Service};
use crate::compose::{diagnostics::Diagnostic, tree::Mapping};
use indexmap::IndexMap;

/// Services that need all others have as many circles as dependencies.
const MAX_CIRCLES: usize = 50;

/// Lines that show a circle.
const MAX_LINES: usize = 20;

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    Open,
    Done,
}

/// A walk in depth with a stack of its own: chains may be longer than the thread's stack.
pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    let services: IndexMap<&str, Service<'_>> = checked.services().map(|service| (service.name, service)).collect();
    let edges: Vec<Vec<usize>> = services
        .values()
        .map(|service| needed(service).filter_map(|(name, _)| services.get_index_of(name.as_str())).collect())
        .collect();
    let mut visits = vec![Visit::New; services.len()];
    let mut circles = 0;
    for start in 0..services.len() {
        if visits[start] != Visit::New {
            continue;
        }
        // A service, and which of its dependencies comes next.
        let mut path = vec![(start, 0)];
        visits[start] = Visit::Open;
        while let Some((service, next)) = path.last_mut() {
            let Some(&dependency) = edges[*service].get(*next) else {
                visits[*service] = Visit::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match visits[dependency] {
                Visit::New => {
                    visits[dependency] = Visit::Open;
                    path.push((dependency, 0));
                }
                Visit::Open => {
                    let from = path.iter().position(|(service, _)| *service == dependency).unwrap_or(0);
                    let circle = path[from..].iter().filter_map(|(index, _)| services.get_index(*index));
                    circles += 1;
                    if circles > MAX_CIRCLES {
                        return;
                    }
                    findings.push(finding(&circle.map(|(_, service)| *service).collect::<Vec<_>>()));
                }
                Visit::Done => {}
            }
        }
    }
}

fn needed<'a>(service: &Service<'a>) -> impl Iterator<Item = (&'a String, &'a crate::compose::tree::Entry)> + use<'a> {
    let entries: Option<&Mapping> = service.at(&["depends_on"]).and_then(|on| on.entries());
    entries.into_iter().flatten()
}

fn finding(circle: &[Service<'_>]) -> Diagnostic {
    let first = circle.first().map(|service| service.name).unwrap_or_default();
    let names: Vec<&str> = circle.iter().map(|service| service.name).chain([first]).collect();
    let mut finding = Diagnostic::error(format!("dependency cycle detected: {}", names.join(" -> ")));
    for (service, pair) in circle.iter().zip(names.windows(2)).take(MAX_LINES) {
        let [name, wanted] = pair else { continue };
        if let Some((_, entry)) = needed(service).find(|(other, _)| other.as_str() == *wanted) {
            finding = finding.because(entry.key, format!("{name} needs {wanted}"));
        }
    }
    finding
}
