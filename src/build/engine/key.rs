//! Names by content: what a step is, in a hash.
//!
//! Every field is preceded by its length, so that no two lists of fields run into the same bytes. The first field says
//! what is named and in which version: a change of how steps are carried out changes it, and old results are left to
//! the garbage collection.

use crate::image::{Digest, digest::Hasher};

/// Part of every key.
const VERSION: &str = "muster build 1";

/// What something is called: on this host, and in the caches of other hosts. The two differ above a layer from elsewhere
/// that is called there what this host has not come to by itself: whatever its document says, steps above it have names
/// of their own here, and only there are they looked up by those that it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pub here: Digest,
    pub elsewhere: Digest,
}

/// One of the two.
pub type Side = fn(Name) -> Digest;

impl Name {
    pub fn same(digest: Digest) -> Self {
        Self { here: digest, elsewhere: digest }
    }

    pub fn both<E>(digest: impl Fn(Side) -> Result<Digest, E>) -> Result<Self, E> {
        Ok(Self { here: digest(|name| name.here)?, elsewhere: digest(|name| name.elsewhere)? })
    }

    /// Of a layer that is put upon others.
    pub fn upon(self, below: Self) -> Self {
        let stack =
            |below: Digest, own: Digest| Key::new("stack").bytes(below.as_bytes()).bytes(own.as_bytes()).finish();
        Self { here: stack(below.here, self.here), elsewhere: stack(below.elsewhere, self.elsewhere) }
    }
}

pub struct Key(Hasher);

impl Key {
    pub fn new(kind: &str) -> Self {
        Self(Hasher::default()).text(VERSION).text(kind)
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub fn number(self, number: impl Into<i128>) -> Self {
        self.bytes(&number.into().to_le_bytes())
    }

    pub fn flag(self, flag: bool) -> Self {
        self.number(u8::from(flag))
    }

    /// A missing one differs from an empty one.
    pub fn option<T>(self, option: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match option {
            Some(value) => add(self.flag(true), value),
            None => self.flag(false),
        }
    }

    pub fn list<T>(
        self,
        list: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        add: impl Fn(Self, T) -> Self,
    ) -> Self {
        let list = list.into_iter();
        let length = list.len() as u64;
        list.fold(self.number(length), add)
    }

    pub fn finish(self) -> Digest {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        let key = |fields: &[&str]| fields.iter().fold(Key::new("x"), |key, field| key.text(field)).finish();
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a"]), key(&["a", ""]));
        let option = |value: Option<&str>| Key::new("x").option(value, Key::text).finish();
        assert_ne!(option(None), option(Some("")));
        let lists = |a: &[&str], b: &[&str]| {
            Key::new("x").list(a, |key, text| key.text(text)).list(b, |key, text| key.text(text)).finish()
        };
        assert_ne!(lists(&["a"], &["b", "c"]), lists(&["a", "b"], &["c"]));
    }
}
