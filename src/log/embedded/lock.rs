//! Which process works for a group: the one that has locked the group's file. Positions that are
//! compared as they are set cannot tell two processes apart that both commit where a batch begins.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::store::FILE_MODE;

/// A group's lock. The system frees it when its process ends, however it ends.
pub(super) struct GroupLock {
    path: PathBuf,
    file: File,
    ours: bool,
}

impl GroupLock {
    /// Makes the group's file in `dir` if there is none; does not lock it yet.
    pub(super) fn open(dir: &Path, group: &str) -> Result<Self, StoreError> {
        let path = dir.join(file_name(group));
        let opened =
            OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
        match opened {
            Ok(file) => Ok(Self { path, file, ours: false }),
            Err(error) => Err(StoreError::Open { path, why: error.to_string() }),
        }
    }

    /// Whether the lock is ours, which it is from now on if nobody else has it.
    pub(super) fn take(&mut self) -> Result<bool, StoreError> {
        if self.ours {
            return Ok(true);
        }
        match self.file.try_lock() {
            Ok(()) => self.ours = true,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::Lock { path: self.path.clone(), why: error.to_string() });
            }
        }
        Ok(self.ours)
    }
}

/// The name of a group's file; groups with different names have different files.
fn file_name(group: &str) -> String {
    let letter = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02x}")
        }
    };
    group.bytes().map(letter).collect::<String>() + ".lock"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_group_has_a_file_of_its_own_in_the_directory() {
        assert_eq!(file_name("triaged-resolve_1.b"), "triaged-resolve_1.b.lock");
        assert_eq!(file_name("../a b%"), "..%2fa%20b%25.lock");
        assert_eq!(file_name("ä"), "%c3%a4.lock");
    }

    #[test]
    fn a_lock_is_of_one_and_free_when_that_one_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = GroupLock::open(dir.path(), "g").unwrap();
        let mut second = GroupLock::open(dir.path(), "g").unwrap();
        assert!(first.take().unwrap() && first.take().unwrap());
        assert!(!second.take().unwrap());
        assert!(GroupLock::open(dir.path(), "other").unwrap().take().unwrap());
        drop(first);
        assert!(second.take().unwrap());
    }
}
