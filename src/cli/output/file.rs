//! Files that people ask for, by `-o FILE`.

use crate::state::Draft;
use std::{
    fs,
    io::{self, Write},
    path::Path,
};

/// Puts `bytes` into the file in one step: a full disk leaves what was there. Links are followed, an existing file
/// keeps its mode, and what is no regular file (a pipe, `/dev/stdout`) is written to as it is.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let existing = match fs::metadata(path) {
        Ok(data) if data.is_file() => Some(data),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => None,
        _ => return fs::write(path, bytes),
    };
    let target = if existing.is_some() { path.canonicalize()? } else { path.to_owned() };
    // As any new file: the umask takes from it.
    let draft = Draft::beside(&target, 0o666)?;
    draft.file().write_all(bytes)?;
    if let Some(data) = existing {
        draft.file().set_permissions(data.permissions())?;
    }
    draft.place()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::Permissions,
        os::unix::fs::{PermissionsExt, symlink},
    };

    #[test]
    fn a_file_is_replaced_behind_its_link_and_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        replace(&file, b"one").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        replace(&link, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_file_is_written_to_and_no_directory_is_made() {
        replace(Path::new("/dev/null"), b"x").unwrap();
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(replace(&directory.path().join("no/file"), b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(replace(directory.path(), b"x").is_err());
    }
}
