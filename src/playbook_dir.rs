//! A folder of playbooks: the files that [`crate::playbook`] is given as texts.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::files;
use crate::playbook::{LOCK_FILE, Library, Problems, TextFile};

/// The largest playbook that is read, in bytes.
const MAX_BYTES: u64 = 256 * 1024;

/// Why a folder gives no playbooks.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} has more than {MAX_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    #[error("there are no playbooks (*.toml) in {}", .0.display())]
    Empty(PathBuf),
    #[error("cannot write {}: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Problems(#[from] Problems),
}

/// The texts of a folder.
pub struct Folder {
    /// The `*.toml` files by name.
    pub files: Vec<TextFile>,
    pub lock: Option<String>,
}

/// Reads a folder's texts; folders below it are not looked into.
///
/// # Errors
/// [`FolderError`] for what cannot be read.
pub fn read(dir: &Path) -> Result<Folder, FolderError> {
    let unreadable = |source| FolderError::Unreadable { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        // Mounted folders have hidden entries of their own.
        let Some(name) = name.filter(|n| n.ends_with(".toml") && !n.starts_with('.')) else {
            continue;
        };
        files.push(TextFile { name: name.to_owned(), text: text(&path)? });
    }
    if files.is_empty() {
        return Err(FolderError::Empty(dir.to_owned()));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let lock = dir.join(LOCK_FILE);
    let lock = if lock.exists() { Some(text(&lock)?) } else { None };
    Ok(Folder { files, lock })
}

/// Reads and checks a folder.
///
/// # Errors
/// [`FolderError`], with every problem of every file.
pub fn library(dir: &Path) -> Result<Library, FolderError> {
    let folder = read(dir)?;
    Ok(Library::read(&folder.files, folder.lock.as_deref())?)
}

/// Replaces a file of the folder whole: a reader sees the old text or the new one.
///
/// # Errors
/// [`FolderError::Unwritable`]; the old file is as it was then.
pub fn replace(dir: &Path, name: &str, text: &str) -> Result<(), FolderError> {
    let path = dir.join(name);
    files::replace(&path, text.as_bytes())
        .map_err(|source| FolderError::Unwritable { path, source })
}

fn text(path: &Path) -> Result<String, FolderError> {
    let unreadable = |source| FolderError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(FolderError::TooLarge(path.to_owned()));
    }
    Ok(text)
}
