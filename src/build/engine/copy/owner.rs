//! `--chown` and `--chmod`: whose the copies are, and what may be done with them.
//!
//! Names are looked up in the files of the image that is built, by our own parser: the C library's would ask this
//! host's name services.

use super::super::{
    error::{Result, StepError},
    view::View,
};
use crate::build::op::Chmod;
use std::path::Path;

/// As the runtime reads these files.
const MAX_FILE: u64 = 16 << 20;

/// `user[:group]`; a user without a group has that of the same number, as Docker has it: the entry's own, or its uid's.
/// A name that the image does not know is root to Docker, and so is it here; but `tell` is told.
pub fn look_up(view: &View, chown: &str, tell: &mut dyn FnMut(String)) -> Result<(u32, u32)> {
    let (user, group) = chown.split_once(':').map_or((chown, None), |(user, group)| (user, Some(group)));
    let read = |path: &'static str| -> Result<String> {
        if view.is_nothing() {
            let nothing = "there is no image below whose names these could be; give numbers";
            return Err(StepError::Refused(format!("{chown}: {nothing}")));
        }
        let bytes = view.read(Path::new(path), MAX_FILE).map_err(StepError::file("read", Path::new(path)))?;
        Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    };
    let mut unknown = |name: &str, file: &str, instead: &str| {
        tell(format!("{chown}: the image's {file} has no `{name}`; what is made belongs to {instead}"));
    };
    let (uid, own) = match number(user) {
        Some(uid) => (uid, uid),
        None if user.is_empty() => (0, 0),
        None => {
            let passwd = read("etc/passwd")?;
            match entry(&passwd, user) {
                None => {
                    unknown(user, "/etc/passwd", "root");
                    (0, 0)
                }
                Some(fields) => {
                    let id = |index: usize| fields.get(index).and_then(|field| number(field));
                    let bad = || format!("{chown}: the image's /etc/passwd has no numbers for `{user}`");
                    id(2).zip(id(3)).ok_or_else(|| StepError::Refused(bad()))?
                }
            }
        }
    };
    let gid = match group.filter(|group| !group.is_empty()) {
        None => own,
        Some(group) => match number(group) {
            Some(gid) => gid,
            None => {
                let groups = read("etc/group")?;
                let gid = entry(&groups, group).and_then(|fields| fields.get(2).and_then(|field| number(field)));
                gid.unwrap_or_else(|| {
                    unknown(group, "/etc/group", &format!("the group {own}"));
                    own
                })
            }
        },
    };
    Ok((uid, gid))
}

/// Whom a program that is run as `user` is: a number without a group has that of its entry in /etc/passwd, or root's.
pub fn of_program(view: &View, user: &str) -> Result<(u32, u32)> {
    let Some(uid) = number(user) else { return look_up(view, user, &mut |_| {}) };
    let bytes =
        view.read(Path::new("etc/passwd"), MAX_FILE).map_err(StepError::file("read", Path::new("etc/passwd")))?;
    let passwd = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    let of = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        (number(fields.get(2)?)? == uid).then(|| number(fields.get(3)?))?
    };
    Ok((uid, passwd.lines().find_map(of).unwrap_or(0)))
}

/// -1 would mean "leave it" to chown(2).
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}

fn entry<'a>(file: &'a str, name: &str) -> Option<Vec<&'a str>> {
    file.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&name))
}

/// The bits of `mode` after `--chmod`.
pub fn mode(chmod: Option<&Chmod>, mode: u32, is_dir: bool) -> Result<u32> {
    match chmod {
        None => Ok(mode & 0o7777),
        Some(Chmod::Octal(octal)) => Ok(octal & 0o7777),
        Some(Chmod::Symbolic(text)) => symbolic(text, mode & 0o7777, is_dir)
            .ok_or_else(|| StepError::Refused(format!("--chmod={text}: not a mode"))),
    }
}

