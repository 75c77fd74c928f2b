//! Platforms: `linux/arm64/v8`, in the words and with the short forms of containerd.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    /// Empty where the architecture's first is meant.
    pub variant: String,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl Platform {
    /// `linux/arm64/v8`: operating system and architecture at least.
    pub fn whole(text: &str) -> Option<Self> {
        let none = Self { os: String::new(), architecture: String::new(), variant: String::new() };
        Self::parse(text, &none).filter(|platform| !platform.os.is_empty() && !platform.architecture.is_empty())
    }

    /// `linux/arm64`, `arm64`, `linux`; what is not said comes from `default`. `None` is no platform.
    pub fn parse(text: &str, default: &Self) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let plain = |part: &&str| {
            let mut chars = part.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
                && chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        };
        if !parts.iter().all(plain) {
            return None;
        }
        let (os, architecture, variant) = match parts.as_slice() {
            [one] if is_os(one) => (*one, default.architecture.as_str(), default.variant.as_str()),
            [one] if is_architecture(one) => (default.os.as_str(), *one, ""),
            [os, architecture] => (*os, *architecture, ""),
            [os, architecture, variant] => (*os, *architecture, *variant),
            _ => return None,
        };
        Some(Self::new(os, architecture, variant))
    }

    fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let (os, architecture, variant) =
            (os.to_ascii_lowercase(), architecture.to_ascii_lowercase(), variant.to_ascii_lowercase());
        let os = if os == "macos" { "darwin".to_owned() } else { os };
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "" | "8" | "v8") => ("arm64", ""),
            ("aarch64" | "arm64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            (architecture, variant) => (architecture, variant),
        };
        Self { os, architecture: architecture.to_owned(), variant: variant.to_owned() }
    }
}

fn is_os(word: &str) -> bool {
    let known = ["darwin", "freebsd", "linux", "macos", "netbsd", "openbsd", "solaris", "wasip1", "windows"];
    known.contains(&word.to_ascii_lowercase().as_str())
}

fn is_architecture(word: &str) -> bool {
    let known = [
        "386", "aarch64", "amd64", "arm", "arm64", "armel", "armhf", "i386", "loong64", "mips", "mips64", "mips64le",
        "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm", "x86-64", "x86_64",
    ];
    known.contains(&word.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_other_forms_are_the_same_platform() {
        let default = Platform::new("linux", "amd64", "");
        let parse = |text: &str| Platform::parse(text, &default).map(|platform| platform.to_string());
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux", "linux/amd64"),
            ("arm64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("armel", "linux/arm/v6"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(Platform::whole("linux/arm64/v8"), parse("arm64").and_then(|text| Platform::whole(&text)));
        assert_eq!((Platform::whole("linux"), Platform::whole("amd64")), (None, None));
        for bad in ["", "nothing", "linux/", "linux/a b", "a/b/c/d", "/amd64", "lin*x/amd64"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
