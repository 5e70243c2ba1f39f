//! The endpoint for people: kill and resume, playbooks off and on, undo. POST only, with a bearer
//! token from a file. What it does is a record in the control topic or among the actions, so every
//! instance hears of it, and a restart forgets nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::{AdminLimits, Listener};
use crate::config::Config;
use crate::log::NewRecord;
use crate::metrics::Metrics;
use crate::resolve::control::{Order, Switch};
use crate::undo::{self, Which};

/// A token is at least so long, so that nobody guesses it.
const SHORTEST_TOKEN: usize = 16;

struct Shared {
    config: Config,
    token_file: PathBuf,
    playbooks: Vec<String>,
    metrics: Arc<Metrics>,
}

/// What a call may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// Who calls, for the record.
    by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Undo {
    by: Option<String>,
    which: Which,
}

/// The running endpoint; dropping it closes every connection.
pub struct Control(Listener);

impl Control {
    /// Listens for people's orders.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub fn start(
        config: &Config,
        token_file: PathBuf,
        playbooks: Vec<String>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(config.control.listen)?;
        let shared = Arc::new(Shared { config: config.clone(), token_file, playbooks, metrics });
        let router = Router::new()
            .route("/kill", post(kill))
            .route("/resume", post(resume))
            .route("/playbooks/{id}/off", post(off))
            .route("/playbooks/{id}/on", post(on))
            .route("/undo", post(take_back))
            .fallback(async || (StatusCode::NOT_FOUND, "no such order\n"))
            .with_state(shared);
        Listener::start("control", listener, router, AdminLimits::default()).map(Self)
    }

    /// Where it listens, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

async fn kill(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.switch("kill", Switch::Everything, false, &headers, &body).await
}

async fn resume(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.switch("resume", Switch::Everything, true, &headers, &body).await
}

async fn off(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.switch("off", Switch::Playbook(id), false, &headers, &body).await
}

async fn on(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.switch("on", Switch::Playbook(id), true, &headers, &body).await
}

async fn take_back(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refused) = shared.refused("undo", &headers) {
        return refused;
    }
    let Undo { by, which } = match serde_json::from_slice(&body) {
        Ok(undo) => undo,
        Err(error) => return shared.bad("undo", &error.to_string()),
    };
    let by = by.unwrap_or_else(unnamed);
    let worker = Arc::clone(&shared);
    let ordered = tokio::task::spawn_blocking(move || undo::order(&worker.config, &which, &by));
    match ordered.await.map_err(|e| e.to_string()).and_then(|o| o.map_err(|e| e.to_string())) {
        Ok(tickets) => shared.done("undo", &json!({ "ordered": tickets })),
        Err(error) => shared.failed("undo", &error),
    }
}

impl Shared {
    async fn switch(
        self: Arc<Self>,
        call: &'static str,
        switch: Switch,
        on: bool,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response {
        if let Some(refused) = self.refused(call, headers) {
            return refused;
        }
        if let Switch::Playbook(id) = &switch
            && !self.playbooks.contains(id)
        {
            return self.bad(call, &format!("there is no playbook {id:?}"));
        }
        let said = if body.is_empty() { Ok(Said::default()) } else { serde_json::from_slice(body) };
        let by = match said {
            Ok(Said { by }) => by.unwrap_or_else(unnamed),
            Err(error) => return self.bad(call, &error.to_string()),
        };
        let order = Order { switch, on, by, at_ms: Timestamp::now().as_millisecond() };
        let worker = Arc::clone(&self);
        let written = tokio::task::spawn_blocking(move || write(&worker.config, &order));
        match written.await.map_err(|e| e.to_string()).and_then(|w| w) {
            Ok(()) => self.done(call, &json!({ "done": call })),
            Err(error) => self.failed(call, &error),
        }
    }

    /// The answer to a caller without the token; the file is read for every call.
    fn refused(&self, call: &'static str, headers: &HeaderMap) -> Option<Response> {
        let token = std::fs::read_to_string(&self.token_file).unwrap_or_default();
        let token = token.trim();
        let shown = headers.get(header::AUTHORIZATION).map_or(&b""[..], |v| v.as_bytes());
        let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
        if token.len() >= SHORTEST_TOKEN && bool::from(shown.ct_eq(token.as_bytes())) {
            return None;
        }
        self.record(call, "refused");
        Some((StatusCode::UNAUTHORIZED, "a bearer token is needed\n").into_response())
    }

    fn bad(&self, call: &'static str, what: &str) -> Response {
        self.record(call, "bad");
        (StatusCode::BAD_REQUEST, format!("{what}\n")).into_response()
    }

    fn failed(&self, call: &'static str, what: &str) -> Response {
        self.record(call, "failed");
        tracing::error!(call, error = what, "an order could not be written");
        (StatusCode::SERVICE_UNAVAILABLE, format!("{what}\n")).into_response()
    }

    fn done(&self, call: &'static str, answer: &serde_json::Value) -> Response {
        self.record(call, "done");
        let body = format!("{answer}\n");
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }

    fn record(&self, call: &'static str, result: &'static str) {
        tracing::warn!(call, result, "the control endpoint was called");
        self.metrics.resolve.control_calls.with_label_values(&[call, result]).inc();
    }
}

fn unnamed() -> String {
    String::from("control endpoint")
}

/// Writes an order into the control topic, which every instance reads.
///
/// # Errors
/// Why it could not be written.
pub fn write(config: &Config, order: &Order) -> Result<(), String> {
    let record = NewRecord {
        key: Some(order.key().into_bytes()),
        value: serde_json::to_vec(order).ok(),
        ..NewRecord::default()
    };
    let topic = &config.resolve.topics.control;
    crate::topics::put(config, topic, [record]).map(|_| ()).map_err(|e| e.to_string())
}
