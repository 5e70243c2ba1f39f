//! The SQL behind records and topics. Everything here runs within the caller's transaction, if
//! there is one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::clock::now_ms;
use crate::log::{NewRecord, Origin, Record};

/// Writes records within a transaction; [`Appender::finish`] writes the topics' new ends.
pub(super) struct Appender<'t> {
    connection: &'t Connection,
    now_ms: i64,
    /// Each topic's row and its next offset.
    ends: BTreeMap<String, (i64, i64)>,
    appended: i64,
}

impl<'t> Appender<'t> {
    pub(super) fn new(transaction: &'t Transaction<'_>) -> Self {
        Self { connection: transaction, now_ms: now_ms(), ends: BTreeMap::new(), appended: 0 }
    }

    pub(super) fn append(&mut self, topic: &str, record: &NewRecord) -> rusqlite::Result<()> {
        let now_ms = self.now_ms;
        let (id, next) = match self.ends.entry(topic.to_owned()) {
            Entry::Occupied(end) => end.into_mut(),
            Entry::Vacant(end) => end.insert(topic_row(self.connection, topic)?),
        };
        let NewRecord { key, value, headers, timestamp_ms } = record;
        self.connection
            .prepare_cached(
                "INSERT INTO records (topic, offset, key, value, timestamp_ms, stored_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![*id, *next, key, value, timestamp_ms.unwrap_or(now_ms), now_ms])?;
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO headers (topic, offset, position, name, value) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (position, (name, value)) in (0_i64..).zip(headers) {
            statement.execute(params![*id, *next, position, name, value])?;
        }
        *next += 1;
        self.appended += 1;
        Ok(())
    }

    /// Returns how many records were appended.
    pub(super) fn finish(self) -> rusqlite::Result<i64> {
        let mut statement =
            self.connection.prepare_cached("UPDATE topics SET next = ?2 WHERE id = ?1")?;
        for (id, next) in self.ends.values() {
            statement.execute([id, next])?;
        }
        Ok(self.appended)
    }
}

/// A topic's row and next offset; makes the topic if there is none.
pub(super) fn topic_row(connection: &Connection, topic: &str) -> rusqlite::Result<(i64, i64)> {
    let find = || {
        connection
            .prepare_cached("SELECT id, next FROM topics WHERE name = ?1")?
            .query_row([topic], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    };
    if let Some(row) = find()? {
        return Ok(row);
    }
    connection
        .prepare_cached("INSERT INTO topics (name) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([topic])?;
    find()?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// The row and the name of every topic.
pub(super) fn topics(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    connection
        .prepare_cached("SELECT id, name FROM topics")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Up to `most` records of a topic from `from` on; the one that passes `bytes` is the last.
pub(super) fn read(
    connection: &Connection,
    id: i64,
    topic: &Arc<str>,
    from: i64,
    most: usize,
    bytes: usize,
) -> rusqlite::Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut size = 0_usize;
    let mut statement = connection.prepare_cached(
        "SELECT offset, key, value, timestamp_ms FROM records \
         WHERE topic = ?1 AND offset >= ?2 ORDER BY offset LIMIT ?3",
    )?;
    let mut rows = statement.query(params![id, from, i64::try_from(most).unwrap_or(i64::MAX)])?;
    while size < bytes
        && let Some(row) = rows.next()?
    {
        let record = Record {
            origin: Origin { topic: Arc::clone(topic), partition: 0, offset: row.get(0)? },
            key: row.get(1)?,
            value: row.get(2)?,
            headers: Vec::new(),
            timestamp_ms: Some(row.get(3)?),
        };
        size = size.saturating_add(weight(&record));
        records.push(record);
    }
    read_headers(connection, id, &mut records)?;
    Ok(records)
}

fn read_headers(c: &Connection, id: i64, records: &mut [Record]) -> rusqlite::Result<()> {
    let ends = (records.first(), records.last());
    let (Some(first), Some(last)) = ends else { return Ok(()) };
    let mut statement = c.prepare_cached(
        "SELECT offset, name, value FROM headers WHERE topic = ?1 AND offset BETWEEN ?2 AND ?3 \
         ORDER BY offset, position",
    )?;
    let mut rows = statement.query([id, first.origin.offset, last.origin.offset])?;
    let mut records = records.iter_mut();
    let mut record = records.next();
    while let Some(row) = rows.next()? {
        let offset: i64 = row.get(0)?;
        while record.as_ref().is_some_and(|r| r.origin.offset < offset) {
            record = records.next();
        }
        if let Some(record) = &mut record {
            record.headers.push((Cow::Owned(row.get(1)?), row.get(2)?));
        }
    }
    Ok(())
}

/// What a record counts towards a limit of bytes.
pub(super) fn weight(record: &Record) -> usize {
    record.key.as_ref().map_or(0, Vec::len) + record.value.as_ref().map_or(0, Vec::len)
}
