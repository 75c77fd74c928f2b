//! Dependencies that go round in a circle. Every circle is reported once, with the lines that make it.

use crate::compose::{
    decode::{Referent, ServiceDraft},
    diagnostics::Diagnostic,
};
use indexmap::IndexMap;

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    Open,
    Done,
}

/// A walk in depth with a stack of its own: chains may be longer than the thread's stack.
pub fn check(services: &IndexMap<String, ServiceDraft>, findings: &mut Vec<Diagnostic>) {
    let edges: Vec<Vec<usize>> = services
        .values()
        .map(|draft| draft.service.depends_on.keys().filter_map(|name| services.get_index_of(name)).collect())
        .collect();
    let mut visits = vec![Visit::New; services.len()];
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
                    let circle: Vec<usize> = path[from..].iter().map(|(service, _)| *service).collect();
                    findings.push(finding(services, &circle));
                }
                Visit::Done => {}
            }
        }
    }
}

fn finding(services: &IndexMap<String, ServiceDraft>, circle: &[usize]) -> Diagnostic {
    let members: Vec<(&String, &ServiceDraft)> = circle.iter().filter_map(|index| services.get_index(*index)).collect();
    let first = members.first().map(|(name, _)| name.as_str()).unwrap_or_default();
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).chain([first]).collect();
    let mut finding = Diagnostic::error(format!("dependency cycle detected: {}", names.join(" -> ")));
    for ((_, draft), pair) in members.iter().zip(names.windows(2)) {
        let [name, needs] = pair else { continue };
        let place = draft.references.iter().find(|r| r.to == Referent::Service && r.name == *needs);
        if let Some(reference) = place {
            finding = finding.because(reference.span, format!("{name} needs {needs}"));
        }
    }
    finding
}
