//! Steps: calls as templates, and the calls that come of them, as data.

use std::fmt;
use std::time::Duration;

use toml::Value;

use super::expect::{self, Expect};
use super::fields::{self, Fields};
use super::problem::Found;
use super::template::{Allowed, Body, Unfit, Values, has_marks};
use super::unmet::Unmet;
use super::url_template::UrlTemplate;
use super::view::TicketView;
use crate::resolve::limits::LONGEST_RUN;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request asks only, so that asking again changes nothing (RFC 9110, 9.2.1).
    pub fn is_safe(self) -> bool {
        self == Self::Get
    }

    fn named(text: &str) -> Option<Self> {
        let all = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];
        all.into_iter().find(|method| method.as_str() == text)
    }
}

/// A call with everything filled in. Scheme, host and port are those of the playbook's literal.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    pub method: Method,
    pub url: String,
    pub host: String,
    pub port: u16,
    pub headers: Vec<(String, String)>,
    /// JSON, in UTF-8.
    pub body: Option<Vec<u8>>,
    /// Names a credential of the configuration.
    pub credential: Option<String>,
    pub timeout: Duration,
}

// Values of a ticket must never reach a log line.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} {}:{})", self.method.as_str(), self.host, self.port)
    }
}

/// A checked call template with its success condition.
#[derive(Clone, Debug)]
pub struct Step {
    pub name: String,
    pub method: Method,
    pub expect: Expect,
    pub timeout: Duration,
    pub credential: Option<String>,
    url: UrlTemplate,
    headers: Vec<(String, String)>,
    body: Option<Body>,
}

impl Step {
    /// The call with these values.
    ///
    /// # Errors
    /// [`Unfit`] when a value is missing or cannot be a path segment.
    pub fn call(&self, values: &Values<'_>) -> Result<Call, Unfit> {
        let mut headers = self.headers.clone();
        let body = self.body.as_ref().map(|body| body.fill(values)).transpose()?;
        let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if body.is_some() && !typed {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        Ok(Call {
            method: self.method,
            url: self.url.fill(values)?,
            host: self.url.host.clone(),
            port: self.url.port,
            headers,
            body: body.map(|body| body.to_string().into_bytes()),
            credential: self.credential.clone(),
            timeout: self.timeout,
        })
    }

    /// Scheme, host and port as written: `https://host` or `https://host:port`.
    pub fn origin(&self) -> &str {
        &self.url.origin
    }
}

/// `[verify]`: asked again and again until it holds or the time is over.
#[derive(Clone, Debug)]
pub struct Verify {
    pub step: Step,
    pub within: Duration,
    pub every: Duration,
}

/// `[unchanged]`: the ticket, read again just before acting.
#[derive(Clone, Debug)]
pub struct Unchanged {
    pub step: Step,
    /// JSON pointers into the answer and into the ticket, whose values must be equal.
    pub same: Vec<(String, String)>,
}

impl Unchanged {
    /// Whether an answer shows the ticket as it was. A value that is absent on either side is not
    /// the same.
    ///
    /// # Errors
    /// What differs.
    pub fn holds(&self, status: u16, body: &[u8], ticket: &TicketView<'_>) -> Result<(), Unmet> {
        self.step.expect.holds(status, body)?;
        let answer: serde_json::Value = serde_json::from_slice(body).map_err(|_| Unmet::NotJson)?;
        for (answered, at) in &self.same {
            let now = answer.pointer(answered).filter(|v| !v.is_null());
            if now.is_none() || now != ticket.at(at) {
                return Err(Unmet::Changed(at.clone()));
            }
        }
        Ok(())
    }
}

/// Headers that the caller or the connection sets, or that carry secrets.
pub const RESERVED_HEADERS: [&str; 19] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// Reads a step. `default_name` for one that stands alone and needs none.
pub(super) fn read(
    table: &mut Fields,
    default_name: Option<&str>,
    allowed: Allowed<'_>,
    found: &mut Found<'_>,
) -> Option<Step> {
    let name = match default_name {
        Some(name) => name.to_owned(),
        None => table.text("name", found),
    };
    if !name.is_empty() {
        fields::name(&table.path("name"), &name, found);
    }
    let method = table.text("method", found);
    let method = Method::named(&method).or_else(|| {
        if !method.is_empty() {
            found.add(table.path("method"), "must be GET, POST, PUT, PATCH or DELETE");
        }
        None
    });
    let url = table.text("url", found);
    let url = match url.as_str() {
        "" => None,
        url => UrlTemplate::read(&table.path("url"), url, allowed, found),
    };
    let headers = headers(table, found);
    let credential = table.optional_text("credential", found);
    if let Some(credential) = &credential {
        fields::name(&table.path("credential"), credential, found);
    }
    let path = table.path("body");
    let body = table.take("body").and_then(|body| match body {
        Value::Table(_) | Value::Array(_) => Body::read(&path, body, allowed, found),
        other => {
            fields::wrong(&path, "a table or a list", &other, found);
            None
        }
    });
    if body.is_some() && method == Some(Method::Get) {
        found.add(path, "must not be there: GET has no body");
    }
    let success = table.optional_table("success", found);
    let expect = expect::read(success, found);
    let timeout = table.optional_whole("timeout_ms", 100, 60_000, found).unwrap_or(10_000);
    let timeout = Duration::from_millis(timeout);
    Some(Step { name, method: method?, expect, timeout, credential, url: url?, headers, body })
}

fn headers(table: &mut Fields, found: &mut Found<'_>) -> Vec<(String, String)> {
    let Some(headers) = table.optional_table("headers", found) else { return Vec::new() };
    let base = headers.here().to_owned();
    let mut read = Vec::new();
    for (name, value) in headers.rest() {
        let path = format!("{base}.{name}");
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let Some(value) = fields::text(&path, value, found) else { continue };
        if !name.chars().all(token) || name.is_empty() {
            found.add(&path, "is no header name");
        } else if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            found.add(&path, "is set by the caller; secrets are named by `credential`");
        } else if has_marks(&value) {
            found.add(&path, "must be literal: nothing of a ticket goes into headers");
        } else if !value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            found.add(&path, "must be of visible ASCII characters");
        }
        read.push((name, value));
    }
    read
}