/// chmod(1): `u+x,go=rX`. Nobody set a umask.
fn symbolic(text: &str, mut mode: u32, is_dir: bool) -> Option<u32> {
    for clause in text.split(',') {
        let who_end = clause.find(['+', '-', '='])?;
        let (who, mut actions) = clause.split_at(who_end);
        let mut mask = 0;
        for letter in who.chars() {
            mask |= match letter {
                'u' => 0o4700,
                'g' => 0o2070,
                'o' => 0o1007,
                'a' => 0o7777,
                _ => return None,
            };
        }
        if who.is_empty() {
            mask = 0o7777;
        }
        while let Some(operator) = actions.chars().next() {
            let rest = &actions[1..];
            let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
            let bits = bits(&rest[..end], mode, is_dir)? & mask;
            mode = match operator {
                '+' => mode | bits,
                '-' => mode & !bits,
                '=' => (mode & !(mask & 0o777)) & !(if rest[..end].contains('s') { mask & 0o6000 } else { 0 }) | bits,
                _ => return None,
            };
            actions = &rest[end..];
        }
    }
    Some(mode)
}

fn bits(letters: &str, mode: u32, is_dir: bool) -> Option<u32> {
    // `g=u`: as somebody else has it.
    let copied = |shift: u32| ((mode >> shift) & 7) * 0o111;
    match letters {
        "u" => return Some(copied(6)),
        "g" => return Some(copied(3)),
        "o" => return Some(copied(0)),
        _ => {}
    }
    letters.chars().try_fold(0, |bits, letter| {
        Some(
            bits | match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if is_dir || mode & 0o111 != 0 => 0o111,
                'X' => 0,
                's' => 0o6000,
                't' => 0o1000,
                _ => return None,
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn names_are_those_of_the_image() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\napp:x:100:101::/:/bin/sh\n").unwrap();
        fs::write(dir.path().join("etc/group"), "root:x:0:\nweb:x:33:app\n").unwrap();
        let view = View::open([dir.path()]).unwrap();
        for (chown, expected) in [
            ("app", (100, 101)),
            ("app:web", (100, 33)),
            ("app:5", (100, 5)),
            ("7", (7, 7)),
            ("7:8", (7, 8)),
            ("0:web", (0, 33)),
            (":web", (0, 33)),
        ] {
            assert_eq!(look_up(&view, chown, &mut |_| panic!("{chown} is known")).unwrap(), expected, "{chown}");
        }
        let mut told = Vec::new();
        assert_eq!(look_up(&view, "nobody", &mut |text| told.push(text)).unwrap(), (0, 0));
        assert_eq!(look_up(&view, "app:nogroup", &mut |text| told.push(text)).unwrap(), (100, 101));
        assert_eq!(
            told,
            [
                "nobody: the image's /etc/passwd has no `nobody`; what is made belongs to root",
                "app:nogroup: the image's /etc/group has no `nogroup`; what is made belongs to the group 101"
            ]
        );
        let empty = View::open::<&Path>([]).unwrap();
        assert_eq!(look_up(&empty, "1:2", &mut |_| {}).unwrap(), (1, 2));
        assert!(look_up(&empty, "app", &mut |_| {}).is_err());
        for (user, expected) in [("100", (100, 101)), ("7", (7, 0)), ("7:8", (7, 8)), ("app", (100, 101))] {
            assert_eq!(of_program(&view, user).unwrap(), expected, "{user}");
        }
    }

    #[test]
    fn modes_are_read_as_chmod_reads_them() {
        for (text, from, is_dir, expected) in [
            ("u+x", 0o644, false, 0o744),
            ("a-w", 0o666, false, 0o444),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("go=u", 0o640, false, 0o666),
            ("+x", 0o644, false, 0o755),
            ("u+s,g-x", 0o775, false, 0o4765),
            ("+t", 0o777, true, 0o1777),
            ("u+r-w", 0o200, false, 0o400),
        ] {
            assert_eq!(symbolic(text, from, is_dir), Some(expected), "{text}");
        }
        assert_eq!(symbolic("u", 0, false), None);
        assert_eq!(symbolic("z+x", 0, false), None);
    }
}
