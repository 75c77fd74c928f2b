//! `develop`: what to do when files change while somebody works on them.

use super::{
    At, Decoder,
    Field::{self, Read},
    clean,
};
use crate::model::{Hook, WatchAction, WatchRule};
use std::path::{Path, PathBuf};

/// A rule, before it is known that path and action are there.
#[derive(Default)]
pub struct Draft {
    path: Option<PathBuf>,
    action: Option<WatchAction>,
    target: Option<PathBuf>,
    ignore: Vec<String>,
    include: Vec<String>,
    initial_sync: bool,
    exec: Option<Hook>,
}

pub const FIELDS: &[Field<Vec<WatchRule>>] = &[Read("watch", |d, at, rules| {
    for item in d.items(at) {
        rules.extend(d.watch_rule(&item));
    }
})];

pub const RULE: &[Field<Draft>] = &[
    Read("path", |d, at, rule| rule.path = d.filled(at).map(PathBuf::from)),
    Read("action", |d, at, rule| rule.action = d.watch_action(at)),
    // A relative one starts at the root of the container, as in docker compose.
    Read("target", |d, at, rule| {
        let target = d.text(at).filter(|target| !target.is_empty());
        rule.target = target.map(|target| clean(&Path::new("/").join(target)));
    }),
    Read("exec", |d, at, rule| {
        let mut hook = Hook::default();
        if !at.node.is_null() && d.section(at, HOOK, &mut hook) {
            rule.exec = Some(hook);
        }
    }),
    Read("include", |d, at, rule| rule.include = d.strings(at)),
    Read("ignore", |d, at, rule| rule.ignore = d.strings(at)),
    Read("initial_sync", |d, at, rule| rule.initial_sync = d.boolean(at).unwrap_or_default()),
];

pub const HOOK: &[Field<Hook>] = &[
    Read("command", |d, at, hook| hook.command = d.command(at).unwrap_or_default()),
    Read("user", |d, at, hook| hook.user = d.text(at).filter(|user| !user.is_empty())),
    Read("privileged", |d, at, hook| hook.privileged = d.boolean(at).unwrap_or_default()),
    Read("working_dir", |d, at, hook| {
        let directory = d.text(at).filter(|directory| !directory.is_empty());
        hook.working_dir = directory.and_then(|directory| d.container_path(at, &directory));
    }),
    Read("environment", |d, at, hook| hook.environment = d.environment(at)),
];

impl Decoder<'_> {
    pub fn develop(&mut self, at: &At<'_>) -> Vec<WatchRule> {
        let mut rules = Vec::new();
        if !at.node.is_null() {
            self.section(at, FIELDS, &mut rules);
        }
        rules
    }

    fn watch_rule(&mut self, at: &At<'_>) -> Option<WatchRule> {
        let mut draft = Draft::default();
        self.section(at, RULE, &mut draft);
        let Draft { path, action, target, ignore, include, initial_sync, exec } = draft;
        Some(WatchRule { path: path?, action: action?, target, ignore, include, initial_sync, exec })
    }

    fn watch_action(&mut self, at: &At<'_>) -> Option<WatchAction> {
        let text = self.filled(at)?;
        let action = WatchAction::ALL.into_iter().find(|action| action.as_str() == text);
        if action.is_none() {
            let all = WatchAction::ALL.map(WatchAction::as_str).join("`, `");
            self.error(at, format!("must be one of `{all}`, not \"{text}\""));
        }
        action
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        compose::{LoadOptions, Purpose, load},
        model::{Hook, WatchAction, WatchRule},
    };

    fn rules(text: &str) -> Vec<WatchRule> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
        let options = LoadOptions {
            cwd: dir.path().to_owned(),
            project_name: Some("p".into()),
            purpose: Purpose::Run,
            ..LoadOptions::default()
        };
        let loaded = load(&options).map_err(|findings| findings.render(false)).unwrap();
        let mut rules = loaded.project.services.into_values().next().unwrap().develop;
        for rule in &mut rules {
            rule.path = rule.path.strip_prefix(dir.path()).unwrap().to_owned();
        }
        rules
    }

    #[test]
    fn everything_that_a_rule_can_say_is_in_the_model() {
        let text = "
services:
  web:
    image: a
    develop:
      watch:
        - {path: src, action: rebuild}
        - {path: ./lib, action: sync, target: app//lib/, ignore: node_modules/, include: ['*.js', '**/*.ts'], initial_sync: true}
        - path: conf
          action: sync+exec
          target: /etc/app
          exec: {command: kill -HUP 1, user: app, privileged: true, working_dir: /srv, environment: {A: 1, B: }}
";
        let rules = rules(text);
        let plain = WatchRule {
            path: "src".into(),
            action: WatchAction::Rebuild,
            target: None,
            ignore: Vec::new(),
            include: Vec::new(),
            initial_sync: false,
            exec: None,
        };
        assert_eq!(rules[0], plain);
        let lib = WatchRule {
            path: "lib".into(),
            action: WatchAction::Sync,
            target: Some("/app/lib".into()),
            ignore: vec!["node_modules/".into()],
            include: vec!["*.js".into(), "**/*.ts".into()],
            initial_sync: true,
            exec: None,
        };
        assert_eq!(rules[1], lib);
        let hook = Hook {
            command: ["kill", "-HUP", "1"].map(str::to_owned).to_vec(),
            user: Some("app".into()),
            privileged: true,
            working_dir: Some("/srv".into()),
            environment: [("A".to_owned(), "1".to_owned())].into_iter().collect(),
        };
        assert_eq!(rules[2].exec, Some(hook));
        assert_eq!((rules[2].action, rules[2].target.as_deref()), (WatchAction::SyncExec, Some("/etc/app".as_ref())));
    }

    #[test]
    fn an_empty_section_watches_nothing() {
        assert!(rules("services: {web: {image: a, develop: }}").is_empty());
        assert!(rules("services: {web: {image: a, develop: {}}}").is_empty());
    }
}
