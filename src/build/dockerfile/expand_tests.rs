//! Words, what the variables are, and what comes out.

use super::*;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "A" => "hello",
        "EMPTY" => "",
        "PATHS" => "/usr/bin:/bin:/usr/sbin",
        "FILE" => "dir/archive.tar.gz",
        "SPACES" => "a b  c",
        "LINES" => "a\nb",
        "世" => "hi",
        "1" => "one",
        "B" => "$A",
        _ => return None,
    };
    Some(value.to_owned())
}

fn expand(text: &str) -> Result<String, ExpandError> {
    Lexer::new('\\').expand(text, &env).map(|expanded| expanded.text)
}

#[test]
fn words_are_expanded_as_buildkit_does() {
    for (text, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("$A", "hello"),
        ("${A}", "hello"),
        ("x${A}y", "xhelloy"),
        ("x$A-y", "xhello-y"),
        ("$Ay", ""),
        ("$", "$"),
        ("a$", "a$"),
        ("$ a", "$ a"),
        ("$/a", "$/a"),
        ("$1x", "onex"),
        ("$世", "hi"),
        ("$世界", ""),
        ("$B", "$A"),
        ("'$A'", "$A"),
        ("\"$A\"", "hello"),
        ("'a'\"b\"c", "abc"),
        ("\\$A", "$A"),
        ("\\\\$A", "\\hello"),
        ("\"\\$A\"", "$A"),
        ("\"\\\"\"", "\""),
        ("\"a\\nb\"", "a\\nb"),
        ("a\\nb", "anb"),
        ("'a\\nb'", "a\\nb"),
        ("a\\", "a"),
        ("a  b", "a  b"),
        ("${A:-x}", "hello"),
        ("${NO:-x}", "x"),
        ("${NO-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${A:+x}", "x"),
        ("${A+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NO+x}", ""),
        ("${NO:-}", ""),
        ("${NO:-$A}", "hello"),
        ("${NO:-${EMPTY:-deep}}", "deep"),
        ("${NO:-'a}b'}", "a}b"),
        ("${NO:-\"$A b\"}", "hello b"),
        ("${NO:-a\\}b}", "a}b"),
        ("${A:?x}", "hello"),
        ("${A?x}", "hello"),
        ("${EMPTY?x}", ""),
        ("${PATHS#*/}", "usr/bin:/bin:/usr/sbin"),
        ("${PATHS##*/}", "sbin"),
        ("${PATHS%/*}", "/usr/bin:/bin:/usr"),
        ("${PATHS%%:*}", "/usr/bin"),
        ("${FILE%.gz}", "dir/archive.tar"),
        ("${FILE%%.*}", "dir/archive"),
        ("${FILE#no}", "dir/archive.tar.gz"),
        ("${FILE#d?r/}", "archive.tar.gz"),
        ("${A#*}", "hello"),
        ("${A##*}", ""),
        ("${A%?}", "hell"),
        ("${NO#x}", ""),
        ("${PATHS/bin/X}", "/usr/X:/bin:/usr/sbin"),
        ("${PATHS//bin/X}", "/usr/X:/X:/usr/sX"),
        ("${PATHS//\\//.}", ".usr.bin:.bin:.usr.sbin"),
        ("${A/l/}", "helo"),
        ("${A//l/}", "heo"),
        ("${A/l*/X}", "heX"),
        ("${A//?/ab}", "ababababab"),
        ("${A/no/X}", "hello"),
        ("${A/$A/$EMPTY}", ""),
        ("${NO/a/b}", ""),
        ("${LINES##*}", "\nb"),
        ("$SPACES", "a b  c"),
        ("${}", "!"),
        ("${:}", "!"),
        ("${{A}", "!"),
        ("${A", "!"),
        ("${A:", "!"),
        ("${A:-x", "!"),
        ("${A/x}", "!"),
        ("${A/x/y", "!"),
        ("${A!x}", "!"),
        ("${A:=x}", "!"),
        ("${A#\\x}", "!"),
        ("'a", "!"),
        ("\"a", "!"),
        ("\"a\\", "!"),
        ("${NO:?}", "!"),
        ("${NO?why}", "!"),
        ("${EMPTY:?}", "!"),
    ] {
        let found = expand(text).unwrap_or_else(|_| "!".to_owned());
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn errors_say_what_is_missing() {
    let told = |text: &str| expand(text).unwrap_err().to_string();
    assert_eq!(told("${NO:?}"), "the variable NO is required and not set");
    assert_eq!(told("${EMPTY:?}"), "the variable EMPTY is required and empty");
    assert_eq!(told("${NO?set it}"), "the variable NO is required: set it");
    assert_eq!(told("a ${A"), r#""${" in "a ${A" has no "}""#);
    assert_eq!(told("'a"), "the quote ' in \"'a\" is not closed");
    assert!(told("${A:=x}").starts_with("\":=\" after the name of a variable in \"${A:=x}\" is not known"));
}

#[test]
fn the_escape_character_may_be_a_backtick() {
    let expand = |text: &str| Lexer::new('`').expand(text, &env).unwrap().text;
    assert_eq!(expand("`$A"), "$A");
    assert_eq!(expand(r"C:\$A"), r"C:\hello");
    assert_eq!(expand("\"`\"\""), "\"");
}

#[test]
fn words_split_at_spaces_outside_of_quotes() {
    let words = |text: &str| Lexer::new('\\').expand(text, &env).unwrap().words;
    assert_eq!(words("a $SPACES 'd e'"), ["a", "a", "b", "c", "d e"]);
    assert_eq!(words("\"$SPACES\""), ["a b  c"]);
    assert_eq!(words(r"a\ b"), ["a b"]);
    assert_eq!(words("<< EOF x"), ["<< EOF", "x"]);
    assert!(words("''").is_empty() && words(" ").is_empty());
}

#[test]
fn titles_keep_quotes_and_what_is_not_set() {
    let lexer = Lexer { raw_quotes: true, skip_unset: true, ..Lexer::new('\\') };
    let expand = |text: &str| lexer.expand(text, &env).unwrap().text;
    assert_eq!(
        expand("echo \"$A\" '$A' $NO ${NO} ${NO:-x} ${NO/a/b}"),
        "echo \"hello\" '$A' $NO ${NO} ${NO:-x} ${NO/a/b}"
    );
    let expanded = lexer.expand("$A $NO", &env).unwrap();
    assert!(expanded.matched.contains("A") && expanded.unmatched.contains("NO"));
}

#[test]
fn heredoc_text_keeps_its_quotes() {
    let lexer = Lexer { skip_quotes: true, ..Lexer::new('\\') };
    assert_eq!(lexer.expand("'$A' \"x\" \\$A\n", &env).unwrap().text, "'hello' \"x\" $A\n");
}

#[test]
fn hostile_texts_end_in_errors() {
    assert!(matches!(expand(&"${a:-".repeat(10_000)), Err(ExpandError::TooDeep { .. })));
    let big = |_: &str| Some("x".repeat(1 << 19));
    let found = Lexer::new('\\').expand("$a$b$c$d", &big);
    assert!(matches!(found, Err(ExpandError::TooLarge { .. })));
}
