//! An end of the demonstration before its time, as the daemon ends.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::folder;
use crate::cli::output::note;
use crate::cli::run::{HURRIED, Signals};
use crate::health::Stop;

/// Requested once SIGINT or SIGTERM comes. At a second one the process ends at once; the folder that
/// `goes` is removed all the same.
///
/// # Errors
/// If signals cannot be waited for.
pub fn watch(goes: Option<PathBuf>) -> Result<Stop> {
    let ended = Stop::new();
    let told = ended.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    thread::Builder::new()
        .name(String::from("signals"))
        .spawn(move || {
            let name = runtime.block_on(signals.next());
            note(format_args!("triaged: {name}, stopping"));
            told.request(Duration::ZERO);
            let name = runtime.block_on(signals.next());
            note(format_args!("triaged: {name} again, leaving at once"));
            if let Some(goes) = goes {
                folder::remove(&goes);
            }
            std::process::exit(HURRIED);
        })
        .context("cannot start a thread")?;
    Ok(ended)
}
