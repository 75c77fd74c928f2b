//! Patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: `*` and `?`, nothing else.

/// Each stands for one character, but for `Many`, which stands for any number. No line end is among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Exactly(char),
    One,
    Many,
}

#[derive(Debug)]
pub struct Pattern(Vec<Part>);

impl Pattern {
    /// A backslash escapes `*`, `?`, `\`, `}` and `/`; `None` where it stands before anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let part = match c {
                '*' if parts.last() == Some(&Part::Many) => continue,
                '*' => Part::Many,
                '?' => Part::One,
                '\\' => match chars.next()? {
                    c @ ('*' | '?' | '\\' | '}' | '/') => Part::Exactly(c),
                    _ => return None,
                },
                c => Part::Exactly(c),
            };
            parts.push(part);
        }
        Some(Self(parts))
    }

    pub fn without_prefix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let length = self.length(&chars, longest).unwrap_or(0);
        chars.into_iter().skip(length).collect()
    }

    pub fn without_suffix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().rev().collect();
        let reversed = Self(self.0.iter().rev().copied().collect());
        let length = reversed.length(&chars, longest).unwrap_or(0);
        chars.into_iter().skip(length).collect::<Vec<_>>().into_iter().rev().collect()
    }

    /// The longest matches from the left, first or all, become `replacement`.
    pub fn replaced(&self, value: &str, replacement: &str, all: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let mut text = String::new();
        let mut at = 0;
        let mut last_end = None;
        while at <= chars.len() {
            match self.length(&chars[at..], true) {
                // An empty match right behind another one is none.
                Some(length) if length > 0 || last_end != Some(at) => {
                    text.push_str(replacement);
                    at += length;
                    last_end = Some(at);
                    if !all {
                        break;
                    }
                    if length == 0 {
                        text.extend(chars.get(at));
                        at += 1;
                    }
                }
                _ => {
                    text.extend(chars.get(at));
                    at += 1;
                }
            }
        }
        text.extend(chars.iter().skip(at));
        text
    }

    /// How many characters at the start match. States of the pattern are followed side by side: no input makes it slow.
    fn length(&self, chars: &[char], longest: bool) -> Option<usize> {
        let end = self.0.len();
        let mut states = vec![false; end + 1];
        states[0] = true;
        self.skip_many(&mut states);
        let mut found = states[end].then_some(0);
        for (index, c) in chars.iter().enumerate() {
            if found.is_some() && !longest {
                break;
            }
            let mut next = vec![false; end + 1];
            for (state, part) in self.0.iter().enumerate().filter(|(state, _)| states[*state]) {
                match part {
                    Part::Exactly(want) if want == c => next[state + 1] = true,
                    Part::One if *c != '\n' => next[state + 1] = true,
                    Part::Many if *c != '\n' => next[state] = true,
                    _ => {}
                }
            }
            self.skip_many(&mut next);
            states = next;
            if states[end] {
                found = Some(index + 1);
            }
            if !states.contains(&true) {
                break;
            }
        }
        found
    }

    fn skip_many(&self, states: &mut [bool]) {
        for (state, part) in self.0.iter().enumerate() {
            if *part == Part::Many && states[state] {
                states[state + 1] = true;
            }
        }
    }
}
