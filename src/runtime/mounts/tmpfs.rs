//! `tmpfs:` mounts.

use super::{
    super::{StartError, failure::During},
    target::{self, Wanted},
};
use crate::sys::{
    self, Errno, Error, Result,
    file::Within,
    mount::{self, Attributes},
};
use std::{
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

/// Options of one tmpfs.
struct Options<'a> {
    attributes: Attributes,
    /// For the file system itself: key and value, or a bare word.
    file_system: Vec<(&'a str, Option<&'a str>)>,
}

/// tmpfs(5), where no mode is given.
const DEFAULT_MODE: u32 = 0o1777;

pub(super) fn place(
    root: BorrowedFd<'_>,
    path: &Path,
    options: &[String],
    read_only: bool,
) -> std::result::Result<(), StartError> {
    let step = format_args!("mount tmpfs on {}", path.display());
    let mut options = parse(options).during(step)?;
    if read_only {
        options.attributes |= Attributes::MOUNT_ATTR_RDONLY;
    }
    // Before the target is made: the mode of a directory that the image has is the user's wish, that of ours is not.
    let existing = existing_mode(root, path);
    let mode = existing.map(|mode| format!("{mode:o}"));
    if let Some(mode) = mode.as_deref().filter(|_| !options.file_system.iter().any(|(key, _)| *key == "mode")) {
        options.file_system.push(("mode", Some(mode)));
    }
    let target = target::open(root, path, Wanted::Directory)?;
    if existing.is_none() {
        // The next start of this container finds the directory, and has to come to the same mode as this one.
        sys::file::set_entry_mode(target.as_fd(), std::ffi::OsStr::new("."), DEFAULT_MODE).during(step)?;
    }
    attach(&options, &target, path).during(step)
}

fn attach(options: &Options<'_>, target: &std::os::fd::OwnedFd, path: &Path) -> Result<()> {
    let context = mount::fsopen("tmpfs")?;
    for (key, value) in &options.file_system {
        match value {
            Some(value) => mount::fsconfig_string(context.as_fd(), key, Path::new(value))?,
            None => mount::fsconfig_flag(context.as_fd(), key)?,
        }
    }
    mount::fsconfig_create(context.as_fd(), "tmpfs")?;
    let tmpfs = mount::fsmount(context.as_fd(), options.attributes, "tmpfs")?;
    mount::attach(tmpfs.as_fd(), target.as_fd(), path.display())
}

fn existing_mode(root: BorrowedFd<'_>, path: &Path) -> Option<u32> {
    let found = sys::file::resolve(root, path, Within::Root).ok()?;
    Some(sys::file::stat(found.as_fd()).ok()?.st_mode & 0o7777)
}

/// Docker's defaults (noexec, nosuid, nodev), and what was asked on top. Each word may hold several, by commas.
fn parse(options: &[String]) -> Result<Options<'_>> {
    let mut parsed = Options {
        attributes: Attributes::MOUNT_ATTR_NOEXEC | Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV,
        file_system: Vec::new(),
    };
    for word in options.iter().flat_map(|option| option.split(',')).filter(|word| !word.is_empty()) {
        let (on, attribute) = match word {
            "ro" => (true, Attributes::MOUNT_ATTR_RDONLY),
            "rw" => (false, Attributes::MOUNT_ATTR_RDONLY),
            "noexec" => (true, Attributes::MOUNT_ATTR_NOEXEC),
            "exec" => (false, Attributes::MOUNT_ATTR_NOEXEC),
            "nosuid" => (true, Attributes::MOUNT_ATTR_NOSUID),
            "suid" => (false, Attributes::MOUNT_ATTR_NOSUID),
            "nodev" => (true, Attributes::MOUNT_ATTR_NODEV),
            "dev" => (false, Attributes::MOUNT_ATTR_NODEV),
            "noatime" => (true, Attributes::MOUNT_ATTR_NOATIME),
            "nodiratime" => (true, Attributes::MOUNT_ATTR_NODIRATIME),
            "strictatime" => (true, Attributes::MOUNT_ATTR_STRICTATIME),
            // The kernel's own defaults.
            "relatime" | "atime" | "diratime" | "async" => continue,
            _ => {
                parsed.file_system.push(file_system_option(word)?);
                continue;
            }
        };
        parsed.attributes.set(attribute, on);
    }
    Ok(parsed)
}

/// tmpfs(5).
fn file_system_option(word: &str) -> Result<(&str, Option<&str>)> {
    match word.split_once('=') {
        Some((key @ ("size" | "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks" | "huge" | "mpol"), value)) => {
            Ok((key, Some(value)))
        }
        None if matches!(word, "inode64" | "inode32" | "noswap") => Ok((word, None)),
        _ => Err(Error::new("mount", format_args!("tmpfs with option {word:?}"), Errno::INVAL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_defaults_stand_until_they_are_taken_back() {
        let options = ["size=64m,exec".to_owned(), "mode=1777".to_owned(), "ro".to_owned()];
        let parsed = parse(&options).unwrap();
        let expected = Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV | Attributes::MOUNT_ATTR_RDONLY;
        assert_eq!(parsed.attributes, expected);
        assert_eq!(parsed.file_system, [("size", Some("64m")), ("mode", Some("1777"))]);
    }

    #[test]
    fn an_unknown_option_is_named() {
        let options = ["sizes=1".to_owned()];
        let error = parse(&options).err().unwrap();
        assert_eq!(error.to_string(), "mount tmpfs with option \"sizes=1\": Invalid argument");
    }
}
