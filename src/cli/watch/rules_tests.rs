//! Rules as text: `service action path -> target [initial] [include=..] [ignore=..]`, changes in, work out.

use super::*;
use crate::model::{Build, Hook, Mount};
use std::fmt::Write;

fn rule(line: &str) -> (String, WatchRule) {
    let mut words = line.split_whitespace();
    let service = words.next().unwrap().to_owned();
    let action = words.next().unwrap();
    let action = WatchAction::ALL.into_iter().find(|known| known.as_str() == action).unwrap();
    let mut rule = WatchRule {
        path: words.next().unwrap().into(),
        action,
        target: None,
        ignore: Vec::new(),
        include: Vec::new(),
        initial_sync: false,
        exec: (action == WatchAction::SyncExec).then(|| Hook { command: vec!["reload".into()], ..Hook::default() }),
    };
    for word in words {
        match word.split_once('=') {
            Some(("ignore", pattern)) => rule.ignore.push(pattern.into()),
            Some(("include", pattern)) => rule.include.push(pattern.into()),
            _ if word == "initial" => rule.initial_sync = true,
            _ => rule.target = Some(word.trim_start_matches("->").into()),
        }
    }
    (service, rule)
}

fn project(lines: &str) -> Project {
    let mut project = Project::default();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, rule) = rule(line);
        let build = Build { context: "/w".into(), ..Build::default() };
        let service = || Service { name: name.clone(), build: Some(build), ..Service::default() };
        project.services.entry(name.clone()).or_insert_with(service).develop.push(rule);
    }
    project
}

fn rules_with(project: &Project, ignore: &'static str) -> Rules {
    let read =
        move |path: &Path| (path == Path::new("/w/.dockerignore") && !ignore.is_empty()).then(|| ignore.to_owned());
    let all = project.services.keys().cloned().collect();
    Rules::new(project, &all, &read, &|path| path.to_owned()).unwrap()
}

fn rules(lines: &str) -> Rules {
    rules_with(&project(lines), "")
}

