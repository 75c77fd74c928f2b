//! `healthcheck`.

use super::{
    At, Decoder,
    Field::{self, Read},
};
use crate::model::{HealthTest, Healthcheck};

#[derive(Default)]
pub struct Draft {
    check: Healthcheck,
    disable: bool,
}

pub const FIELDS: &[Field<Draft>] = &[
    Read("test", |d, at, draft| draft.check.test = d.health_test(at)),
    Read("interval", |d, at, draft| draft.check.interval = d.duration(at)),
    Read("timeout", |d, at, draft| draft.check.timeout = d.duration(at)),
    Read("retries", |d, at, draft| draft.check.retries = d.count(at)),
    Read("start_period", |d, at, draft| draft.check.start_period = d.duration(at)),
    Read("start_interval", |d, at, draft| draft.check.start_interval = d.duration(at)),
    Read("disable", |d, at, draft| draft.disable = d.boolean(at).unwrap_or(false)),
];

impl Decoder<'_> {
    pub fn healthcheck(&mut self, at: &At<'_>) -> Option<Healthcheck> {
        let mut draft = Draft::default();
        if !self.section(at, FIELDS, &mut draft) {
            return None;
        }
        if draft.disable {
            draft.check.test = Some(HealthTest::None);
        }
        Some(draft.check)
    }

    fn health_test(&mut self, at: &At<'_>) -> Option<HealthTest> {
        let items = self.items(at);
        let mut words = items.iter().filter_map(|item| self.text(item)).collect::<Vec<_>>().into_iter();
        let rest_of = |words: std::vec::IntoIter<String>| words.collect::<Vec<_>>();
        match words.next().as_deref() {
            // An empty list is the check of the image.
            None => None,
            Some("NONE") => Some(HealthTest::None),
            Some("CMD") if words.len() > 0 => Some(HealthTest::Cmd(rest_of(words))),
            Some("CMD-SHELL") if words.len() == 1 => words.next().map(HealthTest::Shell),
            Some("CMD-SHELL") if words.len() > 1 => {
                // What follows the script are its arguments.
                let shell = ["/bin/sh".to_owned(), "-c".to_owned()];
                Some(HealthTest::Cmd(shell.into_iter().chain(words).collect()))
            }
            Some(word @ ("CMD" | "CMD-SHELL")) => {
                self.error(at, format!("has nothing to run after `{word}`"));
                None
            }
            Some(_) => {
                self.error(at, "must start with `CMD`, `CMD-SHELL` or `NONE` where it is a list");
                None
            }
        }
    }
}
