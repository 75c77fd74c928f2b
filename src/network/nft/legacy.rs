//! A forward drop of iptables-legacy, whose rules nftables cannot see or write: its own program has to.

use std::{fs, io, process::Command};

const PROGRAM: &str = "iptables-legacy";
const RULES: [[&str; 8]; 2] = [
    ["FORWARD", "-i", "mst-+", "-m", "comment", "--comment", "muster", "-j"],
    ["FORWARD", "-o", "mst-+", "-m", "comment", "--comment", "muster", "-j"],
];

/// Puts accepts for muster's bridges at the head where the legacy tables drop by policy. Returns whether any was
/// missing, and what a person has to do.
pub fn pass() -> io::Result<(bool, Vec<String>)> {
    if !in_use() {
        return Ok((false, Vec::new()));
    }
    let listing = match run(&["-S", "FORWARD"]) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let warning = "iptables-legacy rules are in the kernel but the program is not installed: \
                           if they drop forwarded packets, containers cannot be reached";
            return Ok((false, vec![warning.into()]));
        }
        Err(error) => return Err(error),
    };
    if !drops(&listing) {
        return Ok((false, Vec::new()));
    }
    let mut missing = false;
    for rule in RULES {
        if run(&with("-C", &rule)).is_err() {
            missing = true;
            run(&with("-I", &rule))?;
        }
    }
    Ok((missing, Vec::new()))
}

pub fn unpass() -> io::Result<()> {
    if in_use() && run(&["-S", "FORWARD"]).is_ok_and(|listing| listing.contains("--comment muster")) {
        for rule in RULES {
            run(&with("-D", &rule))?;
        }
    }
    Ok(())
}

/// The table exists in this network namespace.
fn in_use() -> bool {
    fs::read_to_string("/proc/thread-self/net/ip_tables_names")
        .is_ok_and(|names| names.lines().any(|name| name == "filter"))
}

/// A policy, or rules that may end in a drop.
fn drops(listing: &str) -> bool {
    listing.lines().any(|line| line == "-P FORWARD DROP" || (line.starts_with("-A ") && !line.contains("muster")))
}

fn with<'a>(verb: &'a str, rule: &[&'a str]) -> Vec<&'a str> {
    [&[verb], rule, &["ACCEPT"]].concat()
}

fn run(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(PROGRAM).arg("-w").args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{PROGRAM} {}: {text}", arguments.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_chain_that_may_drop_is_recognised() {
        assert!(drops("-P FORWARD DROP\n"));
        assert!(drops("-P FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n"));
        assert!(!drops("-P FORWARD ACCEPT\n"));
        assert!(!drops("-P FORWARD ACCEPT\n-A FORWARD -i mst-+ -m comment --comment muster -j ACCEPT\n"));
    }

    #[test]
    fn a_rule_is_spelled_for_each_verb() {
        assert_eq!(with("-I", &RULES[0]).join(" "), "-I FORWARD -i mst-+ -m comment --comment muster -j ACCEPT");
    }
}
