//! Whole projects: YAML, merging, extends, include, env files, up to the canonical form.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let options = muster::files(input);
    // `include` and `extends` can name any file of the machine: only what lies beside the input is looked at.
    let text = String::from_utf8_lossy(input);
    if !text.contains("/dev") && !text.contains("/proc") && !text.contains("..") {
        muster::check(&options);
    }
});
