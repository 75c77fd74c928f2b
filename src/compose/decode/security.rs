//! Capabilities and `security_opt`.

use super::{At, Decoder};
use crate::{compose::diagnostics::did_you_mean, model::Service};

/// capabilities(7), up to Linux 6.
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];
const ALL: &str = "ALL";

impl Decoder<'_> {
    /// Upper case, without `CAP_`.
    pub fn capabilities(&mut self, at: &At<'_>) -> Vec<String> {
        let mut names = indexmap::IndexSet::new();
        for item in self.items(at) {
            let Some(text) = self.text(&item) else { continue };
            let upper = text.to_ascii_uppercase();
            let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if name == ALL || CAPABILITIES.contains(&name) {
                names.insert(name.to_owned());
                continue;
            }
            let meant = did_you_mean(name, CAPABILITIES);
            let help = meant.map_or("see capabilities(7)".into(), |meant| format!("did you mean `{meant}`?"));
            self.error_with_help(&item, format!("is no capability: \"{text}\""), help);
        }
        names.into_iter().collect()
    }

    pub fn security_opt(&mut self, at: &At<'_>, service: &mut Service) {
        for item in self.items(at) {
            let Some(text) = self.text(&item) else { continue };
            // Docker takes both, `=` is the newer one.
            let (name, value) = text.split_once('=').or_else(|| text.split_once(':')).unwrap_or((&text, ""));
            match (name, value) {
                ("no-new-privileges", "" | "true") => service.no_new_privileges = true,
                ("no-new-privileges", "false") => service.no_new_privileges = false,
                ("no-new-privileges", _) => self.error(&item, format!("must be true or false, not \"{value}\"")),
                ("seccomp", "unconfined") => service.seccomp_unconfined = true,
                ("seccomp", _) => self.later(&item, "a seccomp profile of one's own"),
                ("apparmor" | "label" | "systempaths", _) => self.later(&item, format!("`{text}`")),
                _ => {
                    let known = ["no-new-privileges", "seccomp", "apparmor", "label", "systempaths"];
                    let help = did_you_mean(name, known)
                        .map_or("options are `no-new-privileges:true` and `seccomp=unconfined`".into(), |meant| {
                            format!("did you mean `{meant}`?")
                        });
                    self.error_with_help(&item, format!("is no security option: \"{text}\""), help);
                }
            }
        }
    }
}
