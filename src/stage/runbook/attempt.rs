//! One request and its answer: what is sent, how much is read, what an error means.

use std::error::Error;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Request, Url};
use rustls::AlertDescription;

use super::dns::AllForbidden;
use super::failure::Failure;
use super::retry::retry_after;
use crate::playbook::{Call, Method, RESERVED_HEADERS};

/// What came back.
pub(super) struct Reply {
    pub status: u16,
    /// What `Retry-After` asks for.
    pub asked: Option<Duration>,
    pub body: Vec<u8>,
}

/// The URL of a call, if it leads where the call says and hides nothing.
pub(super) fn target(call: &Call) -> Result<Url, Failure> {
    // The parser drops tabs and line ends silently: nothing that was meant holds them.
    if call.url.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(Failure::InvalidCall("the URL holds blanks or control characters"));
    }
    let url = Url::parse(&call.url).map_err(|_| Failure::InvalidCall("the URL cannot be read"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::InvalidCall("the URL holds a user or password"));
    }
    let same_host = url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(&call.host));
    if !same_host || url.port_or_known_default() != Some(call.port) {
        return Err(Failure::InvalidCall("the URL leads to another host than the playbook's"));
    }
    Ok(url)
}

/// The headers of a call with its idempotency key.
pub(super) fn headers(call: &Call, key: &str) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Failure::InvalidCall("a header's name is not one"))?;
        if RESERVED_HEADERS.contains(&name.as_str()) {
            return Err(Failure::InvalidCall("a header that only the caller may set"));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| Failure::InvalidCall("a header's value holds what none may hold"))?;
        headers.append(name, value);
    }
    if call.body.is_some() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if !call.method.is_safe() {
        // A structured-header string (RFC 8941) of the characters that need no escape.
        let plain = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
        let quoted = HeaderValue::from_str(&format!("\"{key}\""));
        match quoted {
            Ok(value) if !key.is_empty() && key.bytes().all(plain) => {
                headers.insert("idempotency-key", value);
            }
            _ => return Err(Failure::InvalidCall("the idempotency key is not plain text")),
        }
    }
    Ok(headers)
}

pub(super) fn request(call: &Call, url: Url, headers: HeaderMap) -> Request {
    let method = match call.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    };
    let mut request = Request::new(method, url);
    *request.headers_mut() = headers;
    *request.body_mut() = call.body.clone().map(Into::into);
    *request.timeout_mut() = Some(call.timeout);
    request
}

/// Sends it and reads the answer, up to `limit` bytes of body.
pub(super) async fn send(
    client: &Client,
    request: Request,
    limit: usize,
) -> Result<Reply, Failure> {
    let mut response = client.execute(request).await.map_err(|error| meaning(&error))?;
    let announced = response.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err(Failure::BodyTooLarge);
    }
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|value| retry_after(value, Timestamp::now()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| meaning(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(Failure::BodyTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status: response.status().as_u16(), asked, body })
}

/// What an error of the HTTP client means. Its own text is not used: it holds the URL.
fn meaning(error: &reqwest::Error) -> Failure {
    let tls = cause::<rustls::Error>(error);
    if cause::<AllForbidden>(error).is_some() {
        Failure::AddressForbidden
    } else if error.is_builder() {
        Failure::InvalidCall("the HTTP client refuses it")
    } else if error.is_connect() {
        if tls.is_some() { Failure::Tls } else { Failure::Connect }
    } else if error.is_timeout() {
        Failure::Timeout
    } else if let Some(rustls::Error::AlertReceived(alert)) = tls
        && refuses_our_certificate(*alert)
    {
        Failure::Tls
    } else {
        Failure::Truncated
    }
}

/// In TLS 1.3 a server judges our certificate after our side takes the connection for made. Its
/// alert still comes before it has read anything of the request.
fn refuses_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::AccessDenied
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate
    )
}

/// The first error of type `T` among the causes. `io::Error` hides the error it wraps from
/// `source`, so it is opened.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests;
