//! What a caller is built from: plain data, checked.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;

use super::address::AddressFilter;
use super::breaker::BreakerRule;
use super::credential::Bound;
use super::retry::RetryRule;

/// A host that may be called: scheme, name and port, all exact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedHost {
    https: bool,
    host: String,
    port: u16,
}

impl AllowedHost {
    /// The host that `url` leads to.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
        Some(Self { https, host, port: url.port_or_known_default()? })
    }

    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The name or address; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What metrics call it: name and port.
    pub fn label(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for AllowedHost {
    type Err = String;

    /// Reads `host`, `host:port` (both https), or `http://host:port` for one without TLS.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "{text:?} is not a host: write \"name\" or \"name:port\", or \"http://name:port\" \
                 for one without TLS"
            )
        };
        let plain = text.strip_prefix("http://");
        let rest = plain.unwrap_or(text);
        if rest.contains(['/', '\\', '@', '?', '#', '*', '%', ' ']) || rest.is_empty() {
            return Err(form());
        }
        let scheme = if plain.is_some() { "http" } else { "https" };
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| form())?;
        let port_is_written =
            rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if plain.is_some() && !port_is_written {
            return Err(form());
        }
        Self::of(&url).ok_or_else(form)
    }
}

/// Everything a caller needs to know. `new` gives the defaults.
#[derive(Clone, Debug)]
pub struct CallerSettings {
    /// The only hosts that are ever called.
    pub hosts: Vec<AllowedHost>,
    pub addresses: AddressFilter,
    pub credentials: BTreeMap<String, Bound>,
    /// The only authorities that are trusted (PEM), in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection, TLS included, may take to stand.
    pub connect_timeout: Duration,
    /// How long a call may take with all its requests and waits. A request begins only while its
    /// whole timeout still fits.
    pub deadline: Duration,
    /// The largest answer that is read.
    pub answer_bytes: usize,
    pub retries: RetryRule,
    pub breaker: BreakerRule,
    /// Requests in flight at once, for each host.
    pub in_flight: NonZeroU32,
    /// Requests a minute, for each host.
    pub per_minute: NonZeroU32,
    /// Requests that may follow each other at once, for each host.
    pub burst: NonZeroU32,
}

impl CallerSettings {
    /// The defaults, for these hosts.
    pub fn new(hosts: Vec<AllowedHost>) -> Self {
        const fn count(n: u32) -> NonZeroU32 {
            match NonZeroU32::new(n) {
                Some(n) => n,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            hosts,
            addresses: AddressFilter::default(),
            credentials: BTreeMap::new(),
            ca_file: None,
            connect_timeout: Duration::from_secs(2),
            deadline: Duration::from_secs(60),
            answer_bytes: 64 * 1024,
            retries: RetryRule::default(),
            breaker: BreakerRule::default(),
            in_flight: const { count(16) },
            per_minute: const { count(600) },
            burst: const { count(60) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_exact_and_https_unless_they_say_otherwise() {
        for (text, https, label) in [
            ("Runbooks.example", true, "runbooks.example:443"),
            ("runbooks.example:8443", true, "runbooks.example:8443"),
            ("http://runbooks.example:80", false, "runbooks.example:80"),
            ("http://127.0.0.1:8080", false, "127.0.0.1:8080"),
            ("[::1]:8443", true, "[::1]:8443"),
            ("0x7f.1", true, "127.0.0.1:443"),
        ] {
            let host: AllowedHost = text.parse().unwrap();
            assert_eq!((host.is_https(), host.label().as_str()), (https, label), "{text}");
        }
    }

    #[test]
    fn anything_but_a_host_is_refused() {
        for text in [
            "",
            "*",
            "*.example",
            "http://runbooks.example",
            "https://runbooks.example",
            "runbooks.example/path",
            "user@runbooks.example",
            "runbooks.example:99999",
            "runbooks.example:port",
            "runbooks.example?x",
            "ftp://runbooks.example:21",
            "a b",
        ] {
            assert!(text.parse::<AllowedHost>().is_err(), "{text}");
        }
    }
}
