//! Which of an image's builds fits this machine. The rules are containerd's (`platforms` package).

use crate::model;
use oci_spec::image::{Descriptor, Platform};

/// Operating system, architecture and variant in the words of the image specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    architecture: String,
    variant: String,
}

/// What this machine runs, best first.
pub fn host() -> Vec<Target> {
    targets(std::env::consts::ARCH)
}

/// `linux/amd64`
pub fn host_name() -> String {
    host().first().map_or_else(|| format!("linux/{}", std::env::consts::ARCH), Target::name)
}

fn targets(machine: &str) -> Vec<Target> {
    let list: &[(&str, &str)] = match machine {
        // The higher levels of x86-64 may need instructions that this processor lacks.
        "x86_64" => &[("amd64", ""), ("amd64", "v1"), ("386", "")],
        "x86" => &[("386", "")],
        // An arm64 processor usually runs 32-bit programs as well.
        "aarch64" => &[("arm64", ""), ("arm64", "v8"), ("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
        // `arm` alone means v7.
        "arm" => &[("arm", "v7"), ("arm", ""), ("arm", "v6"), ("arm", "v5")],
        "riscv64" => &[("riscv64", "")],
        "powerpc64" => &[("ppc64le", "")],
        "s390x" => &[("s390x", "")],
        "loongarch64" => &[("loong64", "")],
        _ => &[],
    };
    let target = |&(architecture, variant): &(&str, &str)| Target::new(architecture, variant);
    list.iter().map(target).collect()
}

/// What fits a platform as it is written (`linux/arm64`, `linux/arm/v6`), best first.
pub fn named(text: &str) -> Vec<Target> {
    let (architecture, variant) =
        model::Platform::whole(text).map(|named| (named.architecture, named.variant)).unwrap_or_default();
    let machine = match architecture.as_str() {
        "amd64" => "x86_64",
        "386" => "x86",
        "arm64" => "aarch64",
        "ppc64le" => "powerpc64",
        "loong64" => "loongarch64",
        other => other,
    };
    let all = targets(machine);
    let wanted = Target::new(&architecture, &variant);
    match all.iter().position(|target| *target == wanted) {
        Some(position) => all[position..].to_vec(),
        // A variant of its own, and what runs everywhere behind it.
        None => std::iter::once(wanted).chain(all.into_iter().filter(|t| t.architecture == architecture)).collect(),
    }
}

/// Whether it is this host's own, however it is written. Another whose programs run here as well (`linux/386` beside
/// `linux/amd64`) is not: who asks for it does not mean what a name has for this host.
pub fn is_host(text: &str) -> bool {
    is_same(text, &host_name())
}

pub fn is_same(one: &str, other: &str) -> bool {
    named(one).first() == named(other).first()
}

/// A wish for another platform than this host's.
pub fn foreign(wanted: Option<&str>) -> Option<&str> {
    wanted.filter(|text| !is_host(text))
}

impl Target {
    fn new(architecture: &str, variant: &str) -> Self {
        Self { architecture: architecture.to_owned(), variant: variant.to_owned() }
    }

    pub fn name(&self) -> String {
        let variant = if self.variant.is_empty() { String::new() } else { format!("/{}", self.variant) };
        format!("linux/{}{variant}", self.architecture)
    }

    fn fits(&self, platform: &Platform) -> bool {
        platform.os().to_string() == "linux"
            && platform.architecture().to_string() == self.architecture
            && platform.variant().as_deref().unwrap_or_default() == self.variant
    }
}

/// The entry of an index that this machine runs best.
pub fn choose<'a>(entries: &'a [Descriptor], targets: &[Target]) -> Option<&'a Descriptor> {
    targets.iter().find_map(|target| {
        entries.iter().find(|entry| entry.platform().as_ref().is_some_and(|platform| target.fits(platform)))
    })
}

/// For an error: what an index has. Attestations stand in it as `unknown/unknown`.
pub fn names(entries: &[Descriptor]) -> String {
    let mut names: Vec<String> = entries
        .iter()
        .filter_map(|entry| entry.platform().as_ref())
        .map(|platform| {
            let variant = platform.variant().as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
            format!("{}/{}{variant}", platform.os(), platform.architecture())
        })
        .filter(|name| name != "unknown/unknown")
        .collect();
    names.dedup();
    if names.is_empty() { "no platform at all".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Vec<Descriptor> {
        platforms
            .iter()
            .enumerate()
            .map(|(n, name)| {
                let mut parts = name.split('/');
                let (os, architecture, variant) = (parts.next(), parts.next(), parts.next());
                serde_json::from_value(serde_json::json!({
                    "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": n,
                    "digest": super::super::Digest::of(name.as_bytes()).to_string(),
                    "platform": {"os": os, "architecture": architecture, "variant": variant},
                }))
                .unwrap()
            })
            .collect()
    }

    #[test]
    fn what_runs_here_as_well_is_another_platform() {
        assert!(is_host(&host_name()));
        assert_eq!(foreign(Some(&host_name())), None);
        for more in host().iter().skip(1).map(Target::name) {
            // The first level of x86-64 and the eighth of arm64 are what is meant without one.
            let same = ["linux/amd64/v1", "linux/arm64/v8"].contains(&more.as_str());
            assert_eq!(is_host(&more), same, "{more}");
        }
        for (one, other, same) in [
            ("linux/amd64", "linux/386", false),
            ("linux/arm64", "linux/arm/v7", false),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/amd64", "linux/x86_64", true),
            ("linux/aarch64", "linux/arm64/v8", true),
            ("linux/arm", "linux/arm/v7", true),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn each_machine_takes_the_build_that_it_runs_best() {
        let all = [
            "windows/amd64",
            "unknown/unknown",
            "linux/amd64/v3",
            "linux/arm/v5",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm64/v8",
            "linux/386",
            "linux/amd64",
            "linux/s390x",
        ];
        let entries = index(&all);
        let choice = |machine| choose(&entries, &targets(machine)).map(|entry| all[entry.size() as usize]);
        assert_eq!(choice("x86_64"), Some("linux/amd64"));
        assert_eq!(choice("aarch64"), Some("linux/arm64/v8"));
        assert_eq!(choice("arm"), Some("linux/arm/v7"));
        assert_eq!(choice("x86"), Some("linux/386"));
        assert_eq!(choice("s390x"), Some("linux/s390x"));
        assert_eq!(choice("riscv64"), None);
        let asked = |text| choose(&entries, &named(text)).map(|entry| all[entry.size() as usize]);
        assert_eq!(asked("linux/arm64"), Some("linux/arm64/v8"));
        assert_eq!(asked("linux/arm/v6"), Some("linux/arm/v6"));
        assert_eq!(asked("linux/amd64/v3"), Some("linux/amd64/v3"));
        assert_eq!(asked("linux/amd64/v2"), Some("linux/amd64"));
        assert_eq!(asked("linux/s390x"), Some("linux/s390x"));
        assert_eq!(asked("linux/mips64le"), None);
        let old = index(&["linux/arm/v5", "linux/arm/v6"]);
        assert_eq!(choose(&old, &targets("arm")).map(Descriptor::size), Some(1));
        assert_eq!(choose(&index(&["linux/amd64/v3"]), &targets("x86_64")), None);
        assert_eq!(names(&entries[..4]), "windows/amd64, linux/amd64/v3, linux/arm/v5");
    }
}
