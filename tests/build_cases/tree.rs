//! The files of an image as its layers show them together, against the lines of a section `tree`.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// `layers` are those of overlayfs, uppermost first.
pub fn check(expected: &str, layers: &[PathBuf]) -> Result<(), String> {
    let faults: Vec<String> = expected.lines().filter_map(|line| fault(line, layers)).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn fault(line: &str, layers: &[PathBuf]) -> Option<String> {
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    let (kind, path) = (words[0], words[1]);
    let found = find(path.trim_start_matches('/'), layers);
    let Some(here) = found else { return (kind != "none").then(|| format!("{line}: is not there")) };
    let meta = fs::symlink_metadata(&here).unwrap();
    let is = if meta.is_dir() {
        "dir"
    } else if meta.is_symlink() {
        "link"
    } else {
        "file"
    };
    if kind != is {
        return Some(format!("{line}: is there as a {is}"));
    }
    if kind == "link" {
        let target = fs::read_link(&here).unwrap();
        return (target.to_str() != Some(words[2])).then(|| format!("{line}: leads to {}", target.display()));
    }
    let mode = format!("{:o}", meta.mode() & 0o7777);
    let owner = format!("{}:{}", meta.uid(), meta.gid());
    for (place, value) in [(2, &mode), (3, &owner)] {
        if words.get(place).is_some_and(|word| *word != "-" && word != value) {
            return Some(format!("{line}: is {mode} {owner}"));
        }
    }
    let content: String = serde_json::from_str(words.get(4)?).unwrap();
    let found = String::from_utf8_lossy(&fs::read(&here).unwrap()).into_owned();
    (found != content).then(|| format!("{line}: holds {found:?}"))
}

/// Without following any link.
fn find(path: &str, layers: &[PathBuf]) -> Option<PathBuf> {
    for layer in layers {
        let mut here = layer.clone();
        let mut hides = false;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            here.push(part);
            let Ok(meta) = fs::symlink_metadata(&here) else { break };
            if meta.file_type().is_char_device() && meta.rdev() == 0 {
                return None;
            }
            if parts.peek().is_none() {
                return Some(here);
            }
            if !meta.is_dir() {
                return None;
            }
            hides |= is_opaque(&here);
        }
        if hides {
            return None;
        }
    }
    None
}

fn is_opaque(dir: &Path) -> bool {
    let mut value = [0; 1];
    matches!(rustix::fs::getxattr(dir, "trusted.overlay.opaque", &mut value[..]), Ok(1)) && value == *b"y"
}
