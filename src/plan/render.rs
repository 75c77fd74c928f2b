//! A plan as text: what `muster plan` prints and what tests compare.

use super::{Op, OpId, Plan};
use std::{
    collections::HashSet,
    fmt::{self, Write},
};

/// Warnings, one line an op with its cause and what it comes after, then the summary.
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    for warning in &plan.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    let lines: Vec<[String; 5]> = plan.ops.iter().enumerate().map(|(id, _)| line(plan, id)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    for [id, verb, kind, object, cause] in &lines {
        let [w0, w1, w2, w3] = widths;
        let _ = writeln!(out, "{id:>w0$} {verb:w1$} {kind:w2$} {object:w3$}  {cause}");
    }
    if !lines.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "Plan: {}", Summary::of(plan));
    out
}

fn line(plan: &Plan, id: OpId) -> [String; 5] {
    let planned = &plan.ops[id];
    let mut cause = planned.cause.to_string();
    if !planned.after.is_empty() {
        let after: Vec<String> = planned.after.iter().map(|id| format!("#{id}")).collect();
        let _ = write!(cause, " (after {})", after.join(", "));
    }
    let op = &planned.op;
    [format!("#{id}"), op.verb().to_owned(), op.kind().to_lowercase(), op.object().to_owned(), cause]
}

/// Containers, networks and volumes by what becomes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub build: usize,
    pub pull: usize,
    pub create: usize,
    /// Removed and made anew.
    pub recreate: usize,
    pub remove: usize,
    /// Containers that are there and are started, and nothing else.
    pub start: usize,
    /// Stopped, then started.
    pub restart: usize,
    /// Stopped or killed, and nothing else.
    pub stop: usize,
    pub unchanged: usize,
}

impl Summary {
    pub fn of(plan: &Plan) -> Self {
        let mut summary = Self { unchanged: plan.unchanged.len(), ..Self::default() };
        let replaced = replaced(plan);
        let old: HashSet<OpId> = replaced.iter().map(|(_, old)| *old).collect();
        let (mut removed, mut started, mut stopped) = (HashSet::new(), HashSet::new(), HashSet::new());
        for (id, planned) in plan.ops.iter().enumerate() {
            match &planned.op {
                Op::BuildImage { .. } => summary.build += 1,
                Op::PullImage { .. } => summary.pull += 1,
                // No plan that is shown has it.
                Op::LoadImage { .. } | Op::PushImage { .. } => {}
                Op::CreateNetwork { .. } | Op::CreateVolume { .. } | Op::CreateContainer { .. } => {
                    let anew = planned.after.iter().any(|before| replaced.contains(&(id, *before)));
                    if anew { summary.recreate += 1 } else { summary.create += 1 }
                }
                Op::RemoveContainer { id: container, .. } => {
                    removed.insert(container);
                    summary.remove += usize::from(!old.contains(&id));
                }
                Op::RemoveNetwork { .. } | Op::RemoveVolume { .. } | Op::RemoveImage { .. } => {
                    summary.remove += usize::from(!old.contains(&id));
                }
                Op::StartContainer { id: Some(container), .. } => {
                    started.insert(container);
                }
                Op::StopContainer { id: container, .. } | Op::KillContainer { id: container, .. } => {
                    stopped.insert(container);
                }
                Op::StartContainer { id: None, .. } | Op::AwaitCondition { .. } => {}
            }
        }
        summary.restart = started.intersection(&stopped).count();
        summary.start = started.len() - summary.restart;
        summary.stop = stopped.iter().filter(|id| !started.contains(*id) && !removed.contains(*id)).count();
        summary
    }
}

/// Pairs of a creation and the removal that it makes up for: the same container place, or a network that is made
/// right after its removal.
fn replaced(plan: &Plan) -> HashSet<(OpId, OpId)> {
    let mut pairs = HashSet::new();
    for (id, planned) in plan.ops.iter().enumerate() {
        for before in &planned.after {
            let same = match (&planned.op, plan.ops.get(*before).map(|planned| &planned.op)) {
                (Op::CreateNetwork { .. }, Some(Op::RemoveNetwork { .. })) => true,
                (
                    Op::CreateContainer { replaces, name, .. },
                    Some(Op::RemoveContainer { id: old, name: old_name, .. }),
                ) => replaces.as_ref() == Some(old) || name == old_name,
                _ => false,
            };
            if same {
                pairs.insert((id, *before));
            }
        }
    }
    pairs
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { build, pull, create, recreate, remove, start, restart, stop, unchanged } = self;
        let counts = [
            (*build, "build", false),
            (*pull, "pull", false),
            (*create, "create", true),
            (*recreate, "recreate", true),
            (*remove, "remove", true),
            (*start, "start", false),
            (*restart, "restart", false),
            (*stop, "stop", false),
        ];
        for (count, what, always) in counts {
            if always || count > 0 {
                write!(f, "{count} to {what}, ")?;
            }
        }
        write!(f, "{unchanged} unchanged")
    }
}
