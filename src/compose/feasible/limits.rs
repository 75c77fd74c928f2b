//! What the kernel would refuse, or what would do nothing, only when a container starts.

use super::Checked;
use crate::{
    compose::diagnostics::{Diagnostic, Span},
    model::{NetworkMode, Service},
};

pub fn check(checked: &Checked<'_>, findings: &mut Vec<Diagnostic>) {
    for service in checked.draft.services.values().filter(|service| checked.wanted.contains(&service.name)) {
        let place = |key: &str| checked.root.place(&["services", &service.name, key]);
        memory(service, &place, findings);
        ports(service, &place, findings);
    }
}

fn memory(service: &Service, place: &dyn Fn(&str) -> Span, findings: &mut Vec<Diagnostic>) {
    let resources = &service.resources;
    let mut refuse = |key: &str, why: &str| {
        let message = format!("service \"{}\": {why}", service.name);
        findings.push(Diagnostic::error(message).at(place(key)));
    };
    if let Some(swap) = resources.memory_swap.and_then(|swap| u64::try_from(swap).ok()) {
        match resources.memory {
            None => refuse("memswap_limit", "memswap_limit needs mem_limit"),
            Some(memory) if swap < memory => {
                refuse("memswap_limit", "memswap_limit is memory and swap together, so at least mem_limit");
            }
            Some(_) => {}
        }
    }
    if let (Some(limit), Some(reservation)) = (resources.memory, resources.memory_reservation)
        && reservation > limit
    {
        refuse("mem_reservation", "the memory reservation is above the memory limit");
    }
}

fn ports(service: &Service, place: &dyn Fn(&str) -> Span, findings: &mut Vec<Diagnostic>) {
    let mode = match service.network_mode {
        Some(NetworkMode::Host) => "host",
        Some(NetworkMode::None) => "none",
        None => return,
    };
    if !service.ports.is_empty() {
        let message = format!("the ports of \"{}\" are not published: its network_mode is {mode}", service.name);
        findings.push(Diagnostic::warning(message).at(place("ports")));
    }
}
