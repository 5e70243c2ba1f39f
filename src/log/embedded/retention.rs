//! How long records are kept, and which groups they are kept for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::lock::GroupLock;
use super::{Store, StoreError, records};
use crate::clock::now_ms;

/// Which old records go.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Records that are stored for longer go once every group has passed them. A group that is not
    /// at work and has not committed for as long is not waited for.
    pub age: Duration,
    /// Topics with another age; `None`: nothing of them ever goes.
    pub ages: BTreeMap<Arc<str>, Option<Duration>>,
}

impl Retention {
    /// The age of a topic's records; `None` keeps all.
    fn age_of(&self, topic: &str) -> Option<Duration> {
        self.ages.get(topic).copied().unwrap_or(Some(self.age))
    }
}

/// The old records of one topic.
struct Old<'t> {
    topic: i64,
    name: &'t str,
    /// They were stored before this time.
    before_ms: i64,
    /// The first offset that is not among them.
    end: i64,
}

/// A group that may be gone: a position among old records, and no commit for as long.
struct Silent {
    group: String,
    next: i64,
    committed_ms: i64,
}

impl Store {
    /// Removes up to `most` of the oldest records that `retention` lets go. Those that a group has
    /// not passed stay, unless the group is gone: not at work, and without a commit for as long as
    /// the topic's records are kept. Returns how many it removed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn retain(&self, retention: &Retention, most: usize) -> Result<usize, StoreError> {
        let now = now_ms();
        let mut room = most;
        for (topic, name) in self.sql(records::topics)? {
            let Some(age) = retention.age_of(&name) else { continue };
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let before_ms = now.saturating_sub(age);
            let end = self.sql(|c| end_of_old(c, topic, before_ms))?;
            let old = Old { topic, name: &name, before_ms, end };
            self.leave_behind(&old)?;
            room -= self.sql(|c| {
                let transaction = Transaction::new_unchecked(c, TransactionBehavior::Immediate)?;
                let removed = remove_oldest(&transaction, &old, room)?;
                transaction.commit()?;
                Ok(removed)
            })?;
        }
        Ok(most - room)
    }

    /// Moves groups that are gone past the old records, so that these are kept for others only. A
    /// group that returns reads on from there.
    fn leave_behind(&self, old: &Old<'_>) -> Result<(), StoreError> {
        for silent in self.sql(|c| silent_groups(c, old))? {
            // Held while its position moves: the group does not begin to work meanwhile.
            let Some(_lock) = self.lock_unless_at_work(&silent.group) else { continue };
            let moved = self.sql(|c| move_on(c, &silent.group, old))?;
            // Said once for each time that it goes away, not for every record that becomes old.
            if moved && silent.committed_ms > 0 {
                tracing::warn!(
                    group = silent.group,
                    topic = old.name,
                    records = old.end - silent.next,
                    "the group is gone, old records that it has not read are no longer kept for it"
                );
            }
        }
        Ok(())
    }

    /// The group's lock, if no process works for the group.
    fn lock_unless_at_work(&self, group: &str) -> Option<GroupLock> {
        let dir = self.path.parent().unwrap_or(Path::new(""));
        let taken = GroupLock::open(dir, group).and_then(|mut lock| {
            let ours = lock.take()?;
            Ok(ours.then_some(lock))
        });
        taken.unwrap_or_else(|error| {
            tracing::warn!(group, %error, "is the group at work? its records are kept");
            None
        })
    }
}

fn end_of_old(c: &Connection, topic: i64, before_ms: i64) -> rusqlite::Result<i64> {
    c.prepare_cached(
        "SELECT coalesce((SELECT offset FROM records WHERE topic = ?1 AND stored_ms >= ?2
                          ORDER BY offset LIMIT 1), next)
         FROM topics WHERE id = ?1",
    )?
    .query_row([topic, before_ms], |row| row.get(0))
}

fn silent_groups(c: &Connection, old: &Old<'_>) -> rusqlite::Result<Vec<Silent>> {
    c.prepare_cached(
        "SELECT consumer_group, next, committed_ms FROM positions
         WHERE topic = ?1 AND committed_ms < ?2 AND next < ?3",
    )?
    .query_map([old.topic, old.before_ms, old.end], |row| {
        Ok(Silent { group: row.get(0)?, next: row.get(1)?, committed_ms: row.get(2)? })
    })?
    .collect()
}

