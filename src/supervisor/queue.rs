//! Commands of one project, one after another. A command that takes things down does not wait for one that builds
//! them up: it supersedes it.

use crate::{
    api::{Apply, Progress},
    model::intent::Intent,
};
use std::collections::VecDeque;
use tokio::sync::{mpsc, watch};

/// A command and where its progress goes.
#[derive(Debug)]
pub struct Job {
    pub apply: Box<Apply>,
    pub progress: mpsc::UnboundedSender<Progress>,
    pub superseded: watch::Receiver<bool>,
    supersede: watch::Sender<bool>,
}

#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Job>,
    /// Verb of the command that is being carried out, and how to overtake it.
    current: Option<(&'static str, watch::Sender<bool>)>,
}

impl Queue {
    pub fn push(&mut self, apply: Box<Apply>, progress: mpsc::UnboundedSender<Progress>) {
        let (supersede, superseded) = watch::channel(false);
        if let Some((verb, current)) = &self.current {
            if takes_over(&apply.intent) {
                current.send_replace(true);
                for job in &self.waiting {
                    job.supersede.send_replace(true);
                }
            }
            let holder = format!("`{verb}` of this project");
            let _ = progress.send(Progress::Waiting { holder });
        }
        self.waiting.push_back(Job { apply, progress, superseded, supersede });
    }

    /// The next command, if none is being carried out.
    pub fn next(&mut self) -> Option<Job> {
        if self.current.is_some() {
            return None;
        }
        let job = self.waiting.pop_front()?;
        self.current = Some((job.apply.intent.verb(), job.supersede.clone()));
        Some(job)
    }

    pub fn finished(&mut self) {
        self.current = None;
    }

    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }
}

fn takes_over(intent: &Intent) -> bool {
    matches!(intent, Intent::Down(_) | Intent::Stop { .. } | Intent::Kill { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::intent::{Down, Up};

    fn apply(intent: Intent) -> Box<Apply> {
        Box::new(Apply { intent, project: None, docker_config: None, wait: None, parallel: None })
    }

    #[test]
    fn a_down_overtakes_an_up_and_an_up_waits() {
        let (progress, mut told) = mpsc::unbounded_channel();
        let mut queue = Queue::default();
        queue.push(apply(Intent::Up(Up::default())), progress.clone());
        let first = queue.next().unwrap();
        queue.push(apply(Intent::Up(Up::default())), progress.clone());
        assert!(!*first.superseded.borrow());
        assert_eq!(told.try_recv().unwrap(), Progress::Waiting { holder: "`up` of this project".into() });
        queue.push(apply(Intent::Down(Down::default())), progress);
        assert!(*first.superseded.borrow());
        assert!(queue.next().is_none());
        queue.finished();
        assert!(*queue.next().unwrap().superseded.borrow(), "the waiting up is overtaken as well");
        queue.finished();
        assert!(!*queue.next().unwrap().superseded.borrow());
        queue.finished();
        assert!(queue.is_idle());
    }
}
