//! All playbooks of a folder, checked against each other and against the lock.

use std::collections::BTreeMap;

use url::Url;

use super::lock::{self, LOCK_FILE, Lock};
use super::{Playbook, Problem, Problems, read};
use crate::resolve::host::AllowedHost;

/// A file's name and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    pub name: String,
    pub text: String,
}

/// An id that none of the playbooks has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no playbook {id}; there are: {known}")]
pub struct NoPlaybook {
    id: String,
    known: String,
}

impl NoPlaybook {
    pub fn new(id: &str, known: &[String]) -> Self {
        Self { id: id.to_owned(), known: known.join(", ") }
    }
}

/// The ids that a folder's files name, whatever else is wrong with them: a playbook can be switched
/// off while somebody is still writing another one.
pub fn ids(files: &[TextFile]) -> Vec<String> {
    let id = |file: &TextFile| {
        let table: toml::Table = file.text.parse().ok()?;
        table.get("id")?.as_str().map(str::to_owned)
    };
    files.iter().filter_map(id).collect()
}

/// Checked playbooks by id.
#[derive(Clone, Debug, Default)]
pub struct Library {
    playbooks: BTreeMap<String, Playbook>,
}

impl Library {
    /// Checks a folder's playbooks; `lock` is the text of its lock file, if there is one.
    ///
    /// # Errors
    /// Every problem of every file: nothing of a folder with a problem may run.
    pub fn read(files: &[TextFile], lock: Option<&str>) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let lock = lock::read(lock.unwrap_or_default()).unwrap_or_else(|found| {
            problems.extend(found);
            Lock::new()
        });
        let mut library = Self::default();
        let mut requests: BTreeMap<String, String> = BTreeMap::new();
        for file in files {
            let mut playbook = match read::playbook(&file.name, &file.text) {
                Ok(playbook) => playbook,
                Err(found) => {
                    problems.extend(found);
                    continue;
                }
            };
            for request in &playbook.matching.requests {
                if let Some(other) = requests.insert(request.clone(), file.name.clone()) {
                    let what = format!("{request} is answered by {other} already");
                    problems.push(Problem::new(&*file.name, "match.requests", what));
                }
            }
            if let Some(other) = library.playbooks.get(&playbook.id) {
                let what = format!("{} is the id of {} already", playbook.id, other.file);
                problems.push(Problem::new(&*file.name, "id", what));
                continue;
            }
            problems.extend(apply(&lock, &mut playbook));
            library.playbooks.insert(playbook.id.clone(), playbook);
        }
        if problems.is_empty() { Ok(library) } else { Err(Problems(problems)) }
    }

    pub fn get(&self, id: &str) -> Option<&Playbook> {
        self.playbooks.get(id)
    }

    /// In the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Playbook> {
        self.playbooks.values()
    }

    pub fn len(&self) -> usize {
        self.playbooks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.playbooks.is_empty()
    }

    /// The playbook that answers a request of the known-request model.
    pub fn answering(&self, request: &str) -> Option<&Playbook> {
        self.iter().find(|p| p.matching.requests.iter().any(|r| r == request))
    }

    /// Calls to hosts that are not on the allow-list, or not on that of the call's credential. The
    /// lists are written as the settings write them, and compared as the caller compares them.
    pub fn forbidden(
        &self,
        allowed: &[String],
        credentials: &BTreeMap<String, Vec<String>>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        for playbook in self.iter() {
            for step in playbook.calls() {
                let origin = step.origin();
                let host = Url::parse(origin).ok().and_then(|url| AllowedHost::of(&url));
                let is_it = |written: &String| written.parse::<AllowedHost>().ok() == host;
                let lists = |hosts: &[String]| host.is_some() && hosts.iter().any(is_it);
                let mut add = |what: String| {
                    problems.push(Problem::new(&*playbook.file, &*step.name, what));
                };
                if !lists(allowed) {
                    add(format!("{origin} is not on the list of allowed hosts"));
                }
                let Some(name) = &step.credential else { continue };
                match credentials.get(name) {
                    None => add(format!("there is no credential {name}")),
                    Some(hosts) if !lists(hosts) => {
                        add(format!("the credential {name} is not for {origin}"));
                    }
                    Some(_) => {}
                }
            }
        }
        problems
    }

    /// Fallback queues that are none of `queues`: perhaps nobody looks into them.
    pub fn strange_queues(&self, queues: &[String]) -> Vec<Problem> {
        self.queue_problems(
            |queue| queues.iter().any(|known| known == queue),
            "is no queue of the policy: perhaps nobody looks there",
        )
    }

    /// Fallback queues that no topic can be named after, for settings with a topic for each queue.
    pub fn unnameable_queues(&self) -> Vec<Problem> {
        self.queue_problems(
            fits_a_topic,
            "names no topic, and topics.per_queue asks for one: 1 to 200 of the characters a-z A-Z \
             0-9 . _ -",
        )
    }

    fn queue_problems(&self, is_good: impl Fn(&str) -> bool, what: &str) -> Vec<Problem> {
        let bad = self.iter().filter(|playbook| !is_good(&playbook.fallback_queue));
        bad.map(|Playbook { file, fallback_queue, .. }| {
            Problem::new(&**file, "fallback_queue", format!("{fallback_queue:?} {what}"))
        })
        .collect()
    }
}

/// Whether a topic can be named after a queue: the rule that the settings have for their own.
fn fits_a_topic(queue: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=200).contains(&queue.len()) && queue.chars().all(plain)
}

/// Lets an approval count where the lock agrees with it. A file that says something else under
/// the same version is a problem: somebody changed what was approved.
fn apply(lock: &Lock, playbook: &mut Playbook) -> Option<Problem> {
    let locked = lock.get(&playbook.id)?;
    let problem = |what: String| Some(Problem::new(&*playbook.file, "", what));
    if playbook.version < locked.version {
        return problem(format!(
            "has version {}, but {LOCK_FILE} knows version {} already",
            playbook.version, locked.version
        ));
    }
    if playbook.version > locked.version {
        return None;
    }
    if playbook.digest != locked.sha256 {
        return problem(format!(
            "was changed without a new version: give it version {} and approve it again",
            playbook.version + 1
        ));
    }
    match &playbook.approval {
        // Whoever takes the approval out of the file withdraws it.
        None => None,
        Some(approval) if *approval == locked.approval => {
            playbook.locked = Some(locked.clone());
            None
        }
        Some(_) => {
            let what = "is not the one in the lock: run `triaged approve` instead of editing it";
            Some(Problem::new(&*playbook.file, "approval", what))
        }
    }
}
