//! `triaged run`: the daemon.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigArgs, logging};
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

    runtime.block_on(async {
        loop {
            tokio::select! {
                name = signals.next() => {
                    tracing::info!(signal = name, "stopping");
                    break;
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => {
                    if service.has_ended() {
                        break;
                    }
                }
            }
        }
    });
    stop.request(config.grace);
    std::thread::Builder::new()
        .name(String::from("second-signal"))
        .spawn(move || {
            let name = runtime.block_on(signals.next());
            eprintln!("triaged: {name} again, leaving at once");
            std::process::exit(HURRIED);
        })
        .context("cannot start a thread")?;
    service.finish()?;
    tracing::info!("stopped");
    Ok(())
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
