//! Files that are written whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of the next file that is made beside another one, in this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A path that says where it is, whatever folder the process was started in.
pub fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Replaces a file whole, or makes it: a reader sees the old bytes or the new ones, and so does
/// whoever looks after a crash. The new file has the old one's mode, and its owner and group where we
/// may give them.
///
/// # Errors
/// When it cannot be written; the old file is as it was then, unless all that failed is to get the new
/// one's name on disk.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Behind a link it is the file that is meant; what is not there yet has no other name.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = fs::metadata(path).ok();
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        // A pipe or a terminal takes bytes and cannot be replaced.
        return fs::write(path, bytes);
    }
    let (file, beside) = create_beside(path, old.is_some(), &NEXT)?;
    let written = fill(file, old.as_ref(), bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The error that counts is the first one.
        let _ = fs::remove_file(&beside);
    }
    written.and_then(|()| sync_parent(path))
}

/// Makes a file beside another one, under a name that no other writer has: `.NAME.PROCESS-NUMBER.new`.
/// Nobody else may read it yet if it is `private`.
fn create_beside(path: &Path, private: bool, next: &AtomicU64) -> io::Result<(File, PathBuf)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if private {
        options.mode(0o600);
    }
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}-{number}.new", std::process::id()));
        let beside = path.with_file_name(name);
        match options.open(&beside) {
            // Left over from a process that had our number before us.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (file, beside)),
        }
    }
}

/// Writes a file and waits until it is on disk, or a crash could leave the new name without bytes.
fn fill(mut file: File, old: Option<&Metadata>, bytes: &[u8]) -> io::Result<()> {
    if let Some(old) = old {
        keep_access(&file, old)?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file the owner, group and mode of the old one.
fn keep_access(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid())
        && fchown(file, Some(old.uid()), Some(old.gid())).is_err()
    {
        // Only root gives a file away. A group of ours we may give; where not even that, it stays ours.
        let _ = fchown(file, None, Some(old.gid()));
    }
    // After the owner: a change of that takes bits of the mode away.
    if new.permissions() == old.permissions() {
        return Ok(());
    }
    file.set_permissions(old.permissions())
}

/// Waits until a new name is on disk.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match File::open(parent.unwrap_or(Path::new(".")))?.sync_all() {
        // Some file systems know nothing of it.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Ok(())
        }
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_and_replaced_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        for text in ["old", "new"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        // There is no room for anything in the name of a file beside it.
        let path = dir.path().join("x".repeat(255));
        fs::write(&path, "old").unwrap();
        replace(&path, b"new").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        // A directory is no file, and what is in none cannot be made.
        let sub = dir.path().join("sub");
        fs::create_dir(&sub).unwrap();
        replace(&sub, b"new").unwrap_err();
        replace(&sub.join("missing/file"), b"new").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_its_owner_where_we_may_give_it() {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("playbook.toml");
        // Among them more than a umask leaves, and less.
        for mode in [0o640, 0o666, 0o400] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            // Only root can give it to somebody; to others it is theirs before and after.
            let _ = chown(&path, Some(4242), Some(4243));
            let of = || fs::metadata(&path).map(|file| (file.mode(), file.uid(), file.gid()));
            let before = of().unwrap();
            replace(&path, b"new").unwrap();
            assert_eq!(of().unwrap(), before, "{mode:o}");
            assert_eq!(fs::read(&path).unwrap(), b"new");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn writers_do_not_meet_and_pass_over_what_others_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        let of_its_own = |n: u8| vec![n; 100_000];
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || replace(path, &of_its_own(n)).unwrap());
            }
        });
        let written = fs::read(&path).unwrap();
        assert!(written == of_its_own(written[0]), "a mixture of two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let made = |next: u64| create_beside(&path, true, &AtomicU64::new(next)).unwrap().1;
        let names = [made(0), made(0), made(0)];
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
    }

    #[test]
    fn a_link_stays_one_and_a_device_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        replace(Path::new("/dev/null"), b"gone").unwrap();
    }
}
