//! Whether a topic keeps its records for as long as what is built on them needs.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResourceResult, ResourceSpecifier};
use rdkafka::error::KafkaResult;

use super::settings::KafkaSettings;
use super::tool::Quiet;

const QUERY: Duration = Duration::from_secs(5);

/// What has to stay in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// The last record of each key, for ever.
    Latest,
    /// Every record, for so many milliseconds; none is for ever.
    All { ms: Option<i64> },
}

/// Why a topic may not be counted on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionError {
    /// Its settings say that it forgets.
    #[error("topic {topic} does not keep what is needed: {why}")]
    Forgets { topic: String, why: String },
    /// Its settings could not be read; the right to describe them may be missing.
    #[error("the settings of topic {topic} could not be read: {why}")]
    Unknown { topic: String, why: String },
}

/// Asks the brokers for the topics' settings and holds them against what has to stay in each. Answers
/// for each topic in their order: what is set, and to what it should be.
pub fn check_retention(
    settings: &KafkaSettings,
    runtime: &tokio::runtime::Runtime,
    topics: &[(&str, Keeps)],
) -> Vec<Result<(), RetentionError>> {
    let answers = ask(settings, runtime, topics.iter().map(|(topic, _)| *topic));
    let one = |(i, (topic, keeps)): (usize, &(&str, Keeps))| {
        let topic = || (*topic).to_owned();
        let unknown = |why: String| RetentionError::Unknown { topic: topic(), why };
        let answer = match &answers {
            Ok(answers) => answers.get(i).ok_or_else(|| unknown(String::from("no answer")))?,
            Err(error) => return Err(unknown(error.to_string())),
        };
        let answer = answer.as_ref().map_err(|code| unknown(code.to_string()))?;
        let entries = answer.entry_map();
        let of = |name: &str| entries.get(name).and_then(|entry| entry.value.as_deref());
        let [Some(policy), Some(ms), Some(bytes)] =
            ["cleanup.policy", "retention.ms", "retention.bytes"].map(of)
        else {
            return Err(unknown(String::from("the brokers do not say how long it keeps records")));
        };
        match complaint(*keeps, policy, ms, bytes) {
            Some(why) => Err(RetentionError::Forgets { topic: topic(), why }),
            None => Ok(()),
        }
    };
    topics.iter().enumerate().map(one).collect()
}

/// The settings of each topic, in their order.
fn ask<'t>(
    settings: &KafkaSettings,
    runtime: &tokio::runtime::Runtime,
    topics: impl Iterator<Item = &'t str>,
) -> KafkaResult<Vec<ConfigResourceResult>> {
    let client: AdminClient<Quiet> = settings.plain().create_with_context(Quiet)?;
    let options = AdminOptions::new().request_timeout(Some(QUERY));
    let topics: Vec<_> = topics.map(ResourceSpecifier::Topic).collect();
    runtime.block_on(client.describe_configs(&topics, &options))
}

/// What is wrong with the values of `cleanup.policy`, `retention.ms` and `retention.bytes`.
fn complaint(keeps: Keeps, policy: &str, ms: &str, bytes: &str) -> Option<String> {
    let has = |name: &str| policy.split(',').any(|part| part.trim() == name);
    let for_ever = |value: &str| value.trim().starts_with('-');
    let drops = has("delete") && !(for_ever(ms) && for_ever(bytes));
    match keeps {
        Keeps::Latest => drops.then(|| {
            format!(
                "cleanup.policy is {policy} with retention.ms {ms} and retention.bytes {bytes}; set \
                 cleanup.policy=compact"
            )
        }),
        Keeps::All { .. } if has("compact") => Some(format!(
            "cleanup.policy is {policy}, which leaves only the last record of a ticket; set \
             cleanup.policy=delete"
        )),
        Keeps::All { .. } if !for_ever(bytes) => {
            Some(format!("retention.bytes is {bytes}; set retention.bytes=-1"))
        }
        Keeps::All { ms: needed } => {
            let kept = ms.trim().parse::<i64>().unwrap_or(0);
            let enough = kept < 0 || needed.is_some_and(|needed| kept >= needed);
            let needed = needed.unwrap_or(-1);
            (!enough).then(|| format!("retention.ms is {kept}; set retention.ms={needed}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn what_forgets_is_told_apart_from_what_keeps() {
        let all = |ms| Keeps::All { ms };
        for (keeps, policy, ms, bytes, set) in [
            (Keeps::Latest, "compact", "604800000", "-1", None),
            (Keeps::Latest, "delete", "-1", "-1", None),
            (Keeps::Latest, "compact,delete", "-1", "-1", None),
            (Keeps::Latest, "delete", "604800000", "-1", Some("cleanup.policy=compact")),
            (Keeps::Latest, "delete", "-1", "1000", Some("cleanup.policy=compact")),
            (Keeps::Latest, "compact, delete", "604800000", "-1", Some("cleanup.policy=compact")),
            (all(Some(90 * DAY)), "delete", "7776000000", "-1", None),
            (all(Some(90 * DAY)), "delete", "-1", "-1", None),
            (all(None), "delete", "-1", "-1", None),
            (all(Some(90 * DAY)), "delete", "604800000", "-1", Some("retention.ms=7776000000")),
            (all(None), "delete", "7776000000", "-1", Some("retention.ms=-1")),
            (all(Some(DAY)), "delete", "-1", "5000", Some("retention.bytes=-1")),
            (all(Some(DAY)), "compact", "-1", "-1", Some("cleanup.policy=delete")),
            (all(Some(DAY)), "compact,delete", "-1", "-1", Some("cleanup.policy=delete")),
        ] {
            let found = complaint(keeps, policy, ms, bytes);
            let told = found.as_deref().and_then(|why| why.rsplit("set ").next());
            assert_eq!(told, set, "{keeps:?} {policy} {ms} {bytes}");
        }
    }
}
