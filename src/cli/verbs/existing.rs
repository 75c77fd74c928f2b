//! What the verbs that act on existing containers share: `start`, `stop`, `restart`, `kill`, `rm`.

use crate::{
    api::{Apply, WaitFor},
    cli::{
        apply::{self, Order},
        context::{Context, Target},
        exit::Outcome,
    },
    model::intent::Intent,
};

/// Sends `intent` for `target` and follows it.
pub fn carry_out(cx: &mut Context, target: Target, intent: Intent, wait: Option<WaitFor>) -> Outcome {
    let environment = cx.env.variables.clone();
    let apply =
        Apply { intent, project: target.project, docker_config: None, wait, parallel: cx.parallel(&environment)? };
    let mode = cx.progress_mode(&environment);
    apply::carry_out(cx, Order { project: target.name, apply, mode, quiet_pull: false })
}
