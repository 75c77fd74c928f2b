//! Dockerfiles, from text to plan; ignore files.
#![no_main]

use muster::build::{
    dockerfile::{self, Patterns},
    frontend::{Configurations, Options, Platform, bases, plan},
};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static OPTIONS: LazyLock<Options> = LazyLock::new(|| {
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() };
    let mut options = Options::new(platform);
    options.args.extend([("A".into(), "a".into()), ("EMPTY".into(), String::new()), ("B".into(), "$A ${A}".into())]);
    options
});

fn base() -> Map<String, Value> {
    let triggers = json!(["COPY --from=a /x /y", "RUN echo $A", "WORKDIR w"]);
    let document = json!({"os": "linux", "architecture": "amd64", "config": {"Env": ["P=1"], "OnBuild": triggers}});
    document.as_object().cloned().expect("an object")
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(patterns) = Patterns::read(text) {
        let _ = (patterns.excludes("a/b.c"), patterns.may_include_below("a"));
    }
    let lines = text.split('\n').count();
    let file = match dockerfile::parse(text) {
        Ok(file) => file,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without an error");
            for error in errors {
                assert!(error.at.line <= lines, "an error behind the end: {error}");
                let _ = error.render("Dockerfile", text);
            }
            return;
        }
    };
    let mut known = Configurations::new();
    // Every round asks for what the one before did not know of.
    for round in 0.. {
        assert!(round < 3 * file.instructions.len() + 3, "asks for bases without end");
        match bases(&file, &OPTIONS, &known) {
            Ok(wanted) if wanted.is_empty() => break,
            Ok(wanted) => known.extend(wanted.into_iter().map(|one| ((one.image, one.platform), base()))),
            Err(errors) => {
                assert!(!errors.is_empty(), "refused without an error");
                errors.iter().for_each(|error| drop(error.render("Dockerfile", text)));
                return;
            }
        }
    }
    let Ok(planned) = plan(&file, &OPTIONS, &known) else { return };
    for (index, step) in planned.plan.steps.iter().enumerate() {
        assert!(step.op.needs().iter().all(|need| need.0 < index), "a step before what it needs: {step:?}");
        assert!(step.line <= lines, "a step behind the end: {step:?}");
    }
    assert!(planned.plan.outcome.root.is_none_or(|root| root.0 + 1 == planned.plan.steps.len()));
});
