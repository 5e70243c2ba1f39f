//! `triaged run`: the daemon.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigArgs, logging, output};
use crate::health::Stop;
use crate::service::{self, Service};

/// The exit code after a second signal, as a shell reports a program ended by SIGTERM.
pub const HURRIED: i32 = 143;

pub fn run(args: &ConfigArgs) -> Result<()> {
    let config = args.load()?;
    logging::start(&config.logging);
    let triage = service::triage(&config)?;
    let stop = Stop::new();
    // Before the service, so that a signal during a slow start is not lost.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let service = Service::start(&config, triage, stop.clone())?;

    // Whether it was a signal that ended it.
    let told = runtime.block_on(async {
        loop {
            tokio::select! {
                name = signals.next() => {
                    tracing::info!(signal = name, "stopping");
                    break true;
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => {
                    if service.has_ended() {
                        break false;
                    }
                }
            }
        }
    });
    stop.request(config.grace);
    std::thread::Builder::new()
        .name(String::from("second-signal"))
        .spawn(move || {
            let name = runtime.block_on(second(told, async || signals.next().await));
            output::note(format_args!("triaged: {name} again, leaving at once"));
            std::process::exit(HURRIED);
        })
        .context("cannot start a thread")?;
    service.finish()?;
    tracing::info!("stopped");
    Ok(())
}

/// The second signal. Where a worker has ended without one, the first still has to come: it asks for
/// the end that is under way.
async fn second(mut told: bool, mut next: impl AsyncFnMut() -> &'static str) -> &'static str {
    loop {
        let name = next().await;
        if told {
            return name;
        }
        tracing::info!(signal = name, "stopping already");
        told = true;
    }
}

/// SIGTERM and SIGINT.
pub struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Must be called within a runtime.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_hurries_nothing_even_after_a_worker_has_failed() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let hurries = |told: bool| {
            let mut signals = ["first", "second"].into_iter();
            runtime.block_on(second(told, async || signals.next().unwrap()))
        };
        assert_eq!(hurries(false), "second");
        assert_eq!(hurries(true), "first", "the one that ended it came before");
    }
}
