//! Takes the steps out of a plan that its outcome does not need: a stage may be named and nothing of it taken.

use crate::build::op::{CopySource, History, Mount, Op, Plan, Source, Step, StepId};

pub fn prune(plan: &mut Plan) {
    let mut needed = vec![false; plan.steps.len()];
    let mut open: Vec<StepId> = plan.outcome.root.into_iter().collect();
    while let Some(StepId(step)) = open.pop() {
        if !std::mem::replace(&mut needed[step], true) {
            open.extend(plan.steps[step].op.needs());
        }
    }
    let mut places = Vec::new();
    let mut count = 0;
    for needed in &needed {
        places.push(StepId(count));
        count += usize::from(*needed);
    }
    let mut keep = needed.iter();
    plan.steps.retain(|_| keep.next() == Some(&true));
    let moved = |step: &mut StepId| *step = places[step.0];
    plan.steps.iter_mut().for_each(|step| renumber(step, &moved));
    plan.outcome.root.iter_mut().for_each(moved);
    for entry in &mut plan.outcome.history {
        // The steps of a history are those that its image is stacked of.
        if let History::Made { step: Some(step), .. } = entry {
            moved(step);
        }
    }
}

fn renumber(step: &mut Step, moved: &impl Fn(&mut StepId)) {
    let source = |source: &mut Source| {
        if let Source::Step(step) = source {
            moved(step);
        }
    };
    match &mut step.op {
        Op::Base(_) => {}
        Op::Mkdir(mkdir) => mkdir.root.iter_mut().for_each(moved),
        Op::Copy(copy) => {
            copy.root.iter_mut().for_each(moved);
            for from in &mut copy.sources {
                if let CopySource::Path { from, .. } = from {
                    source(from);
                }
            }
        }
        Op::Run(run) => {
            run.root.iter_mut().for_each(moved);
            for mount in &mut run.mounts {
                if let Mount::Bind { from, .. } | Mount::Cache { from, .. } = mount {
                    source(from);
                }
            }
        }
    }
}