fn show(work: BTreeMap<String, Work>) -> String {
    let mut text = String::new();
    for (service, work) in work {
        write!(text, "{service}:").unwrap();
        if work.rebuild {
            text.push_str(" rebuild");
        }
        for copy in work.copies {
            write!(text, " {}", copy.target.display()).unwrap();
        }
        if work.restart {
            text.push_str(" restart");
        }
        for exec in work.execs {
            write!(text, " exec{exec}").unwrap();
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

fn work(rules: &Rules, changed: &str) -> String {
    let changed: BTreeSet<PathBuf> = changed.split_whitespace().map(PathBuf::from).collect();
    show(rules.work(&changed))
}

#[test]
fn each_action_is_work_of_its_kind() {
    let rules = rules(
        "web sync /w/src ->/app
         web sync+restart /w/conf ->/etc/app
         web rebuild /w/package.json
         db restart /w/db.conf
         db sync+exec /w/sql ->/sql",
    );
    assert_eq!(work(&rules, "/w/src/a.js /w/src/lib/b.js"), "web: /app/a.js /app/lib/b.js");
    assert_eq!(work(&rules, "/w/conf/x"), "web: /etc/app/x restart");
    assert_eq!(work(&rules, "/w/package.json"), "web: rebuild");
    assert_eq!(work(&rules, "/w/db.conf"), "db: restart");
    assert_eq!(work(&rules, "/w/sql/a /w/sql/b"), "db: /sql/a /sql/b exec4");
    assert_eq!(work(&rules, "/w/other /w/srcs/a /w"), "");
    assert_eq!(work(&rules, "/w/src/a /w/db.conf"), "db: restart\nweb: /app/a");
}

#[test]
fn one_file_of_a_rule_lies_at_its_very_target() {
    let rules = rules("web sync /w/app.conf ->/etc/app/");
    assert_eq!(work(&rules, "/w/app.conf"), "web: /etc/app/");
}

#[test]
fn two_rules_may_want_the_same_file() {
    let rules = rules("web sync /w/src ->/app\nweb sync /w ->/all\nweb restart /w/src/x");
    assert_eq!(work(&rules, "/w/src/x"), "web: /app/x /all/src/x restart");
}

#[test]
fn patterns_count_from_the_path_of_the_rule() {
    let ignoring = rules("web sync /w/src ->/app ignore=node_modules/ ignore=*.log ignore=**/*.tmp ignore=/w/src/full");
    assert_eq!(work(&ignoring, "/w/src/node_modules/a/b /w/src/x.log /w/src/d/x.tmp /w/src/full"), "");
    assert_eq!(work(&ignoring, "/w/src/d/node_modules /w/src/d/x.log"), "web: /app/d/node_modules /app/d/x.log");
    let including = rules("web sync /w/src ->/app include=*.js include=lib ignore=lib/old");
    assert_eq!(
        work(&including, "/w/src/a.js /w/src/a.ts /w/src/d/a.js /w/src/lib/x /w/src/lib/old/x"),
        "web: /app/a.js /app/lib/x"
    );
}

#[test]
fn what_editors_leave_beside_files_is_nobody_s_business() {
    let rules = rules("web sync /w ->/app");
    let noise = "/w/4913 /w/d/4913 /w/a.js~ /w/.a.js.swp /w/d/.a.swx /w/.#a /w/#a# /w/.idea/x/y /w/a___jb_tmp___ \
                 /w/.git/index /w/d/.git/HEAD /w/x-go-tmp-umask /w/.a.kate-swp";
    assert_eq!(work(&rules, noise), "");
    assert_eq!(work(&rules, "/w/.gitignore /w/a.swp /w/4914"), "web: /app/.gitignore /app/4914 /app/a.swp");
}

#[test]
fn editors_names_above_the_watched_directory_mean_nothing() {
    let rules = rules("web sync /home/x~/.idea/src ->/app");
    assert_eq!(work(&rules, "/home/x~/.idea/src/a"), "web: /app/a");
}

#[test]
fn what_the_build_leaves_out_is_left_out_with_its_exceptions() {
    let project = project("web sync /w/src ->/app\nweb sync /elsewhere ->/e");
    let rules = rules_with(&project, "# c\nsrc/dist\n**/*.md\n!src/README.md\n");
    assert_eq!(
        work(&rules, "/w/src/dist/x /w/src/a.md /w/src/README.md /elsewhere/a.md"),
        "web: /e/a.md /app/README.md"
    );
    let whitelist = rules_with(&project, "*\n!src\n");
    assert_eq!(work(&whitelist, "/w/src/x /elsewhere/y"), "web: /e/y /app/x");
}

#[test]
fn directories_that_cannot_concern_anybody_are_not_watched() {
    let rules =
        rules("web sync /w/src ->/app ignore=node_modules ignore=dist ignore=!dist/keep\ndb restart /w/src/dist/db");
    assert!(rules.may_concern_below(Path::new("/w/src")));
    assert!(rules.may_concern_below(Path::new("/w/src/lib")));
    assert!(!rules.may_concern_below(Path::new("/w/src/node_modules")));
    assert!(!rules.may_concern_below(Path::new("/w/src/.git")));
    assert!(!rules.may_concern_below(Path::new("/w/other")));
    // For what an exception brings back, and for the other service.
    assert!(rules.may_concern_below(Path::new("/w/src/dist")));
    assert!(rules.may_concern_below(Path::new("/w/src/dist/db")));
}

#[test]
fn an_initial_sync_copies_all_but_what_says_how_containers_are_made() {
    let rules = rules("web sync /w ->/app initial ignore=dist include=**\nweb sync /w/late ->/late");
    let files: BTreeSet<PathBuf> =
        ["/w", "/w/a", "/w/compose.yaml", "/w/d/Dockerfile", "/w/dist/x", "/w/late/y"].map(PathBuf::from).into();
    assert_eq!(show(rules.initial(&files)), "web: /app /app/a /app/late/y");
}

#[test]
fn what_a_bind_mount_shows_anyway_is_not_copied() {
    let mut project = project("web sync /w/src ->/app\nweb sync /w/lib ->/lib\nweb sync+exec /w/src/conf ->/c");
    let kind = MountKind::Bind { source: "/w/src".into(), create_host_path: true, propagation: None };
    project.services["web"].volumes.push(Mount { kind, target: "/app".into(), read_only: false });
    let rules = rules_with(&project, "");
    assert_eq!(rules.warnings, ["path '/w/src' also declared by a bind mount volume, this path won't be monitored!"]);
    assert_eq!(work(&rules, "/w/src/conf/a /w/lib/b"), "web: /lib/b exec1");
}

#[test]
fn rules_that_cannot_be_carried_out_are_refused_before_anything_is_watched() {
    let refused = |change: &dyn Fn(&mut Service), line: &str, services: &[&str]| {
        let mut project = project(line);
        project.services.values_mut().for_each(change);
        let services = services.iter().map(|name| name.to_string()).collect();
        Rules::new(&project, &services, &|_| None, &|path| path.to_owned()).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|service| service.build = None, "web rebuild /w", &["web"]),
        "can't watch service \"web\" with action rebuild without a build context"
    );
    assert_eq!(
        refused(&|service| service.develop[0].exec = None, "web sync+exec /w ->/a", &["web"]),
        "can't watch service \"web\" with action sync+exec without a command"
    );
    let none = "none of the selected services is configured for watch, consider setting a 'develop' section";
    assert_eq!(refused(&|service| service.develop.clear(), "web restart /w", &["web"]), none);
    assert_eq!(refused(&|_| {}, "web restart /w", &["db"]), none);
    let bad = refused(&|_| {}, "web sync /w ->/a ignore=[", &["web"]);
    assert!(bad.starts_with("services.web.develop.watch: /w: "), "{bad}");
}
