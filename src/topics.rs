//! Records in and out of the configured log by hand: no group, no positions.

use std::ops::ControlFlow;

use crate::config::{Config, KafkaConfig, LogConfig};
use crate::health::Stop;
use crate::log::embedded::{Store, StoreError};
use crate::log::kafka::KafkaSettings;
use crate::log::kafka::tool::{self, ToolError};
use crate::log::{NewRecord, Record};
use crate::service;

/// Records that are written together.
const CHUNK: usize = 500;

/// Why records could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Kafka(#[from] ToolError),
    #[error("{written} records written, {failed} failed: {error}")]
    Partly { written: u64, failed: u64, error: String },
}

/// Writes records to a topic; how many there were.
///
/// # Errors
/// [`TopicError`] if not all could be written.
pub fn put(
    config: &Config,
    topic: &str,
    records: impl IntoIterator<Item = NewRecord>,
) -> Result<u64, TopicError> {
    match &config.log {
        LogConfig::Embedded(embedded) => {
            let store = Store::open(&embedded.dir)?;
            let (mut written, mut records) = (0, records.into_iter());
            loop {
                let chunk: Vec<NewRecord> = records.by_ref().take(CHUNK).collect();
                if chunk.is_empty() {
                    return Ok(written);
                }
                store.put(topic, &chunk)?;
                written += chunk.len() as u64;
            }
        }
        LogConfig::Kafka(kafka) => {
            let put = tool::put(&settings(config, kafka), topic, records)?;
            match put.error {
                Some(error) => {
                    Err(TopicError::Partly { written: put.written, failed: put.failed, error })
                }
                None => Ok(put.written),
            }
        }
    }
}

/// Hands every committed record of a topic to `each`, from the beginning until the end, a break,
/// or, with `follow`, without end.
///
/// # Errors
/// [`TopicError`] if the topic cannot be read.
pub fn read(
    config: &Config,
    topic: &str,
    follow: bool,
    each: impl FnMut(Record) -> ControlFlow<()>,
) -> Result<(), TopicError> {
    let stop = Stop::new();
    let follow = follow.then_some(&stop);
    match &config.log {
        LogConfig::Embedded(embedded) => {
            Store::open_existing(&embedded.dir)?.tail(topic, 0, follow, each)?;
        }
        LogConfig::Kafka(kafka) => {
            tool::tail(&settings(config, kafka), topic, follow, each)?;
        }
    }
    Ok(())
}

/// The first worker's settings, but for its topics.
pub(crate) fn settings(config: &Config, kafka: &KafkaConfig) -> KafkaSettings {
    KafkaSettings {
        message_max_bytes: config.route.max_output_bytes,
        ..service::kafka_settings(kafka, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_configuration_lets_out_can_be_put() {
        let sets = ["kafka.name=x", "limits.output_bytes=3000000"].map(str::to_owned);
        let config = Config::load(None, &sets).unwrap();
        let LogConfig::Kafka(kafka) = &config.log else { panic!("not Kafka") };
        assert_eq!(settings(&config, kafka).message_max_bytes, 3_000_000);
    }
}
