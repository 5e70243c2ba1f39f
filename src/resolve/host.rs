//! Which hosts may be called: those that the settings list, each with its scheme and its port.

use std::str::FromStr;

use url::Url;

/// A host that may be called: scheme, name and port, all exact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedHost {
    https: bool,
    host: String,
    port: u16,
}

impl AllowedHost {
    /// The host that `url` leads to.
    pub fn of(url: &Url) -> Option<Self> {
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
