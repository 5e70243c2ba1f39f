//! The switches as this process knows them: the control topic, read by a thread of its own, what
//! people stopped here, and the kill file. Until the topic was read for the first time, everything
//! counts as stopped; so it does while the topic cannot be read.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use crate::files;
use crate::health::Stop;
use crate::log::{Follow, LogError};
use crate::metrics::Metrics;
use crate::resolve::control::{Order, Switch, Switches};
use crate::sync;

/// How often the topic is looked at: a kill must be heard within a second.
const LOOK: Duration = Duration::from_millis(200);
/// When the topic was not read for so long, somebody may have stopped everything and was not heard.
const UNHEARD: Duration = Duration::from_secs(10);

/// What people have switched. Shared by all who call or are about to.
pub struct Controls {
    known: RwLock<Known>,
    kill_file: Option<KillFile>,
}

#[derive(Default)]
struct Known {
    /// What the topic says; none before it was read, and after it could not be read any more.
    recorded: Option<Switches>,
    /// When the topic was last read to its end; none while nobody follows it.
    heard: Option<Instant>,
    /// What was stopped in this process and did not come back from the topic yet.
    here: HashMap<Switch, Order>,
    /// When playbooks last switched themselves off, in milliseconds since 1970.
    by_itself_ms: HashMap<String, i64>,
}

impl Controls {
    /// Knows nothing yet, so that everything counts as stopped. Says where the kill file is looked
    /// for.
    pub fn new(kill_file: Option<PathBuf>) -> Arc<Self> {
        let kill_file = kill_file.map(KillFile::new);
        if let Some(file) = &kill_file {
            file.announce();
        }
        Arc::new(Self { known: RwLock::default(), kill_file })
    }

    /// Whether no call may be made at all.
    pub fn killed(&self) -> bool {
        self.kill_file.as_ref().is_some_and(KillFile::stops)
            || self.read(|known| {
                known.unheard()
                    || known.here.contains_key(&Switch::Everything)
                    || known.recorded.as_ref().is_none_or(Switches::killed)
            })
    }

    /// Whether a person has switched this playbook off.
    pub fn off(&self, playbook: &str) -> bool {
        self.read(|known| {
            known.here.contains_key(&Switch::Playbook(playbook.to_owned()))
                || known.recorded.as_ref().is_none_or(|switches| switches.off(playbook))
        })
    }

    /// Whether a call for this playbook must not be made.
    pub fn stopped(&self, playbook: &str) -> bool {
        self.killed() || self.off(playbook)
    }

    /// When a person last switched this playbook on.
    pub fn on_again_ms(&self, playbook: &str) -> i64 {
        let on_again_ms = |switches: &Switches| switches.on_again_ms(playbook);
        self.read(|known| known.recorded.as_ref().map_or(i64::MIN, on_again_ms))
    }

    /// Whether this playbook is switched off, by a person or, as [`Controls::went_off`] was told,
    /// by itself.
    pub fn shows_off(&self, playbook: &str) -> bool {
        let by_itself = self.read(|known| known.by_itself_ms.get(playbook).copied());
        self.off(playbook) || by_itself.is_some_and(|at_ms| at_ms > self.on_again_ms(playbook))
    }

    /// Takes in orders of the topic, in their order.
    pub fn apply(&self, orders: impl IntoIterator<Item = Order>) {
        self.write(|Known { recorded, here, .. }| {
            let recorded = recorded.get_or_insert_default();
            for order in orders {
                here.retain(|_, stop| !settles(&order, stop));
                if order.on && here.contains_key(&order.switch) {
                    tracing::warn!(by = order.by, "this was stopped here later and stays stopped");
                }
                recorded.apply(order);
            }
        });
    }

    /// Stops at once what an order stops, until its record comes back from the topic, or one that
    /// lifts it. An order that lets something go again changes nothing here: that has to be
    /// recorded first.
    pub fn stop_here(&self, order: &Order) {
        if !order.on {
            self.write(|known| known.here.insert(order.switch.clone(), order.clone()));
        }
    }

    /// Hears that a playbook has switched itself off, for [`Controls::shows_off`]. What is called
    /// goes by the ledger.
    pub fn went_off(&self, playbook: &str, at_ms: i64) {
        self.write(|known| known.by_itself_ms.insert(playbook.to_owned(), at_ms));
    }

    fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&sync::read(&self.known))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut sync::write(&self.known))
    }

    /// Notes that the topic was read to its end just now, and says whether that was overdue.
    fn heard(&self) -> bool {
        self.write(|known| {
            let overdue = known.unheard();
            known.heard = Some(Instant::now());
            overdue
        })
    }

    /// Whether the topic is followed and was not read for too long.
    fn unheard(&self) -> bool {
        self.read(Known::unheard)
    }

    /// Knows nothing any more: nobody follows the topic from here on.
    fn forget(&self) {
        self.write(|known| (known.recorded, known.heard) = (None, None));
    }
}

impl Known {
    fn unheard(&self) -> bool {
        self.heard.is_some_and(|at| at.elapsed() > UNHEARD)
    }
}

