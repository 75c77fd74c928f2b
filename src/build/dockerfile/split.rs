//! A statement as keyword, flags and the rest; words of the rest.

use super::place::Word;

/// Between words of a statement; the line end is none of it, as statements have none.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{b}' | '\u{c}' | '\r')
}

/// Offsets count from the start of the statement.
#[derive(Debug)]
pub struct Split<'a> {
    pub keyword: &'a str,
    pub keyword_at: usize,
    /// Without quotes, with the dashes.
    pub flags: Vec<(String, usize)>,
    pub rest: &'a str,
    pub rest_at: usize,
}

pub fn split(text: &str) -> Split<'_> {
    let keyword_at = text.len() - text.trim_start().len();
    let trimmed = text.trim();
    let end = trimmed.find(is_space).unwrap_or(trimmed.len());
    let (keyword, after) = trimmed.split_at(end);
    let (flags, used) = flags(after);
    let rest = &after[used..];
    let rest_at = keyword_at + end + used + (rest.len() - rest.trim_start().len());
    let flags = flags.into_iter().map(|(flag, at)| (flag, keyword_at + end + at)).collect();
    Split { keyword, keyword_at, flags, rest: rest.trim(), rest_at }
}

/// The words that begin with `--`, and how many bytes they take. A lone `--` ends them.
fn flags(text: &str) -> (Vec<(String, usize)>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if !text[at..].starts_with("--") {
            return (found, at);
        }
        let (word, length) = flag(&text[at..]);
        if word == "--" {
            return (found, at + length);
        }
        found.push((word, at));
        at += length;
    }
}

/// One word with its quotes taken away. The backslash escapes here, whatever the escape character is.
fn flag(text: &str) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => return (word, at),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', _) => word.extend(chars.next().map(|(_, c)| c)),
            (c, _) => word.push(c),
        }
    }
    (word, text.len())
}

/// Words between spaces, without any quoting. Empty words do not come.
pub fn plain(text: &str) -> Vec<(&str, usize)> {
    let words = text.split(is_space).filter(|word| !word.is_empty());
    words.map(|word| (word, word.as_ptr() as usize - text.as_ptr() as usize)).collect()
}

/// Words between spaces outside of quotes. Quotes and escapes stay in them, for expansion takes them away later.
pub fn quoted(text: &str, escape: char) -> Vec<(String, usize)> {
    let mut words = Vec::new();
    let mut word: Option<(String, usize)> = None;
    let mut quote = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let (text, _) = word.get_or_insert_with(|| (String::new(), at));
        // Nothing escapes inside of single quotes.
        if c == escape && quote != Some('\'') {
            // At the very end it goes.
            if let Some((_, next)) = chars.next() {
                text.extend([c, next]);
            }
            continue;
        }
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        text.push(c);
    }
    words.extend(word.filter(|(text, _)| !text.is_empty()));
    words
}

/// Splits once at the first run of spaces.
pub fn once(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once(is_space)?;
    Some((first, rest.trim_start_matches(is_space)))
}

pub fn words(
    found: impl IntoIterator<Item = (impl Into<String>, usize)>,
    place: impl Fn(usize) -> super::Place,
) -> Vec<Word> {
    found.into_iter().map(|(text, at)| Word { text: text.into(), at: place(at) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_before_the_rest_and_lose_their_quotes() {
        let split = split(r#"  RUN --mount=type=cache,target="/a b" --network=none -- --x \"y\" "#);
        assert_eq!((split.keyword, split.keyword_at), ("RUN", 2));
        assert_eq!(split.flags, [("--mount=type=cache,target=/a b".into(), 6), ("--network=none".into(), 39)]);
        assert_eq!((split.rest, split.rest_at), (r#"--x \"y\""#, 57));
        assert_eq!(super::split("CMD").rest, "");
        assert_eq!(super::split("CMD --a").flags, [("--a".into(), 4)]);
    }

    #[test]
    fn quotes_hold_words_together_and_stay() {
        let texts = |text: &str| quoted(text, '\\').into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(texts(r#"a="b c" d='e "f' g=h\ i"#), [r#"a="b c""#, r#"d='e "f'"#, r"g=h\ i"]);
        assert_eq!(texts("a=\"b c"), ["a=\"b c"]);
        assert_eq!(texts(r"a\"), ["a"]);
        assert_eq!(plain("a  b\tc"), [("a", 0), ("b", 3), ("c", 5)]);
        assert_eq!(once("a \t b c"), Some(("a", "b c")));
    }
}
