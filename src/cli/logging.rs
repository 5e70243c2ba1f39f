//! Log lines: JSON for machines, text for people; never with ticket text.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LoggingConfig};

/// Starts logging to standard error. Later calls change nothing.
pub fn start(logging: &LoggingConfig) {
    let filter = EnvFilter::new(&logging.level);
    let on_terminal = std::io::stderr().is_terminal();
    let json = match logging.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !on_terminal,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(on_terminal).try_init()
    };
}