/// Whether the group was still silent. 0 says that the position is not a commit of its own.
fn move_on(c: &Connection, group: &str, old: &Old<'_>) -> rusqlite::Result<bool> {
    let moved = c
        .prepare_cached(
            "UPDATE positions SET next = ?4, committed_ms = 0
             WHERE consumer_group = ?1 AND topic = ?2 AND committed_ms < ?3 AND next < ?4",
        )?
        .execute((group, old.topic, old.before_ms, old.end))?;
    Ok(moved > 0)
}

/// Removes from the front of a topic only, so that offsets never get holes.
fn remove_oldest(c: &Connection, old: &Old<'_>, most: usize) -> rusqlite::Result<usize> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let keep_from: Option<i64> = c
        .prepare_cached(
            "SELECT min(
                 ?2,
                 coalesce((SELECT min(next) FROM positions WHERE topic = ?1), ?2),
                 (SELECT min(offset) FROM records WHERE topic = ?1) + ?3)",
        )?
        .query_row([old.topic, old.end, most], |row| row.get(0))?;
    let Some(keep_from) = keep_from else { return Ok(0) };
    c.prepare_cached("DELETE FROM headers WHERE topic = ?1 AND offset < ?2")?
        .execute([old.topic, keep_from])?;
    c.prepare_cached("DELETE FROM records WHERE topic = ?1 AND offset < ?2")?
        .execute([old.topic, keep_from])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::NewRecord;

    const GROUPS: [&str; 2] = ["retired", "working"];

    /// A log of two records from 1970, with groups that committed then and have read the first.
    fn old_log(dir: &Path) -> Store {
        let store = Store::open(dir).unwrap();
        store.put("in", &vec![NewRecord::default(); 2]).unwrap();
        store.sql(|c| c.execute("UPDATE records SET stored_ms = 1", [])).unwrap();
        for group in GROUPS {
            store
                .sql(|c| {
                    c.execute(
                        "INSERT INTO positions SELECT ?1, id, 1, 1 FROM topics WHERE name = 'in'",
                        [group],
                    )
                })
                .unwrap();
        }
        store
    }

    fn removed(store: &Store) -> usize {
        let day = Duration::from_secs(24 * 3600);
        store.retain(&Retention { age: day, ages: BTreeMap::new() }, 100).unwrap()
    }

    fn positions(store: &Store) -> Vec<(String, i64)> {
        store
            .sql(|c| {
                c.prepare("SELECT consumer_group, next FROM positions ORDER BY consumer_group")?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect()
            })
            .unwrap()
    }

    fn at(retired: i64, working: i64) -> Vec<(String, i64)> {
        GROUPS.map(str::to_owned).into_iter().zip([retired, working]).collect()
    }

    #[test]
    fn old_records_are_not_kept_for_groups_that_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let store = old_log(dir.path());
        assert_eq!(removed(&store), 2);
        assert_eq!(positions(&store), at(2, 2), "who returns reads on from what is kept");
        store.put("in", &[NewRecord::default()]).unwrap();
        assert_eq!(removed(&store), 0, "younger ones are kept for them");
        assert_eq!(positions(&store), at(2, 2));
    }

    #[test]
    fn old_records_are_kept_for_a_group_that_is_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let store = old_log(dir.path());
        let mut lock = GroupLock::open(dir.path(), "working").unwrap();
        assert!(lock.take().unwrap());
        assert_eq!(removed(&store), 1);
        assert_eq!(positions(&store), at(2, 1));
        drop(lock);
        assert_eq!(removed(&store), 1);
    }

    #[test]
    fn old_records_are_kept_for_a_group_that_stopped_lately() {
        let dir = tempfile::tempdir().unwrap();
        let store = old_log(dir.path());
        let now = now_ms();
        let mark = "UPDATE positions SET committed_ms = ?1 WHERE consumer_group = 'working'";
        store.sql(|c| c.execute(mark, [now])).unwrap();
        assert_eq!(removed(&store), 1);
        assert_eq!(positions(&store), at(2, 1));
    }

    #[test]
    fn a_group_whose_lock_cannot_be_asked_for_counts_as_at_work() {
        let dir = tempfile::tempdir().unwrap();
        let store = old_log(dir.path());
        std::fs::create_dir(dir.path().join("working.lock")).unwrap();
        assert_eq!(removed(&store), 1);
        assert_eq!(positions(&store), at(2, 1));
    }

    #[test]
    fn groups_of_a_file_of_format_1_count_from_its_upgrade_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = old_log(dir.path());
        let older = "ALTER TABLE positions DROP COLUMN committed_ms; PRAGMA user_version = 1";
        store.sql(|c| c.execute_batch(older)).unwrap();
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(removed(&store), 1);
        assert_eq!(positions(&store), at(1, 1));
        assert_eq!(store.topics().unwrap()["in"], 1..2);
    }
}
