//! One snapshot of what there is, taken before any thinking.

use crate::model::{ContainerId, ImageId, Network, Service};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything of one project, and what of the host it needs to know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Name of the project.
    pub project: String,
    pub containers: Vec<ObservedContainer>,
    /// By real name: all networks of the host that the model names or the project owns.
    pub networks: BTreeMap<String, ObservedNetwork>,
    /// By real name, likewise.
    pub volumes: BTreeMap<String, ObservedVolume>,
    /// Every reference of the model: the image it means on this host now, if any.
    pub images: BTreeMap<String, Option<ObservedImage>>,
    /// Content digests, as they are now, of the files behind configs and secrets: `config:<key>` or `secret:<key>`.
    #[serde(default)]
    pub file_digests: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedImage {
    pub id: ImageId,
    /// The image has a HEALTHCHECK.
    pub healthcheck: bool,
    /// Pulled for this very intent, or as lately as the service's policy wants: a policy of `always` or `daily` is
    /// met, and the next plan asks for no second pull.
    #[serde(default)]
    pub fresh: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedContainer {
    pub id: ContainerId,
    pub service: String,
    pub number: u32,
    pub oneoff: bool,
    pub name: String,
    /// The service as it was applied to this container.
    pub applied: Service,
    pub image_id: ImageId,
    pub state: ObservedState,
    /// A person wanted it down: no policy brings it back.
    pub stopped_by_user: bool,
    /// By its policy, since a person last started it.
    pub restarts: u32,
    /// Real names of the networks it is attached to, or will be when it starts. A name that the model wants and that
    /// is missing here is a reason to make the container anew; so with volumes.
    pub networks: Vec<String>,
    /// Real names of its named volumes.
    pub volumes: Vec<String>,
    /// Real names of its anonymous volumes.
    pub anonymous_volumes: Vec<String>,
    /// Content digests of configs and secrets at creation, by `config:<key>` or `secret:<key>`.
    #[serde(default)]
    pub file_digests: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservedState {
    Created,
    Running {
        healthy: Option<bool>,
    },
    /// Between two runs. After a reboot nothing is: it has exited then.
    Restarting,
    Exited {
        code: i32,
    },
    Dead,
}

impl ObservedState {
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. } | Self::Restarting)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedNetwork {
    pub id: String,
    /// Project that made it; `None` where nobody recorded one.
    pub project: Option<String>,
    pub internal: bool,
    pub subnet: String,
    /// Some container of another project is attached.
    pub used_by_others: bool,
    /// The network as the project that made it described it; `None` where nobody recorded that.
    #[serde(default)]
    pub applied: Option<Network>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedVolume {
    pub project: Option<String>,
    pub anonymous: bool,
}
