//! `deploy`, and the restart policies, which can be said there too.

use super::{
    At, Decoder, Deploy,
    Field::{self, Later, Read, Without},
};
use crate::model::RestartPolicy;

/// Why much of `deploy` does nothing here.
const SWARM: &str = "it places containers in a Swarm";

pub const FIELDS: &[Field<Deploy>] = &[
    Without("endpoint_mode", SWARM),
    Without("labels", SWARM),
    Without("mode", SWARM),
    Without("placement", SWARM),
    Read("replicas", |d, at, deploy| deploy.replicas = d.count(at)),
    Read("resources", |d, at, deploy| {
        d.section(at, RESOURCES, deploy);
    }),
    Read("restart_policy", |d, at, deploy| {
        let mut policy = Policy::default();
        if d.section(at, RESTART_POLICY, &mut policy) {
            deploy.restart = d.restart_of(at, &policy);
        }
    }),
    Without("rollback_config", "containers are replaced one after the other"),
    Without("update_config", "containers are replaced one after the other"),
];

const RESOURCES: &[Field<Deploy>] = &[
    Read("limits", |d, at, deploy| {
        d.section(at, LIMITS, deploy);
    }),
    Read("reservations", |d, at, deploy| {
        d.section(at, RESERVATIONS, deploy);
    }),
];

const LIMITS: &[Field<Deploy>] = &[
    Read("cpus", |d, at, deploy| deploy.cpus = d.float(at).filter(|cpus| *cpus > 0.0)),
    Read("memory", |d, at, deploy| deploy.memory = d.limit(at)),
    Read("pids", |d, at, deploy| deploy.pids = d.pids_limit(at)),
];

const RESERVATIONS: &[Field<Deploy>] = &[
    Without("cpus", "processor time is limited, not reserved"),
    Later("devices"),
    Without("generic_resources", SWARM),
    Read("memory", |d, at, deploy| deploy.memory_reservation = d.limit(at)),
];

#[derive(Default)]
struct Policy {
    condition: Option<String>,
    max_attempts: Option<u32>,
}

const RESTART_POLICY: &[Field<Policy>] = &[
    Read("condition", |d, at, policy| policy.condition = d.text(at)),
    Without("delay", "restarts wait 100 ms, and longer each time"),
    Read("max_attempts", |d, at, policy| policy.max_attempts = d.count(at)),
    Without("window", "a container that ran for 10 s counts as started"),
];

impl Decoder<'_> {
    fn restart_of(&mut self, at: &At<'_>, policy: &Policy) -> Option<RestartPolicy> {
        let restart = match policy.condition.as_deref() {
            Some("none") => RestartPolicy::No,
            Some("on-failure") => {
                return Some(RestartPolicy::OnFailure { max_retries: policy.max_attempts.filter(|max| *max > 0) });
            }
            Some("any" | "always") | None => RestartPolicy::Always,
            Some("unless-stopped") => RestartPolicy::UnlessStopped,
            Some(other) => {
                self.error(at, format!("has the condition \"{other}\": it must be `none`, `on-failure` or `any`"));
                return None;
            }
        };
        if policy.max_attempts.is_some_and(|max| max > 0) {
            self.warning(at, "limits attempts only with the condition `on-failure`");
        }
        Some(restart)
    }

    /// `restart`
    pub fn restart(&mut self, at: &At<'_>) -> Option<RestartPolicy> {
        let text = self.text(at)?;
        let policy = match text.split_once(':') {
            None => match text.as_str() {
                "no" => Some(RestartPolicy::No),
                "always" => Some(RestartPolicy::Always),
                "unless-stopped" => Some(RestartPolicy::UnlessStopped),
                "on-failure" => Some(RestartPolicy::OnFailure { max_retries: None }),
                _ => None,
            },
            Some(("on-failure", retries)) => retries
                .parse()
                .ok()
                .map(|retries: u32| RestartPolicy::OnFailure { max_retries: Some(retries).filter(|n| *n > 0) }),
            Some(_) => None,
        };
        if policy.is_none() {
            let help = "policies are `no`, `always`, `unless-stopped`, `on-failure` and `on-failure:3`";
            self.error_with_help(at, format!("is no restart policy: \"{text}\""), help);
        }
        policy
    }
}
