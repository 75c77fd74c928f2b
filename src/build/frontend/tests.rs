//! What the cases of `tests/build` cannot say: what is asked for when, and limits.

use super::*;
use crate::build::{
    dockerfile,
    op::{History, Op, Source},
};
use serde_json::json;

fn options() -> Options {
    Options::new(Platform::whole("linux/amd64").unwrap())
}

fn known(images: &[(&str, Value)]) -> Configurations {
    let document =
        |config: &Value| json!({"os": "linux", "architecture": "amd64", "config": config}).as_object().cloned();
    let one =
        |(name, config): &(&str, Value)| ((name.to_string(), "linux/amd64".to_owned()), document(config).unwrap());
    images.iter().map(one).collect()
}

fn asked(text: &str, options: &Options, known: &Configurations) -> Vec<String> {
    let file = dockerfile::parse(text).unwrap();
    bases(&file, options, known).unwrap().iter().map(|base| format!("{} {}", base.image, base.platform)).collect()
}

#[test]
fn only_bases_of_needed_stages_are_asked_for() {
    let text = "FROM a AS one\nFROM b AS two\nCOPY --from=one / /\nFROM --platform=linux/arm64 c AS three\nFROM a AS four\nCOPY --from=x / /";
    let with = |target: &str| Options { target: Some(target.to_owned()), ..options() };
    assert_eq!(asked(text, &with("one"), &known(&[])), ["a linux/amd64"]);
    assert_eq!(asked(text, &with("two"), &known(&[])), ["a linux/amd64", "b linux/amd64"]);
    assert_eq!(asked(text, &with("three"), &known(&[])), ["c linux/arm64"]);
    assert!(asked(text, &options(), &known(&[("a", json!({}))])).is_empty());
}

#[test]
fn triggers_lead_to_other_bases() {
    let text = "FROM b AS other\nFROM a";
    assert_eq!(asked(text, &options(), &known(&[])), ["a linux/amd64"]);
    let first = known(&[("a", json!({"OnBuild": ["COPY --from=other /x /y"]}))]);
    assert_eq!(asked(text, &options(), &first), ["b linux/amd64"]);
    let file = dockerfile::parse(text).unwrap();
    let missing = plan(&file, &options(), &first).unwrap_err();
    assert_eq!(missing[0].to_string(), "the configuration of b for linux/amd64 is not there");
    let both = known(&[("a", json!({"OnBuild": ["COPY --from=other /x /y"]})), ("b", json!({}))]);
    assert!(asked(text, &options(), &both).is_empty());
    let planned = plan(&file, &options(), &both).unwrap();
    assert_eq!(planned.plan.steps.last().unwrap().title, "[stage-1 2/2] ONBUILD COPY --from=other /x /y");
}

#[test]
fn steps_stand_after_what_they_need() {
    let text = "FROM a AS one\nRUN x\nFROM one AS two\nRUN y\nFROM two\nCOPY --from=one /x /\nCOPY --from=img /z /\nRUN --mount=from=two,target=/m w";
    let file = dockerfile::parse(text).unwrap();
    let planned = plan(&file, &options(), &known(&[("a", json!({}))])).unwrap();
    for (index, step) in planned.plan.steps.iter().enumerate() {
        assert!(step.op.needs().iter().all(|need| need.0 < index), "{step:?}");
    }
    let Op::Copy(copy) = &planned.plan.steps[5].op else { panic!("{:?}", planned.plan.steps[5]) };
    let crate::build::op::CopySource::Path { from, .. } = &copy.sources[0] else { panic!() };
    assert!(matches!(from, Source::Step(id) if planned.plan.steps[id.0].title == "FROM img"));
}

#[test]
fn a_plan_has_no_step_that_nothing_needs() {
    let text = "FROM a AS one\nRUN x\nFROM a\nCOPY --from=one <<f /f\nf\nRUN y";
    let planned = plan(&dockerfile::parse(text).unwrap(), &options(), &known(&[("a", json!({}))])).unwrap();
    let titles: Vec<&str> = planned.plan.steps.iter().map(|step| step.title.as_str()).collect();
    assert_eq!(titles.len(), 3, "{titles:?}");
    assert_eq!(planned.plan.outcome.root.unwrap().0, 2);
    assert_eq!(planned.plan.steps[2].op.root().unwrap().0, 1);
    let History::Made { step, .. } = planned.plan.outcome.history.last().unwrap() else { panic!() };
    assert_eq!(step.unwrap().0, 2);
}

#[test]
fn variables_cannot_grow_without_end() {
    let mut text = "FROM scratch\nENV a=xxxxxxxxxxxxxxxx\n".to_owned();
    text.push_str(&"ENV a=$a$a$a$a\n".repeat(12));
    let file = dockerfile::parse(&text).unwrap();
    let errors = plan(&file, &options(), &known(&[])).unwrap_err();
    assert!(errors[0].to_string().contains("grows by more than 1024 KiB"), "{}", errors[0]);
}

#[test]
fn the_time_of_the_image_is_given_or_named() {
    let epoch = |text: &str, given: Option<&str>| {
        let mut options = options();
        options.args.extend(given.map(|given| ("SOURCE_DATE_EPOCH".to_owned(), given.to_owned())));
        plan(&dockerfile::parse(text).unwrap(), &options, &known(&[])).map(|planned| planned.epoch).ok()
    };
    assert_eq!(epoch("FROM scratch", None), Some(None));
    assert_eq!(epoch("FROM scratch", Some("12")), Some(Some(12)));
    assert_eq!(epoch("ARG SOURCE_DATE_EPOCH=5\nFROM scratch", None), Some(Some(5)));
    assert_eq!(epoch("ARG SOURCE_DATE_EPOCH=5\nFROM scratch", Some("6")), Some(Some(6)));
    assert_eq!(epoch("FROM scratch", Some("yesterday")), None);
}

#[test]
fn a_base_of_another_machine_is_told() {
    let options = Options { platform: Platform::parse("linux/arm64", &options().build_platform), ..options() };
    let document = json!({"os": "linux", "architecture": "amd64"}).as_object().cloned().unwrap();
    let known = Configurations::from([(("a".to_owned(), "linux/arm64".to_owned()), document)]);
    let planned = plan(&dockerfile::parse("FROM a").unwrap(), &options, &known).unwrap();
    assert_eq!(planned.warnings[0].to_string(), "line 1: a is an image of linux/amd64, not of linux/arm64");
    assert_eq!(planned.plan.outcome.config["architecture"], "arm64");
}
