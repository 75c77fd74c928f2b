//! Limits: memory, processors, processes, ulimits, sysctls, signals.

use super::{
    At, Decoder,
    Field::{self, Read},
};
use crate::{
    compose::{
        diagnostics::{Diagnostic, did_you_mean},
        tree::{Kind, Plain},
    },
    model::Ulimit,
};
use std::collections::BTreeMap;

/// `RLIMIT_*` of Linux.
const ULIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// signal(7), with the names that are the same signal.
const SIGNALS: [&str; 33] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
    "IO", "POLL", "PWR", "SYS",
];
const LAST_SIGNAL: u32 = 64;

#[derive(Default)]
struct Pair {
    soft: Option<i64>,
    hard: Option<i64>,
}

const PAIR: &[Field<Pair>] = &[
    Read("soft", |d, at, pair| pair.soft = d.integer(at, -1..=i64::MAX)),
    Read("hard", |d, at, pair| pair.hard = d.integer(at, -1..=i64::MAX)),
];

impl Decoder<'_> {
    /// Memory and swap together; -1 is unlimited, 0 is unset.
    pub fn swap_limit(&mut self, at: &At<'_>) -> Option<i64> {
        let unlimited = matches!(at.node.plain(), Some(Plain::Int(-1)))
            || matches!(&at.node.kind, Kind::Scalar { text, .. } if text == "-1");
        if unlimited {
            return Some(-1);
        }
        self.limit(at).and_then(|bytes| i64::try_from(bytes).ok())
    }

    /// -1 is unlimited, 0 is unset.
    pub fn pids_limit(&mut self, at: &At<'_>) -> Option<i64> {
        self.integer(at, -1..=i64::from(u32::MAX)).filter(|limit| *limit != 0)
    }

    /// `0-3,5`
    pub fn cpuset(&mut self, at: &At<'_>) -> Option<String> {
        let text = self.text_or_number(at)?;
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        let good = text.split(',').all(|part| match part.split_once('-') {
            Some((first, last)) => matches!((number(first), number(last)), (Some(a), Some(b)) if a <= b),
            None => number(part).is_some(),
        });
        if !good {
            self.error_with_help(at, format!("is no set of processors: \"{text}\""), "write `0-3,5`");
            return None;
        }
        Some(text)
    }

    pub fn ulimits(&mut self, at: &At<'_>) -> BTreeMap<String, Ulimit> {
        let mut limits = BTreeMap::new();
        for entry in self.entries(at) {
            if !ULIMITS.contains(&entry.name) {
                let meant = did_you_mean(entry.name, ULIMITS);
                let help = meant.map_or("see setrlimit(2)".into(), |meant| format!("did you mean `{meant}`?"));
                let finding = Diagnostic::error(format!("`{}` is no limit that Linux has", entry.at.path));
                self.report(finding.at(entry.key).help(help));
                continue;
            }
            if let Some(limit) = self.ulimit(&entry.at) {
                limits.insert(entry.name.to_owned(), limit);
            }
        }
        limits
    }

    fn ulimit(&mut self, at: &At<'_>) -> Option<Ulimit> {
        let Kind::Mapping(_) = at.node.kind else {
            return self.integer(at, -1..=i64::MAX).map(|limit| Ulimit { soft: limit, hard: limit });
        };
        let mut pair = Pair::default();
        self.section(at, PAIR, &mut pair);
        for key in ["soft", "hard"] {
            if at.node.get(key).is_none() {
                self.error(at, format!("lacks `{key}`"));
            }
        }
        let (soft, hard) = (pair.soft?, pair.hard?);
        if hard != -1 && (soft == -1 || soft > hard) {
            self.error(at, "has a soft limit above the hard one");
            return None;
        }
        Some(Ulimit { soft, hard })
    }

    pub fn sysctls(&mut self, at: &At<'_>) -> BTreeMap<String, String> {
        let mut sysctls = BTreeMap::new();
        for (name, value) in self.key_values(at) {
            // It becomes a path below /proc/sys.
            let good = name.split(['.', '/']).all(|part| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            });
            if !good {
                self.error(at, format!("holds \"{name}\", which is no name of a sysctl"));
                continue;
            }
            match value {
                Some(value) => {
                    sysctls.insert(name, value);
                }
                None => self.error(at, format!("gives no value to {name}")),
            }
        }
        sysctls
    }

    /// `SIGTERM`, `TERM` or `15`, as written.
    pub fn signal(&mut self, at: &At<'_>) -> Option<String> {
        let text = self.text_or_number(at)?;
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let realtime = name
            .strip_prefix("RTMIN+")
            .or_else(|| name.strip_prefix("RTMAX-"))
            .is_some_and(|n| n.parse::<u32>().is_ok_and(|n| n <= 30));
        let number = name.parse::<u32>().is_ok_and(|n| (1..=LAST_SIGNAL).contains(&n));
        if SIGNALS.contains(&name) || realtime || number || matches!(name, "RTMIN" | "RTMAX" | "CLD") {
            return Some(text);
        }
        let meant = did_you_mean(name, SIGNALS);
        let help = meant.map_or("see signal(7)".into(), |meant| format!("did you mean `SIG{meant}`?"));
        self.error_with_help(at, format!("is no signal: \"{text}\""), help);
        None
    }
}
