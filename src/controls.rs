//! The switches as this process knows them: the control topic, read by a thread of its own, and
//! the kill file. Until the topic was read for the first time, everything counts as stopped.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::health::Stop;
use crate::log::{Follow, LogError};
use crate::metrics::Metrics;
use crate::resolve::control::{Order, Switches};

/// How often the topic is looked at: a kill must be heard within a second.
const LOOK: Duration = Duration::from_millis(200);

/// What people have switched. Shared by all who call or are about to.
pub struct Controls {
    /// None before the topic was read, and after it could not be read any more.
    switches: RwLock<Option<Switches>>,
    kill_file: Option<PathBuf>,
}

impl Controls {
    pub fn new(kill_file: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self { switches: RwLock::new(None), kill_file })
    }

    /// Whether no call may be made at all.
    pub fn killed(&self) -> bool {
        self.kill_file.as_ref().is_some_and(|file| file.exists())
            || self.read(true, Switches::killed)
    }

    /// Whether a person has switched this playbook off.
    pub fn off(&self, playbook: &str) -> bool {
        self.read(true, |switches| switches.off(playbook))
    }

    /// Whether a call for this playbook must not be made.
    pub fn stopped(&self, playbook: &str) -> bool {
        self.killed() || self.off(playbook)
    }

    /// When a person last switched this playbook on.
    pub fn on_again_ms(&self, playbook: &str) -> i64 {
        self.read(i64::MIN, |switches| switches.on_again_ms(playbook))
    }

    /// Takes in orders, in their order.
    pub fn apply(&self, orders: impl IntoIterator<Item = Order>) {
        let mut switches = self.switches.write().unwrap_or_else(PoisonError::into_inner);
        let switches = switches.get_or_insert_default();
        orders.into_iter().for_each(|order| switches.apply(order));
    }

    fn read<T>(&self, unknown: T, look: impl FnOnce(&Switches) -> T) -> T {
        let switches = self.switches.read().unwrap_or_else(PoisonError::into_inner);
        switches.as_ref().map_or(unknown, look)
    }

    fn forget(&self) {
        *self.switches.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Reads the control topic: all that is in it now, and from then on in a thread until a stop is
/// requested.
///
/// # Errors
/// [`LogError::Fatal`] when the topic cannot be read or no thread be started,
/// [`LogError::Aborted`] when the service stops.
pub fn watch(
    controls: Arc<Controls>,
    mut topic: Box<dyn Follow>,
    metrics: Arc<Metrics>,
    stop: Stop,
) -> Result<JoinHandle<()>, LogError> {
    controls.apply(orders(&mut *topic)?);
    let watch = move || {
        while !stop.requested() {
            match orders(&mut *topic) {
                Ok(orders) => controls.apply(orders),
                Err(LogError::Aborted(_)) => return,
                Err(LogError::Fatal(error)) => {
                    tracing::error!(error, "the control topic cannot be read: all calls stop");
                    controls.forget();
                    metrics.resolve.kill_switch.set(1);
                    return;
                }
            }
            metrics.resolve.kill_switch.set(i64::from(controls.killed()));
            std::thread::sleep(LOOK);
        }
    };
    std::thread::Builder::new()
        .name(String::from("controls"))
        .spawn(watch)
        .map_err(|e| LogError::Fatal(format!("cannot start a thread: {e}")))
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
