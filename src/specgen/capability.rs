//! Which capabilities a container has.

/// Docker's default set (moby/profiles, capabilities(7)).
pub const DEFAULT: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SYS_CHROOT",
    "MKNOD",
    "AUDIT_WRITE",
    "SETFCAP",
];

/// Every capability of Linux 6.12, by number.
pub const ALL: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The set for `cap_add` and `cap_drop`, in the kernel's order. As Docker: `ALL` on one side is the base that the
/// other side changes; a capability that stands on both sides is kept.
pub fn effective(add: &[String], drop: &[String], privileged: bool) -> Vec<String> {
    let has = |list: &[String], name: &str| list.iter().any(|entry| entry == name);
    let chosen = |name: &&&str| {
        if privileged || has(add, name) {
            return true;
        }
        if has(drop, name) {
            return false;
        }
        match (has(add, "ALL"), has(drop, "ALL")) {
            (true, _) => true,
            (_, true) => false,
            _ => DEFAULT.contains(name),
        }
    };
    ALL.iter().filter(chosen).map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(add: &[&str], drop: &[&str]) -> Vec<String> {
        let own = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        effective(&own(add), &own(drop), false)
    }

    #[test]
    fn the_default_is_dockers() {
        assert_eq!(set(&[], &[]).len(), 14);
        assert!(set(&[], &[]).iter().all(|name| DEFAULT.contains(&name.as_str())));
    }

    #[test]
    fn additions_and_drops_change_the_set() {
        assert_eq!(set(&["NET_BIND_SERVICE"], &["ALL"]), ["NET_BIND_SERVICE"]);
        assert_eq!(set(&["ALL"], &["SYS_ADMIN"]).len(), ALL.len() - 1);
        assert!(set(&["SYS_PTRACE"], &[]).contains(&"SYS_PTRACE".to_owned()));
        assert!(!set(&[], &["CHOWN"]).contains(&"CHOWN".to_owned()));
        assert_eq!(effective(&[], &[], true).len(), ALL.len());
    }
}
