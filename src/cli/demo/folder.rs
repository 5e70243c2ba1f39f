//! Where the demonstration's log lies.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The folder of the log: one to keep, or one that goes with this value.
pub enum Folder {
    Kept(PathBuf),
    Scratch(PathBuf),
}

impl Folder {
    /// A new folder among the system's temporary ones. It is for this user alone: the tickets of
    /// `--tickets` may be real.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch() -> Result<Self> {
        let name = format!("triaged-demo-{}", std::process::id());
        // A process with the same number may have been killed and have left its own.
        for n in 0..100 {
            let path = std::env::temp_dir().join(format!("{name}-{n}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self::Scratch(path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let hint = "set TMPDIR to a directory that can be written to";
                    return Err(error)
                        .with_context(|| format!("cannot make {}; {hint}", path.display()));
                }
            }
        }
        bail!("cannot make {name}-0 to -99 in {}; clean up there", std::env::temp_dir().display())
    }

    /// `dir`, which must not hold anything: it could be a log that is in use.
    ///
    /// # Errors
    /// If it holds something, or is no directory.
    pub fn kept(dir: &Path) -> Result<Self> {
        let name = dir.display();
        match fs::read_dir(dir) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    bail!(
                        "{name} is not empty, and the demonstration's tickets must not get among others; name a new directory"
                    );
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot look into {name}; name a new directory"));
            }
        }
        Ok(Self::Kept(dir.to_owned()))
    }

    pub fn path(&self) -> &Path {
        let (Self::Kept(path) | Self::Scratch(path)) = self;
        path
    }

    /// What has to go at the end.
    pub fn goes(&self) -> Option<PathBuf> {
        match self {
            Self::Kept(_) => None,
            Self::Scratch(path) => Some(path.clone()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(path) = self.goes() {
            remove(&path);
        }
    }
}

/// Removes a folder that the last readers may just be leaving.
pub fn remove(folder: &Path) {
    for _ in 0..20 {
        if fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(25));
    }
    crate::cli::output::note(format_args!(
        "triaged: {} could not be removed; please do",
        folder.display()
    ));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_a_new_or_an_empty_directory_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Folder::kept(&dir.path().join("new/er")).is_ok());
        assert!(Folder::kept(dir.path()).is_ok());
        let file = dir.path().join("triaged.db");
        fs::write(&file, "a log").unwrap();
        for (taken, why) in [(dir.path(), "is not empty"), (file.as_path(), "name a new directory")]
        {
            let error = Folder::kept(taken).err().unwrap().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "a log");
    }

    #[test]
    fn a_scratch_folder_is_new_for_its_user_alone_and_goes() {
        let (one, other) = (Folder::scratch().unwrap(), Folder::scratch().unwrap());
        let path = one.path().to_owned();
        assert_ne!(path, other.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("file"), "x").unwrap();
        drop(one);
        assert!(!path.exists() && other.path().exists());
    }
}
