//! Who a process runs as: `user[:group]` looked up in the container's own /etc/passwd and /etc/group.
//!
//! Our own parser: the C library's would load the host's NSS modules. The rules are Docker's (moby/sys/user): a
//! number is always an id and needs no entry, a name needs one; without a group the entry's own is taken, with the
//! groups that list the name.

use super::{StartError, failure::During};
use crate::sys::{self, Errno, file::Within};
use std::{os::fd::BorrowedFd, path::Path};

/// A hostile image may have files of any size.
const MAX_FILE: u64 = 16 << 20;
const MAX_ID: u32 = i32::MAX as u32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups, the primary one among them (CVE-2022-36109).
    pub groups: Vec<u32>,
    pub home: String,
}

/// `root` is the container's root directory.
pub fn look_up(root: BorrowedFd<'_>, user: &str, additional: &[String]) -> Result<User, StartError> {
    let passwd = read(root, Path::new("/etc/passwd")).during("user")?;
    let group = read(root, Path::new("/etc/group")).during("user")?;
    parse(user, additional, &passwd, &group).map_err(|message| StartError::setup("user", message))
}

/// Images without the files are common: then only numbers work.
fn read(root: BorrowedFd<'_>, path: &Path) -> sys::Result<String> {
    match sys::file::open_for_reading(root, path, Within::Root) {
        Ok(file) => Ok(String::from_utf8_lossy(&sys::file::read_regular(file, MAX_FILE, path)?).into_owned()),
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn parse(user: &str, additional: &[String], passwd: &str, group: &str) -> Result<User, String> {
    let (name, group_name) = user.split_once(':').unwrap_or((user, ""));
    let entry = passwd.lines().filter_map(Entry::parse).find(|entry| match name.parse::<u32>() {
        _ if name.is_empty() => entry.uid == 0,
        Ok(uid) => entry.uid == uid,
        Err(_) => entry.name == name,
    });
    let (uid, mut gid, home) = match (&entry, id(name)?) {
        (Some(entry), _) => (entry.uid, entry.gid, entry.home),
        (None, Some(uid)) => (uid, 0, "/"),
        (None, None) if name.is_empty() => (0, 0, "/"),
        (None, None) => return Err(format!("unable to find user {name}: no matching entries in passwd file")),
    };
    let mut groups = Vec::new();
    if !group_name.is_empty() {
        gid = find_group(group_name, group)?;
    } else if let Some(entry) = &entry {
        let member_of = group.lines().filter_map(Group::parse).filter(|group| group.has(entry.name));
        groups.extend(member_of.map(|group| group.gid));
    }
    for name in additional {
        groups.push(find_group(name, group)?);
    }
    groups.insert(0, gid);
    let mut seen = Vec::new();
    groups.retain(|gid| {
        !seen.contains(gid) && {
            seen.push(*gid);
            true
        }
    });
    Ok(User { uid, gid, groups, home: home.to_owned() })
}

/// A number, when the word is one.
fn id(word: &str) -> Result<Option<u32>, String> {
    match word.parse::<u64>() {
        Ok(number) if number <= u64::from(MAX_ID) => Ok(Some(number as u32)),
        Ok(number) => Err(format!("uids and gids must be in range 0-{MAX_ID}, not {number}")),
        Err(_) => Ok(None),
    }
}

fn find_group(word: &str, group: &str) -> Result<u32, String> {
    if let Some(gid) = id(word)? {
        return Ok(gid);
    }
    let found = group.lines().filter_map(Group::parse).find(|group| group.name == word);
    found
        .map(|group| group.gid)
        .ok_or_else(|| format!("unable to find group {word}: no matching entries in group file"))
}

/// One line of passwd(5).
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Entry<'a> {
    /// A damaged line is passed over, as everybody does.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim().split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        let home = fields.nth(1).filter(|home| !home.is_empty()).unwrap_or("/");
        Some(Self { name, uid, gid, home })
    }
}

/// One line of group(5).
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> Group<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.trim().split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(Self { name, gid, members: fields.next().unwrap_or_default() })
    }
    fn has(&self, user: &str) -> bool {
        self.members.split(',').any(|member| member == user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\n\npostgres:x:999:998::/var/lib/postgresql:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:root,postgres\nssl-cert:x:101:postgres\npostgres:x:998:\n";

    fn text(user: &str, additional: &[&str]) -> String {
        let additional: Vec<String> = additional.iter().map(|name| (*name).to_owned()).collect();
        match parse(user, &additional, PASSWD, GROUP) {
            Ok(user) => format!("{}:{} {:?} {}", user.uid, user.gid, user.groups, user.home),
            Err(message) => message,
        }
    }

    #[test]
    fn names_and_numbers_are_looked_up_as_docker_does() {
        let cases = ["", "root", "0", "postgres", "999", "postgres:adm", "999:55", "1234", "1234:ssl-cert", ":adm"];
        let lines: Vec<String> = cases.iter().map(|user| format!("{user:?} -> {}", text(user, &[]))).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        "" -> 0:0 [0, 4] /root
        "root" -> 0:0 [0, 4] /root
        "0" -> 0:0 [0, 4] /root
        "postgres" -> 999:998 [998, 4, 101] /var/lib/postgresql
        "999" -> 999:998 [998, 4, 101] /var/lib/postgresql
        "postgres:adm" -> 999:4 [4] /var/lib/postgresql
        "999:55" -> 999:55 [55] /var/lib/postgresql
        "1234" -> 1234:0 [0] /
        "1234:ssl-cert" -> 1234:101 [101] /
        ":adm" -> 0:4 [4] /root
        "#);
    }

    #[test]
    fn additional_groups_come_on_top() {
        assert_eq!(text("postgres", &["4", "ssl-cert", "77"]), "999:998 [998, 4, 101, 77] /var/lib/postgresql");
    }

    #[test]
    fn what_has_no_entry_is_named() {
        assert_eq!(text("www", &[]), "unable to find user www: no matching entries in passwd file");
        assert_eq!(text("root:www", &[]), "unable to find group www: no matching entries in group file");
        assert_eq!(text("4294967295", &[]), "uids and gids must be in range 0-2147483647, not 4294967295");
    }

    #[test]
    fn an_image_without_the_files_knows_numbers() {
        let user = parse("", &[], "", "").unwrap();
        assert_eq!((user.uid, user.gid, user.home.as_str()), (0, 0, "/"));
        assert!(parse("1:2", &[], "", "").is_ok() && parse("root", &[], "", "").is_err());
    }
}
