//! What can go wrong with the embedded log's file, and what the operator can do about it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// A failure of the embedded log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open {path}: {why}; does the directory exist, and may this user write to it?")]
    Open { path: PathBuf, why: String },
    #[error("there is no log at {path}; `triaged put` or `triaged run` make one")]
    Missing { path: PathBuf },
    #[error("{path} is a database, but not a log of triaged; choose another directory")]
    NotOurs { path: PathBuf },
    #[error(
        "{path} was written by a newer triaged (format {found}, this one knows {known}); upgrade"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("no space left for {path}; make room and start again, everything committed is safe")]
    Full { path: PathBuf },
    #[error(
        "{path} cannot be written to; check the permissions of the file and its directory, and whether the volume is mounted read-only"
    )]
    ReadOnly { path: PathBuf },
    #[error(
        "{path} is damaged or not a database ({why}); restore it from a backup, or move it away to start with an empty log"
    )]
    Damaged { path: PathBuf, why: String },
    #[error("{path} could not be read or written ({why}); check the disk")]
    Disk { path: PathBuf, why: String },
    #[error(
        "{path} stays locked by another process; is a triaged, a backup or a database shell suspended while it holds it?"
    )]
    Busy { path: PathBuf },
    #[error(
        "{path} cannot be locked ({why}); put the log on a file system that has locks, such as a local disk"
    )]
    Lock { path: PathBuf, why: String },
    #[error("a record is too large for {path}: at most 1 GB a value")]
    TooLarge { path: PathBuf },
    #[error("`{topic}` is no topic name: 1 to 249 letters, digits, dots, underscores and dashes")]
    InvalidTopic { topic: String },
    #[error("there is no topic `{topic}`; there are: {known}")]
    UnknownTopic { topic: String, known: String },
    #[error("{path}: {why}")]
    Other { path: PathBuf, why: String },
}

impl StoreError {
    /// Sorts what SQLite says by what can be done about it.
    pub(super) fn sorted(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, why }
            }
            Some(ErrorCode::SystemIoFailure) => Self::Disk { path, why },
            Some(ErrorCode::CannotOpen) => Self::Open { path, why },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::TooBig) => Self::TooLarge { path },
            _ => Self::Other { path, why },
        }
    }
}