/// Reads `[verify]`.
pub(super) fn read_verify(
    table: Option<Fields>,
    allowed: Allowed<'_>,
    found: &mut Found<'_>,
) -> Option<Verify> {
    let mut table = table?;
    let step = read(&mut table, Some("verify"), allowed, found);
    if step.as_ref().is_some_and(|step| !step.method.is_safe()) {
        // It is asked again under one idempotency key, for which a runbook has one answer.
        found.add(table.path("method"), "must be GET: it only asks whether the effect is there");
    }
    let longest = i64::try_from(LONGEST_RUN.as_secs()).unwrap_or(i64::MAX);
    let within = table.optional_whole("within_seconds", 1, longest, found).unwrap_or(30);
    let every = table.optional_whole("every_seconds", 1, 60, found).unwrap_or(2);
    if every > within {
        found.add(table.path("every_seconds"), "must not be above within_seconds");
    }
    table.end(found);
    let (within, every) = (Duration::from_secs(within), Duration::from_secs(every));
    Some(Verify { step: step?, within, every })
}

/// Reads a table that is a step and nothing else.
pub(super) fn read_alone(
    table: Option<Fields>,
    name: &str,
    allowed: Allowed<'_>,
    found: &mut Found<'_>,
) -> Option<Step> {
    let mut table = table?;
    let step = read(&mut table, Some(name), allowed, found);
    table.end(found);
    step
}

/// Reads `[unchanged]`.
pub(super) fn read_unchanged(
    table: Option<Fields>,
    allowed: Allowed<'_>,
    found: &mut Found<'_>,
) -> Option<Unchanged> {
    let mut table = table?;
    let path = table.path("same");
    let step = read(&mut table, Some("unchanged"), allowed, found);
    if step.as_ref().is_some_and(|step| step.method != Method::Get) {
        found.add(table.path("method"), "must be GET: it only reads the ticket again");
    }
    let mut same = Vec::new();
    for mut item in table.tables("same", found) {
        let pointers = (item.text("pointer", found), item.text("ticket", found));
        fields::pointer(&item.path("pointer"), &pointers.0, found);
        fields::pointer(&item.path("ticket"), &pointers.1, found);
        item.end(found);
        same.push(pointers);
    }
    if same.is_empty() {
        found.add(path, "must name at least one value that has to be the same");
    }
    table.end(found);
    Some(Unchanged { step: step?, same })
}
