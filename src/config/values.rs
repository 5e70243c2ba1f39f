//! What values must look like where their type does not say it.

use tracing_subscriber::EnvFilter;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The longest name of a Kafka topic.
pub(super) const TOPIC_LENGTH: usize = 249;

/// Whether all of this can be in a topic's name, a part of one, or a metric label.
pub(super) fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Whether Kafka takes this as a topic's name.
pub(super) fn is_topic(name: &str) -> bool {
    (1..=TOPIC_LENGTH).contains(&name.len()) && is_plain(name) && !matches!(name, "." | "..")
}

/// Whether this is a URI reference (RFC 3986), which CloudEvents want for a source, as far as its
/// characters tell.
pub(super) fn is_uri_reference(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    let hex = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    let first = text.split(['/', '?', '#']).next().unwrap_or_default();
    let scheme = first.split_once(':').map(|(scheme, _)| scheme);
    text.chars().all(allowed)
        && text.split('%').skip(1).all(hex)
        && text.matches('#').count() <= 1
        // Only a host can have them.
        && (text.contains("//[") || !text.contains(['[', ']']))
        && scheme.is_none_or(is_scheme)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Directives for logs, without blanks around them.
///
/// # Errors
/// What is wrong with them. `EnvFilter` takes a word that is no level for a target and shows that
/// alone, so a mistyped level would switch all logs off.
pub(super) fn directives(text: &str) -> Result<String, String> {
    let directives: Vec<&str> = text.split(',').map(str::trim).filter(|d| !d.is_empty()).collect();
    let levels = LEVELS.join(", ");
    if directives.is_empty() {
        return Err(format!("must not be empty: a level is one of {levels}"));
    }
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let is_bare = |directive: &str| !directive.contains(['=', '[']);
    if let Some(word) = directives.iter().find(|d| is_bare(d) && !is_level(d)) {
        return Err(format!(
            "{word:?} is no level: there are {levels}; for one target write target=level"
        ));
    }
    let directives = directives.join(",");
    match directives.parse::<EnvFilter>() {
        Ok(_) => Ok(directives),
        Err(_) => Err(format!(
            "must be a level ({levels}) or filter directives, such as \"info,librdkafka=warn\""
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_the_names_that_kafka_takes() {
        let (longest, longer) = ("t".repeat(249), "t".repeat(250));
        for good in ["a", "tickets.new", "A_b-1.2", "...", longest.as_str()] {
            assert!(is_topic(good), "{good}");
        }
        for bad in ["", ".", "..", "a b", "köln", "a/b", longer.as_str()] {
            assert!(!is_topic(bad), "{bad}");
        }
    }

    #[test]
    fn sources_are_uri_references() {
        for good in [
            "/triaged",
            "triaged",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "https://desk.example.com:8443/a%20b?x=1#y",
            "mailto:desk@example.com",
            "http://[::1]/triaged",
        ] {
            assert!(is_uri_reference(good), "{good}");
        }
        for bad in ["a b", "a\tb", "ü", "a%2", "a%zz", "1a:b", "a#b#c", "a[1]", "<a>", "a\\b"] {
            assert!(!is_uri_reference(bad), "{bad}");
        }
    }

    #[test]
    fn a_mistyped_level_is_no_target() {
        assert_eq!(directives("INFO"), Ok("INFO".into()));
        assert_eq!(
            directives(" info , librdkafka=warn,[span]=debug,"),
            Ok("info,librdkafka=warn,[span]=debug".into())
        );
        for bad in ["warning", "inof", "info,librdkafka", "", " ", ",", "3", "librdkafka=warning"] {
            let what = directives(bad).expect_err(bad);
            assert!(what.contains("off, error, warn, info, debug, trace"), "{bad}: {what}");
        }
    }
}
