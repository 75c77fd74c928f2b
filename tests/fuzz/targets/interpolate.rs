//! Variables in a text. A text whose dollars are doubled comes out as it went in.
#![no_main]

use std::collections::BTreeMap;

fn variables() -> BTreeMap<String, String> {
    [("A", "a"), ("EMPTY", ""), ("B", "$A ${A}"), ("_x1", "y")].map(|(name, value)| (name.into(), value.into())).into()
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let once = muster::compose::fuzzing::interpolate(text, variables());
    assert_eq!(once, muster::compose::fuzzing::interpolate(text, variables()));
    let escaped = text.replace('$', "$$");
    assert_eq!(muster::compose::fuzzing::interpolate(&escaped, variables()).as_deref(), Some(text));
    if !text.contains('$') {
        assert_eq!(once.as_deref(), Some(text));
    }
});
