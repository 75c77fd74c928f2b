//! Env files, of both formats.
#![no_main]

use muster::compose::fuzzing::{env_file, raw_env_file};
use std::collections::BTreeMap;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let variables: BTreeMap<String, String> =
        [("A".to_owned(), "a".to_owned()), ("EMPTY".to_owned(), String::new())].into();
    let (values, sound) = env_file(text, variables.clone());
    assert_eq!((&values, sound), (&env_file(text, variables.clone()).0, sound));
    if sound {
        for (name, _) in &values {
            assert!(!name.is_empty() && !name.contains(['=', '\n']), "the name {name:?}");
        }
        let single: String = values
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .filter(|(_, value)| !value.contains(['\'', '\\']))
            .map(|(name, value)| format!("{name}='{value}'\n"))
            .collect();
        for (name, value) in env_file(&single, BTreeMap::new()).0 {
            let before = values.iter().find(|(other, _)| *other == name).map(|(_, value)| value);
            assert_eq!(before, Some(&value), "{name} when written in single quotes");
        }
    }
    let raw = raw_env_file(text, variables.clone());
    assert_eq!(raw, raw_env_file(text, variables));
});
