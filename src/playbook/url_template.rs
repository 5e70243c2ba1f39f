//! URLs: scheme, host and port are literal, values are whole path segments or query values.

use url::{Position, Url};

use super::problem::Found;
use super::template::{Allowed, Piece, Unfit, Values, has_marks};

/// Stands for a placeholder while a URL's structure is checked.
const STAND_IN: &str = "placeholder";

/// A checked URL with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UrlTemplate {
    /// `https://host` or `https://host:port`, in its normal form.
    pub origin: String,
    pub host: String,
    pub port: u16,
    segments: Vec<Piece>,
    query: Vec<(String, Piece)>,
}

impl UrlTemplate {
    pub fn read(
        path: &str,
        text: &str,
        allowed: Allowed<'_>,
        found: &mut Found<'_>,
    ) -> Option<Self> {
        let scheme = text.find("://").filter(|n| matches!(&text[..*n], "http" | "https"));
        let Some(scheme) = scheme else {
            found.add(path, "must begin with https:// or http://");
            return None;
        };
        let start = scheme + 3;
        let end = text[start..].find(['/', '?', '#', '\\']).map_or(text.len(), |n| start + n);
        if has_marks(&text[..end]) || text[start..end].contains('@') {
            let what = "must name the host literally: no placeholder, no user, no password";
            found.add(path, what);
            return None;
        }
        if text.contains('\\') {
            found.add(path, "must not have a \\: some parsers read it as a /");
            return None;
        }
        if text.contains('#') {
            found.add(path, "must not have a #fragment: it is never sent");
            return None;
        }
        let (in_path, in_query) = match text[end..].split_once('?') {
            Some((in_path, in_query)) => (in_path, Some(in_query)),
            None => (&text[end..], None),
        };
        let mut segments = Vec::new();
        for segment in in_path.split('/').skip(1) {
            segments.push(Piece::read(path, segment, allowed, found)?);
        }
        let mut query = Vec::new();
        for pair in in_query.into_iter().flat_map(|q| q.split('&')) {
            let Some((name, value)) = pair.split_once('=').filter(|(n, _)| !n.is_empty()) else {
                found.add(path, "must have its query as name=value, joined by &");
                return None;
            };
            if has_marks(name) {
                found.add(path, "must have literal names in its query");
                return None;
            }
            query.push((name.to_owned(), Piece::read(path, value, allowed, found)?));
        }
        let template =
            Self { origin: text[..end].to_owned(), host: String::new(), port: 0, segments, query };
        template.in_normal_form(path, found)
    }

    /// A URL that another parser could read in another way (`..`, `\`, upper-case hosts, `127.1`,
    /// default ports) is refused: what is written is what is called.
    fn in_normal_form(self, path: &str, found: &mut Found<'_>) -> Option<Self> {
        let written = self.joined(|_| Ok(STAND_IN.to_owned()), |_| Ok(STAND_IN.to_owned()));
        let written = written.unwrap_or_default();
        let url = match Url::parse(&written) {
            Ok(url) => url,
            Err(error) => {
                found.add(path, format!("is not a URL: {error}"));
                return None;
            }
        };
        if url.as_str() != written {
            found.add(path, format!("must be written in its normal form, as in {url}"));
            return None;
        }
        let host = url.host_str()?.to_owned();
        let port = url.port_or_known_default()?;
        let origin = url[..Position::BeforePath].to_owned();
        Some(Self { origin, host, port, ..self })
    }

    /// # Errors
    /// A value that is missing, or that cannot be a path segment.
    pub fn fill(&self, values: &Values<'_>) -> Result<String, Unfit> {
        let segment = |place: &_| {
            let value = values.need(place)?;
            // Encoding hides a dot segment from nobody: parsers and servers decode `%2e` first.
            let climbs = value.split(['/', '\\']).any(|part| part == "." || part == "..");
            if value.is_empty() || climbs || value.chars().any(char::is_control) {
                return Err(Unfit::Path(format!("{place}")));
            }
            Ok(encoded(&value))
        };
        self.joined(segment, |place| Ok(encoded(&values.need(place)?)))
    }

    fn joined(
        &self,
        segment: impl Fn(&super::template::Place) -> Result<String, Unfit>,
        value: impl Fn(&super::template::Place) -> Result<String, Unfit>,
    ) -> Result<String, Unfit> {
        let mut url = self.origin.clone();
        for piece in &self.segments {
            url.push('/');
            match piece {
                Piece::Literal(text) => url.push_str(text),
                Piece::Place(place) => url.push_str(&segment(place)?),
            }
        }
        for (i, (name, piece)) in self.query.iter().enumerate() {
            url.push(if i == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            match piece {
                Piece::Literal(text) => url.push_str(text),
                Piece::Place(place) => url.push_str(&value(place)?),
            }
        }
        Ok(url)
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
