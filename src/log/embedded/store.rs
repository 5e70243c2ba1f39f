//! The file behind the embedded log: topics, records, headers and positions as plain SQLite
//! tables. Several processes may have it open at once.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use super::error::StoreError;
use super::records::{self, Appender, topic_row};
use crate::health::Stop;
use crate::log::{NewRecord, Record};

/// The name of the file within the log's directory.
pub const FILE: &str = "triaged.db";

/// Marks the file as a log of triaged: "trig" in ASCII.
const APPLICATION_ID: i64 = 0x7472_6967;
const FORMAT: i64 = 2;

/// What makes each format of the one before it, from an empty file on.
const STEPS: [&str; FORMAT as usize] = [TABLES, COMMITTED];

/// `stored_ms` is the log's own clock, for retention: a record's timestamp is its producer's.
/// The next offset of a topic is kept, as retention may have removed the last record.
const TABLES: &str = "
CREATE TABLE topics (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    next INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE records (
    topic        INTEGER NOT NULL REFERENCES topics (id),
    offset       INTEGER NOT NULL,
    key          BLOB,
    value        BLOB,
    timestamp_ms INTEGER NOT NULL,
    stored_ms    INTEGER NOT NULL,
    PRIMARY KEY (topic, offset)
) STRICT;
CREATE TABLE headers (
    topic    INTEGER NOT NULL,
    offset   INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name     TEXT NOT NULL,
    value    BLOB,
    PRIMARY KEY (topic, offset, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE positions (
    consumer_group TEXT NOT NULL,
    topic          INTEGER NOT NULL REFERENCES topics (id),
    next           INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, topic)
) STRICT, WITHOUT ROWID;
";

/// When each group last committed, for retention: nobody waits for ever for one that is gone.
/// Groups of a file that is older than the column count from its upgrade on.
const COMMITTED: &str = "
ALTER TABLE positions ADD COLUMN committed_ms INTEGER NOT NULL DEFAULT 0;
UPDATE positions SET committed_ms = unixepoch() * 1000;
";

/// Tickets are personal data: what we make is for this user alone, whatever the umask lets through.
const DIR_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;

/// How long SQLite itself waits for a lock; longer waits are loops that look around meanwhile.
const BUSY: Duration = Duration::from_secs(1);
/// How long a command waits for a lock before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// What one read takes into memory, so that no read keeps the file's past alive for long.
const CHUNK_RECORDS: usize = 500;
const CHUNK_BYTES: usize = 4 << 20;

/// An open log file.
pub struct Store {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Store {
    /// Opens the log in `dir`. Makes directory and file if there are none, for this user alone.
    ///
    /// # Errors
    /// When the file cannot be opened, is not ours, or is damaged.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let failed = |e: io::Error| StoreError::Open { path: path.clone(), why: e.to_string() };
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir).map_err(failed)?;
        // SQLite fills the empty file, and gives those beside it the same mode.
        match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => warn_if_open(dir, &path),
            Err(error) => return Err(failed(error)),
        }
        Self::open_file(path)
    }

    /// Opens the log in `dir`, which must be there.
    ///
    /// # Errors
    /// As [`Store::open`], and when there is no log.
    pub fn open_existing(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        if !path.is_file() {
            return Err(StoreError::Missing { path });
        }
        Self::open_file(path)
    }

    fn open_file(path: PathBuf) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&path, flags).map_err(|e| StoreError::sorted(&path, &e))?;
        let store = Self { connection, path };
        // Two processes that make the file at once get in each other's way for a moment.
        store.patiently(|| store.prepare())?;
        Ok(store)
    }

    fn prepare(&self) -> Result<(), StoreError> {
        self.sql(|c| {
            c.busy_timeout(BUSY)?;
            c.set_prepared_statement_cache_capacity(32);
            Ok(())
        })?;
        self.check_ours()?;
        self.sql(|c| {
            c.pragma_update(None, "journal_mode", "WAL")?;
            c.pragma_update(None, "synchronous", "FULL")?;
            c.pragma_update(None, "journal_size_limit", 64 << 20)?;
            if pragma(c, "user_version")? == FORMAT {
                return Ok(());
            }
            let transaction = Transaction::new_unchecked(c, TransactionBehavior::Immediate)?;
            // Another process may have made the tables since.
            let made = pragma(&transaction, "user_version")?;
            if made < FORMAT {
                for step in STEPS.iter().skip(usize::try_from(made).unwrap_or(0)) {
                    transaction.execute_batch(step)?;
                }
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                transaction.pragma_update(None, "user_version", FORMAT)?;
            }
            transaction.commit()
        })
    }

    fn check_ours(&self) -> Result<(), StoreError> {
        let path = || self.path.clone();
        let (id, format, tables) = self.sql(|c| {
            // One snapshot: another process may be making the tables just now.
            let snapshot = Transaction::new_unchecked(c, TransactionBehavior::Deferred)?;
            let tables: i64 =
                snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            Ok((pragma(&snapshot, "application_id")?, pragma(&snapshot, "user_version")?, tables))
        })?;
        match (id, format) {
            (0, 0) if tables == 0 => Ok(()),
            (APPLICATION_ID, 1..=FORMAT) => Ok(()),
            (APPLICATION_ID, found) => {
                Err(StoreError::Newer { path: path(), found, known: FORMAT })
            }
            _ => Err(StoreError::NotOurs { path: path() }),
        }
    }

    /// Runs `work` with errors sorted by what can be done about them.
    pub(super) fn sql<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&self.connection).map_err(|e| StoreError::sorted(&self.path, &e))
    }

    fn patiently<T>(
        &self,
        mut work: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let start = Instant::now();
        loop {
            match work() {
                Err(StoreError::Busy { .. }) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }

    /// Makes `topic` if there is none, and returns its row.
    pub(super) fn topic(&self, topic: &str) -> Result<i64, StoreError> {
        check_name(topic)?;
        self.patiently(|| self.sql(|c| topic_row(c, topic).map(|(id, _)| id)))
    }

    /// Appends `records` to `topic`, all or none of them, and returns their offsets.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, topic: &str, records: &[NewRecord]) -> Result<Range<i64>, StoreError> {
        check_name(topic)?;
        self.patiently(|| {
            self.sql(|c| {
                let transaction = Transaction::new_unchecked(c, TransactionBehavior::Immediate)?;
                let (_, start) = topic_row(&transaction, topic)?;
                let mut appender = Appender::new(&transaction);
                for record in records {
                    appender.append(topic, record)?;
                }
                let end = start + appender.finish()?;
                transaction.commit()?;
                Ok(start..end)
            })
        })
    }

    /// Every topic with its first kept and its next offset.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn topics(&self) -> Result<BTreeMap<String, Range<i64>>, StoreError> {
        self.sql(|c| {
            let mut statement = c.prepare_cached(
                "SELECT name, coalesce((SELECT min(offset) FROM records WHERE topic = id), next), \
                 next FROM topics",
            )?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?..row.get(2)?)))?;
            rows.collect()
        })
    }

    /// The records of `topic` from offset `from` on, in order, until there are no more or `each`
    /// breaks off. With `follow`, waits for new records until that stop is requested.
    ///
    /// # Errors
    /// When the file cannot be read, or there is no such topic (and nothing to wait for).
    pub fn tail(
        &self,
        topic: &str,
        from: i64,
        follow: Option<&Stop>,
        mut each: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        check_name(topic)?;
        let name: Arc<str> = topic.into();
        let mut position = from;
        let mut waited = Duration::ZERO;
        loop {
            // Asked before reading: everything written before the stop is still shown.
            let stopping = follow.is_none_or(Stop::requested);
            let found = self.sql(|c| {
                c.prepare_cached("SELECT id FROM topics WHERE name = ?1")?
                    .query_row([topic], |row| row.get::<_, i64>(0))
                    .optional()
            })?;
            let records = match (found, follow) {
                (Some(id), _) => {
                    self.sql(|c| records::read(c, id, &name, position, CHUNK_RECORDS, CHUNK_BYTES))?
                }
                (None, Some(_)) => Vec::new(),
                (None, None) => return Err(self.unknown(topic)?),
            };
            match records.last() {
                Some(last) => {
                    position = last.origin.offset + 1;
                    waited = Duration::ZERO;
                }
                None if stopping => return Ok(()),
                None => {
                    waited = longer(waited);
                    std::thread::sleep(waited);
                }
            }
            for record in records {
                if each(record).is_break() {
                    return Ok(());
                }
            }
        }
    }

    fn unknown(&self, topic: &str) -> Result<StoreError, StoreError> {
        let known: Vec<String> = self.topics()?.into_keys().collect();
        Ok(StoreError::UnknownTopic { topic: topic.to_owned(), known: known.join(", ") })
    }

    /// A number that changes when another connection commits something.
    pub(super) fn version(&self) -> Result<i64, StoreError> {
        self.sql(|c| c.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0)))
    }
}

/// Says once that a log which was there already is open to every user; it may be meant to be.
fn warn_if_open(dir: &Path, file: &Path) {
    static ONCE: Once = Once::new();
    let lets = |path: &Path, others: u32| {
        path.metadata().is_ok_and(|found| found.permissions().mode() & others != 0)
    };
    if lets(dir, 0o001) && lets(file, 0o004) {
        ONCE.call_once(|| {
            tracing::warn!(
                path = %file.display(),
                "every user of this machine may read the log; `chmod 700` its directory"
            );
        });
    }
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// The same names as Kafka's, so that a desk can move there.
fn check_name(topic: &str) -> Result<(), StoreError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let known_length = (1..=249).contains(&topic.len());
    if known_length && topic.chars().all(plain) && !matches!(topic, "." | "..") {
        return Ok(());
    }
    Err(StoreError::InvalidTopic { topic: topic.to_owned() })
}

/// The next wait of somebody who finds nothing new: from 5 ms on, up to 50 ms.
pub(super) fn longer(wait: Duration) -> Duration {
    (wait * 2).clamp(Duration::from_millis(5), Duration::from_millis(50))
}
