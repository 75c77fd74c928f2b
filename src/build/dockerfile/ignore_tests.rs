//! The table of moby's own tests of `patternmatcher`, and files as people write them.

use super::*;

#[test]
fn patterns_match_as_mobys_do() {
    for (pattern, path, expected) in [
        ("**", "file", true),
        ("**", "dir/file", true),
        ("**/", "file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("dir/**", "dir", false),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/*", "dir/dir2/dir2/file", true),
        ("**/dir2/**", "dir/dir2/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**/file", "dir/dir/file", true),
        ("**file", "dir/dir/file", true),
        ("**file", "dir/dir/my-file", true),
        ("**file*", "my-file1", false),
        ("**/file*", "dir/file1", true),
        ("**file*txt", "dir/dir/file.txt", true),
        ("**/**/*.txt", "dir/dir/file.txt", true),
        ("**/*.txt", "dir/file.text", false),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt", "a/file.txt", true),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcdef", false),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("a\\\\", "a\\", true),
        ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "dir/foo/bar", true),
        ("abc/**", "abc/def/ghi", true),
        ("**/.foo", ".foo", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("{a,b}", "a", false),
        ("{a,b}", "{a,b}", true),
        (
            "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
            "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
            true,
        ),
        ("fileutils.go", "fileutils.rs", false),
        ("*", "dir/file", true),
        ("*.go", "dir/a.go", false),
        ("docs", "docs/README.md", true),
        ("docs/", "docs/README.md", true),
        ("docs/../README", "README", true),
        ("a**b", "ab", true),
        ("a**b", "ax/b", true),
        ("a**b", "axb", false),
    ] {
        assert_eq!(Patterns::new([pattern]).unwrap().excludes(path), expected, "{pattern} {path}");
    }
}

#[test]
fn the_last_pattern_that_matches_decides() {
    let text = "\u{feff}# first\n  *  \n!src\n/src/**/*.tmp\n!src/keep/a.tmp\r\n #no comment\n\n!  README.md\nsrc/../Makefile\n";
    let patterns = Patterns::read(text).unwrap();
    for (path, excluded) in [
        ("a", true),
        ("a/b", true),
        ("src", false),
        ("src/a.c", false),
        ("src/a.tmp", true),
        ("src/x/y/a.tmp", true),
        ("src/keep/a.tmp", false),
        ("README.md", false),
        ("Makefile", true),
        ("#no comment", true),
    ] {
        assert_eq!(patterns.excludes(path), excluded, "{path}");
        // Asked down the tree, the answer is the same.
        let mut above: Option<Verdict> = None;
        for end in path.match_indices('/').map(|(end, _)| end).chain([path.len()]) {
            above = Some(patterns.verdict(&path[..end], above.as_ref()));
        }
        assert_eq!(above.map(|verdict| verdict.excluded), Some(excluded), "{path}");
    }
    let verdict = patterns.verdict("src/x/a.tmp", None);
    assert_eq!(patterns.decided(&verdict), Some((4, "/src/**/*.tmp")));
}

#[test]
fn only_directories_that_an_exception_reaches_are_looked_into() {
    let patterns = Patterns::read("*\n!src/a/*.c\n!docs/x\n").unwrap();
    assert!(
        patterns.may_include_below("src") && patterns.may_include_below("src/a") && patterns.may_include_below("docs")
    );
    assert!(!patterns.may_include_below("node_modules") && !patterns.may_include_below("src/b"));
    assert!(!patterns.may_include_below("docs/y"));
    assert!(Patterns::read("*\n!**/x").unwrap().may_include_below("deep/down"));
}

#[test]
fn what_is_no_pattern_is_refused() {
    for bad in ["!", "[", "a\\", "[a-]"] {
        assert!(Patterns::read(bad).is_err(), "{bad}");
    }
    assert!(Patterns::read("#\n\n").unwrap().is_empty());
    assert!(!Patterns::read("/").unwrap().excludes("a"));
    assert!(!Patterns::read(".").unwrap().excludes("a"));
}
