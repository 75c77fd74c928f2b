//! The one table of limits: which file of which controller takes which value, in v1 and in v2.

use super::super::spec::Limits;

/// One value for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As the Compose file names it, for messages.
    pub limit: &'static str,
    pub controller: &'static str,
    pub v1: (&'static str, String),
    pub v2: (&'static str, String),
    /// Docker's own addition, which a host without the file goes without.
    pub implied: bool,
}

/// Microseconds; the kernel's and Docker's default.
const CPU_PERIOD: u64 = 100_000;

/// What has to be written, in this order: v1 wants the memory limit set before memory and swap together.
pub fn settings(limits: &Limits) -> Vec<Setting> {
    let asked = |limit, controller, v1: (&'static str, String), v2: (&'static str, String)| Setting {
        limit,
        controller,
        v1,
        v2,
        implied: false,
    };
    let mut settings = Vec::new();
    if let Some(bytes) = limits.memory {
        let value = bytes.to_string();
        settings.push(asked("mem_limit", "memory", ("memory.limit_in_bytes", value.clone()), ("memory.max", value)));
    }
    if let Some(swap) = swap(limits) {
        settings.push(swap);
    }
    if let Some(bytes) = limits.memory_reservation {
        let value = bytes.to_string();
        let v1 = ("memory.soft_limit_in_bytes", value.clone());
        settings.push(asked("mem_reservation", "memory", v1, ("memory.low", value)));
    }
    if let Some(quota) = limits.cpu_quota {
        let v1 = ("cpu.cfs_quota_us", quota.to_string());
        settings.push(asked("cpus", "cpu", v1, ("cpu.max", format!("{quota} {CPU_PERIOD}"))));
    }
    if let Some(shares) = limits.cpu_shares {
        let v2 = ("cpu.weight", weight(shares).to_string());
        settings.push(asked("cpu_shares", "cpu", ("cpu.shares", shares.to_string()), v2));
    }
    if let Some(cpus) = &limits.cpuset {
        settings.push(asked("cpuset", "cpuset", ("cpuset.cpus", cpus.clone()), ("cpuset.cpus", cpus.clone())));
    }
    if let Some(pids) = limits.pids.filter(|pids| *pids >= 0) {
        settings.push(asked("pids_limit", "pids", ("pids.max", pids.to_string()), ("pids.max", pids.to_string())));
    }
    settings
}

/// Docker counts memory and swap together, v2 swap alone. A memory limit alone allows as much swap again.
fn swap(limits: &Limits) -> Option<Setting> {
    let setting = |v1: String, v2: String, implied| Setting {
        limit: "memswap_limit",
        controller: "memory",
        v1: ("memory.memsw.limit_in_bytes", v1),
        v2: ("memory.swap.max", v2),
        implied,
    };
    match (limits.memory_swap, limits.memory) {
        (None, None) => None,
        (None, Some(memory)) => Some(setting((memory.saturating_mul(2)).to_string(), memory.to_string(), true)),
        (Some(total), memory) => match u64::try_from(total) {
            Err(_) => Some(setting("-1".to_owned(), "max".to_owned(), false)),
            Ok(total) => {
                let swap = total.saturating_sub(memory.unwrap_or(0));
                Some(setting(total.to_string(), swap.to_string(), false))
            }
        },
    }
}

/// Shares (2 to 262144, default 1024) as a weight (1 to 10000, default 100), so that the defaults and both ends meet:
/// the formula that runc and crun use since 2025 (opencontainers/cgroups#20).
fn weight(shares: u64) -> u64 {
    match shares {
        0 => 100,
        1..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            10f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(limits: Limits) -> String {
        let line = |s: Setting| format!("{} v1 {}={} v2 {}={}\n", s.limit, s.v1.0, s.v1.1, s.v2.0, s.v2.1);
        settings(&limits).into_iter().map(line).collect()
    }

    #[test]
    fn every_limit_has_its_file_in_both_versions() {
        let limits = Limits {
            memory: Some(64 << 20),
            memory_swap: Some(96 << 20),
            memory_reservation: Some(32 << 20),
            cpu_quota: Some(50_000),
            cpu_shares: Some(1024),
            cpuset: Some("0-1".to_owned()),
            pids: Some(20),
        };
        insta::assert_snapshot!(text(limits), @r"
        mem_limit v1 memory.limit_in_bytes=67108864 v2 memory.max=67108864
        memswap_limit v1 memory.memsw.limit_in_bytes=100663296 v2 memory.swap.max=33554432
        mem_reservation v1 memory.soft_limit_in_bytes=33554432 v2 memory.low=33554432
        cpus v1 cpu.cfs_quota_us=50000 v2 cpu.max=50000 100000
        cpu_shares v1 cpu.shares=1024 v2 cpu.weight=100
        cpuset v1 cpuset.cpus=0-1 v2 cpuset.cpus=0-1
        pids_limit v1 pids.max=20 v2 pids.max=20
        ");
    }

    #[test]
    fn memory_alone_allows_as_much_swap_and_unlimited_stays_unlimited() {
        let memory = Limits { memory: Some(100), ..Limits::default() };
        assert!(text(memory.clone()).contains("memory.memsw.limit_in_bytes=200 v2 memory.swap.max=100"));
        let unlimited = Limits { memory_swap: Some(-1), pids: Some(-1), ..memory };
        insta::assert_snapshot!(text(unlimited), @r"
        mem_limit v1 memory.limit_in_bytes=100 v2 memory.max=100
        memswap_limit v1 memory.memsw.limit_in_bytes=-1 v2 memory.swap.max=max
        ");
    }

    #[test]
    fn shares_keep_their_default_and_their_ends_as_weights() {
        assert_eq!([2, 1024, 2048, 262_144].map(weight), [1, 100, 174, 10_000]);
    }
}
