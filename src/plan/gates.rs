//! What a start has to wait for: starts of dependencies, and conditions on them.

use super::{Cause, ObservedContainer, ObservedState, Op, OpId, Plan, PlanError, scene::Scene};
use crate::model::{Condition, Dependency, HealthTest, Service};
use std::collections::{BTreeSet, HashMap};

/// Starts are planned in dependency order; each one asks here, then tells its own ops.
pub struct Gates<'s, 'a> {
    scene: &'s Scene<'a>,
    /// Services that this plan looks after; others are nobody's business and are not waited for.
    within: BTreeSet<&'a str>,
    /// Containers that are there after the plan as they were before.
    kept: HashMap<&'a str, Vec<&'a ObservedContainer>>,
    starts: HashMap<&'a str, Vec<OpId>>,
    /// A container that is on its way out must not be taken for one that failed.
    removals: HashMap<&'a str, Vec<OpId>>,
}

impl<'s, 'a> Gates<'s, 'a> {
    pub fn new(
        scene: &'s Scene<'a>,
        within: BTreeSet<&'a str>,
        kept: HashMap<&'a str, Vec<&'a ObservedContainer>>,
    ) -> Self {
        Self { scene, within, kept, starts: HashMap::new(), removals: HashMap::new() }
    }

    pub fn started(&mut self, service: &'a str, op: OpId) {
        self.starts.entry(service).or_default().push(op);
    }

    pub fn removed(&mut self, service: &'a str, op: OpId) {
        self.removals.entry(service).or_default().push(op);
    }

    /// What the starts of `service` come after. Waits for conditions are planned on the way.
    pub fn before(&self, service: &'a Service, plan: &mut Plan) -> Result<Vec<OpId>, PlanError> {
        let mut after = Vec::new();
        for (name, dependency) in &service.depends_on {
            let Some((name, on)) = self.scene.services.get_key_value(name.as_str()) else { continue };
            // With no container wanted there is nothing to wait for.
            if !self.within.contains(name) || on.scale == 0 {
                continue;
            }
            let starts = self.starts.get(name).cloned().unwrap_or_default();
            if dependency.condition == Condition::Started && dependency.required {
                after.extend(starts);
            } else if !self.is_met(name, dependency.condition, &starts)
                && self.can_be_met(service, on, dependency, plan)?
            {
                let removals = self.removals.get(name).into_iter().flatten().copied();
                let first = removals.chain(starts).collect();
                after.push(await_condition(service, name, dependency, first, plan));
            }
        }
        Ok(after)
    }

    fn is_met(&self, service: &str, condition: Condition, starts: &[OpId]) -> bool {
        let kept = self.kept.get(service).map_or(&[][..], Vec::as_slice);
        let met = |container: &&ObservedContainer| match condition {
            Condition::Started => true,
            Condition::Healthy => container.state == ObservedState::Running { healthy: Some(true) },
            Condition::Completed => container.state == ObservedState::Exited { code: 0 },
        };
        starts.is_empty() && kept.iter().all(met) && (condition == Condition::Started || !kept.is_empty())
    }

    /// Waiting for the health of something without a check would last for ever: said before anything is touched.
    fn can_be_met(
        &self,
        service: &Service,
        on: &Service,
        dependency: &Dependency,
        plan: &mut Plan,
    ) -> Result<bool, PlanError> {
        if dependency.condition != Condition::Healthy || self.may_have_healthcheck(on) {
            return Ok(true);
        }
        let error = PlanError::NoHealthcheck { service: service.name.clone(), dependency: on.name.clone() };
        if dependency.required {
            return Err(error);
        }
        plan.warnings.push(format!("{error}; going on, as it is not required"));
        Ok(false)
    }

    fn may_have_healthcheck(&self, service: &Service) -> bool {
        match service.healthcheck.as_ref().and_then(|check| check.test.as_ref()) {
            Some(HealthTest::None) => false,
            Some(HealthTest::Cmd(_) | HealthTest::Shell(_)) => true,
            // An image that is yet to be pulled may bring one.
            None => match self.scene.observed.images.get(service.reference()) {
                Some(Some(image)) => image.healthcheck,
                Some(None) | None => true,
            },
        }
    }
}

fn await_condition(service: &Service, on: &str, dependency: &Dependency, after: Vec<OpId>, plan: &mut Plan) -> OpId {
    let op = Op::AwaitCondition {
        service: on.to_owned(),
        condition: dependency.condition,
        required: dependency.required,
        waiting: service.name.clone(),
    };
    let until = match dependency.condition {
        Condition::Started => "has started",
        Condition::Healthy => "is healthy",
        Condition::Completed => "has completed successfully",
    };
    let optional = if dependency.required { "" } else { " (not required)" };
    plan.push(op, Cause::new(format!("{} starts when it {until}{optional}", service.name)), after)
}