/// Whether a recorded order has the say over what was stopped here: it is the same order, or one
/// that was given later and lets the same go again.
fn settles(order: &Order, stop: &Order) -> bool {
    let lifts = order.on && order.switch == stop.switch && order.at_ms > stop.at_ms;
    lifts || order == stop
}

const NO_FOLDER: &str =
    "the folder of the kill file is missing: make it, or nobody can put the file there";

/// What the service warns of at its start about a kill file, with the file's whole path.
pub fn kill_file_trouble(path: &Path) -> Option<String> {
    let file = KillFile::new(path.to_owned());
    file.lacks_folder().then(|| format!("{}: {NO_FOLDER}", file.path.display()))
}

/// The file that stops all calls while it exists.
struct KillFile {
    path: PathBuf,
    /// Whether it was said that it cannot be looked at.
    said: AtomicBool,
}

impl KillFile {
    fn new(path: PathBuf) -> Self {
        Self { path: files::whole(&path), said: AtomicBool::new(false) }
    }

    fn announce(&self) {
        let file = self.path.display();
        tracing::info!(%file, "while this kill file exists, no playbook is carried out");
        if self.lacks_folder() {
            tracing::warn!(%file, "{NO_FOLDER}");
        }
    }

    fn lacks_folder(&self) -> bool {
        let folder = self.path.parent().map(std::fs::metadata);
        folder.is_some_and(|found| found.is_err_and(|e| e.kind() == io::ErrorKind::NotFound))
    }

    fn stops(&self) -> bool {
        let (stops, news) = self.look();
        if let Some(error) = news {
            let file = self.path.display();
            tracing::error!(%error, %file, "the kill file cannot be looked at: all calls stop");
        }
        stops
    }

    /// Whether it stops all calls, and why it cannot be looked at, unless that was said before.
    /// Only a file that is certainly not there stops nothing; a link that leads nowhere is there.
    fn look(&self) -> (bool, Option<io::Error>) {
        let (stops, trouble) = match std::fs::symlink_metadata(&self.path) {
            Ok(_) => (true, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (false, None),
            Err(error) => (true, Some(error)),
        };
        let said = self.said.swap(trouble.is_some(), Ordering::Relaxed);
        (stops, trouble.filter(|_| !said))
    }
}

/// Reads the control topic: all that is in it now, and from then on in a thread until a stop is
/// requested. Another thread shows how the switches stand, also while reading has to wait for
/// brokers that are away: when that takes too long, all calls stop until the topic is read again.
/// `name` is the topic's.
///
/// # Errors
/// [`LogError::Fatal`] when the topic cannot be read or no thread be started,
/// [`LogError::Aborted`] when the service stops.
pub fn watch(
    controls: Arc<Controls>,
    name: Arc<str>,
    mut topic: Box<dyn Follow>,
    playbooks: Vec<String>,
    metrics: Arc<Metrics>,
    stop: Stop,
) -> Result<(), LogError> {
    controls.apply(orders(&mut *topic)?);
    controls.heard();
    let (shown, until, of) = (Arc::clone(&controls), stop.clone(), Arc::clone(&name));
    thread("switches", move || {
        let mut said = false;
        while !until.requested() {
            let unheard = shown.unheard();
            if unheard && !said {
                tracing::warn!(
                    topic = &*of,
                    seconds = UNHEARD.as_secs(),
                    "the control topic was not read for too long: all calls stop until it is read"
                );
            }
            said = unheard;
            show(&shown, &playbooks, &metrics);
            std::thread::sleep(LOOK);
        }
    })?;
    thread("controls", move || {
        while !stop.requested() {
            match orders(&mut *topic) {
                Ok(orders) => {
                    controls.apply(orders);
                    if controls.heard() {
                        tracing::info!(topic = &*name, "the control topic is read again");
                    }
                }
                Err(LogError::Aborted(_)) => return,
                Err(LogError::Fatal(error)) => {
                    controls.forget();
                    tracing::error!(
                        error,
                        topic = &*name,
                        "the control topic cannot be read: all calls stop, until a restart"
                    );
                    return;
                }
            }
            std::thread::sleep(LOOK);
        }
        // Until then it was heard, and a batch that is under way ends by that.
        controls.write(|known| known.heard = None);
    })
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), LogError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(|_| ()).map_err(|e| LogError::Fatal(format!("cannot start a thread: {e}")))
}

/// Sets the gauges of the switches.
fn show(controls: &Controls, playbooks: &[String], metrics: &Metrics) {
    metrics.resolve.kill_switch.set(i64::from(controls.killed()));
    for playbook in playbooks {
        let gauge = metrics.resolve.playbook_off.with_label_values(&[playbook]);
        gauge.set(i64::from(controls.shows_off(playbook)));
    }
}

/// The orders that were added to the topic; what is none is left out, and said. All at once: half
/// of them would be switches that never stood so.
fn orders(topic: &mut dyn Follow) -> Result<Vec<Order>, LogError> {
    let mut orders = Vec::new();
    topic.catch_up(&mut |record| match record.value.as_deref().map(serde_json::from_slice) {
        Some(Ok(order)) => orders.push(order),
        Some(Err(_)) => {
            tracing::warn!(origin = %record.origin, "no order of this service, skipped");
        }
        None => {}
    })?;
    Ok(orders)
}

#[cfg(test)]
mod tests;
