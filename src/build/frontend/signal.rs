//! Names and numbers of signals, for STOPSIGNAL.

const NAMES: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// `9`, `KILL`, `sigkill`, `RTMIN+3`. Linux counts 64, of which the last 31 are the real-time ones that libc leaves.
pub fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str, sign: char, most: u8| {
        rest.is_empty()
            || rest
                .strip_prefix(sign)
                .and_then(|number| number.parse::<u8>().ok())
                .is_some_and(|n| (1..=most).contains(&n))
    };
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => offset(rest, '+', 15),
        (_, Some(rest)) => offset(rest, '-', 14),
        _ => NAMES.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::is_signal;

    #[test]
    fn signals_have_names_and_numbers() {
        for good in ["9", "SIGTERM", "term", "sigusr1", "RTMIN+3", "SIGRTMAX-14", "SIGRTMIN", "64"] {
            assert!(is_signal(good), "{good}");
        }
        for bad in ["0", "65", "SIGNOPE", "", "SIG", "RTMIN+16", "RTMAX+1", "-9"] {
            assert!(!is_signal(bad), "{bad}");
        }
    }
}
