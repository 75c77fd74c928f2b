//! `depends_on` conditions: may the service that waits start now?

use super::State;
use crate::model::Condition;

/// One container of the service that is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    pub name: &'a str,
    pub state: &'a State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Open,
    Wait,
    /// It can no longer become true: why, for a person to read.
    Failed(String),
}

/// All containers of `service` must meet `condition`.
pub fn verdict(condition: Condition, service: &str, members: &[Member<'_>]) -> Verdict {
    let _ = (condition, service, members);
    Verdict::Wait
}
