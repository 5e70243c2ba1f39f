//! The endpoint for people: kill and resume, playbooks off and on, undo. POST only, with a bearer
//! token from a file. What it does is a record in the control topic or among the actions, so every
//! instance hears of it, and a restart forgets nothing. What stops calls stops them in this process
//! before that record is written, which has to wait for brokers that are away.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use super::{AdminLimits, Listener, REQUEST_BYTES, token};
use crate::clock::now_ms;
use crate::config::Config;
use crate::controls::Controls;
use crate::log::NewRecord;
use crate::metrics::Metrics;
use crate::resolve::control::{Order, Switch};
use crate::undo::{self, UndoError, Which};

/// For those who call something else.
const ORDERS: &str = "there is no such order; there are POST /kill, /resume, /playbooks/ID/off, \
                      /playbooks/ID/on and /undo";

struct Shared {
    config: Config,
    token_file: PathBuf,
    playbooks: Vec<String>,
    controls: Option<Arc<Controls>>,
    metrics: Arc<Metrics>,
    body_timeout: Duration,
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
    /// Listens for people's orders. `controls` are the switches of the calls that this process
    /// makes, if it makes any.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub fn start(
        config: &Config,
        token_file: PathBuf,
        playbooks: Vec<String>,
        controls: Option<Arc<Controls>>,
        metrics: Arc<Metrics>,
        limits: AdminLimits,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(config.control.listen)?;
        let body_timeout = limits.body_timeout;
        let config = config.clone();
        let shared =
            Arc::new(Shared { config, token_file, playbooks, controls, metrics, body_timeout });
        let router = Router::new().fallback(hear).with_state(shared);
        // How long an order takes is up to the log; who gave it shall hear what came of it.
        let limits = AdminLimits { connection_timeout: None, ..limits };
        Listener::start("control", listener, router, limits).map(Self)
    }

    /// Where it listens, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

async fn hear(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Some(call) = Call::at(head.uri.path()) else {
        // The path is anybody's text, and may be a ticket's or a secret: it is not logged.
        return shared.answer("unknown", None, Came::not("bad", StatusCode::NOT_FOUND, ORDERS));
    };
    let name = call.name();
    let job = match shared.read(call, &head, body).await {
        Ok(job) => job,
        Err(came) => return shared.answer(name, None, came),
    };
    // At once: writing the order may take as long as the brokers are away.
    shared.stop_here(&job);
    // Carried out and noted to the end, even if nobody waits for the answer any more.
    let worker = Arc::clone(&shared);
    let answered = tokio::task::spawn_blocking(move || {
        let came = job.carry_out(name, &worker);
        worker.answer(name, Some(&job), came)
    });
    answered.await.unwrap_or_else(|error| {
        let came = Came::not("failed", StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        shared.answer(name, None, came)
    })
}

/// What a call asks for, by its path.
enum Call {
    Switch { name: &'static str, switch: Switch, on: bool },
    Undo,
}

impl Call {
    fn at(path: &str) -> Option<Self> {
        let everything = |name, on| Self::Switch { name, switch: Switch::Everything, on };
        let playbook = |name, id: &str, on| {
            let switch = Switch::Playbook(id.to_owned());
            Self::Switch { name, switch, on }
        };
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        Some(match parts.as_slice() {
            ["kill"] => everything("kill", false),
            ["resume"] => everything("resume", true),
            ["playbooks", id, "off"] => playbook("off", id, false),
            ["playbooks", id, "on"] => playbook("on", id, true),
            ["undo"] => Self::Undo,
            _ => return None,
        })
    }

    /// As the metric has it.
    fn name(&self) -> &'static str {
        match self {
            Self::Switch { name, .. } => name,
            Self::Undo => "undo",
        }
    }
}

/// An order, ready to be carried out.
enum Job {
    Switch(Order),
    Undo { which: Which, by: String },
}

impl Job {
    fn read(call: Call, body: &[u8], playbooks: &[String]) -> Result<Self, String> {
        match call {
            Call::Switch { switch: Switch::Playbook(id), .. } if !playbooks.contains(&id) => {
                Err(format!("there is no playbook {id:?}"))
            }
            Call::Switch { switch, on, .. } => {
                let said: Said = match body {
                    [] => Said::default(),
                    body => serde_json::from_slice(body).map_err(|e| e.to_string())?,
                };
                let by = said.by.unwrap_or_else(unnamed);
                let at_ms = now_ms();
                Ok(Self::Switch(Order { switch, on, by, at_ms }))
            }
            Call::Undo => {
                let said: Undo = serde_json::from_slice(body).map_err(|e| e.to_string())?;
                said.which.check(playbooks).map_err(|e| e.to_string())?;
                Ok(Self::Undo { which: said.which, by: said.by.unwrap_or_else(unnamed) })
            }
        }
    }

    fn carry_out(&self, name: &str, shared: &Shared) -> Came {
        let failed = |why: String| Came::not("failed", StatusCode::SERVICE_UNAVAILABLE, why);
        let done = match self {
            Self::Switch(order) => write(&shared.config, order)
                .map(|()| (json!({ "done": name }), String::from("the order is written")))
                .map_err(|why| failed(not_recorded(order, shared.controls.is_some(), &why))),
            Self::Undo { which, by } => undo::order(&shared.config, which, by)
                .map(|tickets| {
                    let what = format!("{} undo orders are written", tickets.len());
                    (json!({ "ordered": tickets }), what)
                })
                .map_err(|error| match error {
                    UndoError::Nothing(why) => {
                        Came::not("bad", StatusCode::NOT_FOUND, why.to_string())
                    }
                    UndoError::Topic(error) => failed(error.to_string()),
                }),
        };
        match done {
            Ok((answer, what)) => {
                Came { result: "done", status: StatusCode::OK, answer: answer.to_string(), what }
            }
            Err(came) => came,
        }
    }

    /// Who gives it.
    fn by(&self) -> &str {
        match self {
            Self::Switch(Order { by, .. }) | Self::Undo { by, .. } => by,
        }
    }

    /// The playbook or the ticket that it is about.
    fn about(&self) -> &str {
        match self {
            Self::Switch(Order { switch: Switch::Everything, .. }) => "everything",
            Self::Switch(Order { switch: Switch::Playbook(id), .. })
            | Self::Undo { which: Which::Ticket(id) | Which::Playbook { id, .. }, .. } => id,
        }
    }
}

/// What came of a call.
struct Came {
    /// As the metric has it.
    result: &'static str,
    status: StatusCode,
    /// The body of the answer.
    answer: String,
    /// The same for the log, without lists.
    what: String,
}

impl Came {
    fn not(result: &'static str, status: StatusCode, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { result, status, answer: why.clone(), what: why }
    }
}

impl Shared {
    /// The order that a call gives. Nothing of its body is read before the token is seen.
    async fn read(&self, call: Call, head: &Parts, body: Body) -> Result<Job, Came> {
        let bad = |status, why: String| Came::not("bad", status, why);
        // Read for every call, so that a new token counts from the next call on.
        let token = token::read(&self.token_file).map_err(|error| {
            let what = format!("nobody is heard: {error}; the kill file stops all calls meanwhile");
            Came::not("failed", StatusCode::SERVICE_UNAVAILABLE, what)
        })?;
        if !shows(&head.headers, &token) {
            let what = "a bearer token is needed";
            return Err(Came::not("refused", StatusCode::UNAUTHORIZED, what));
        }
        if head.method != Method::POST {
            let what = format!("orders are given by POST, not {}", head.method);
            return Err(bad(StatusCode::METHOD_NOT_ALLOWED, what));
        }
        let body = to_bytes(body, REQUEST_BYTES);
        let body = match tokio::time::timeout(self.body_timeout, body).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                let what = format!("an order is whole and has at most {REQUEST_BYTES} bytes");
                return Err(bad(StatusCode::PAYLOAD_TOO_LARGE, what));
            }
            Err(_) => {
                let what = String::from("the order did not come whole in time");
                return Err(bad(StatusCode::REQUEST_TIMEOUT, what));
            }
        };
        Job::read(call, &body, &self.playbooks).map_err(|why| bad(StatusCode::BAD_REQUEST, why))
    }

    /// Stops in this process what an order stops. What it lets go again waits for the record.
    fn stop_here(&self, job: &Job) {
        if let (Some(controls), Job::Switch(order)) = (&self.controls, job) {
            controls.stop_here(order);
        }
    }

    /// Notes what came of a call, and answers it.
    fn answer(&self, call: &'static str, job: Option<&Job>, came: Came) -> Response {
        let Came { result, status, answer, what } = came;
        let (by, about) = job.map_or(("", ""), |job| (job.by(), job.about()));
        tracing::warn!(call, result, by, about, what, "the control endpoint was called");
        self.metrics.resolve.control_calls.with_label_values(&[call, result]).inc();
        let mut response = (status, answer + "\n").into_response();
        if status == StatusCode::OK {
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// Whether a caller shows the token.
fn shows(headers: &HeaderMap, token: &str) -> bool {
    let shown = headers.get(header::AUTHORIZATION).map_or(&b""[..], |v| v.as_bytes());
    let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
    shown.ct_eq(token.as_bytes()).into()
}

/// What stands after a switch could not be recorded, and what to do. `calls` says whether this
/// process calls runbooks at all.
fn not_recorded(order: &Order, calls: bool, why: &str) -> String {
    let stands = match (order.on, calls) {
        (true, _) => "nothing goes again: repeat it",
        (false, true) => {
            "it is stopped in this process only, and only as long as that runs: repeat it, or put \
             the kill file (resolve.kill_file) on every instance, which stops all calls"
        }
        (false, false) => {
            "nothing is stopped, as this process calls no runbooks: repeat it, or put the kill \
             file (resolve.kill_file) on every instance that does, which stops all calls"
        }
    };
    format!("the order was not recorded; {stands} ({why})")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Labels;

    #[test]
    fn an_undo_that_finds_nothing_is_answered_with_why() {
        let folder = tempfile::tempdir().unwrap();
        let dir = format!("embedded.dir={}", folder.path().display());
        let none: [(String, String); 0] = [];
        let sets = [String::from("log.kind=embedded"), dir];
        let config = Config::from_layers(None, none, &sets).unwrap();
        let outcome = NewRecord { value: Some(b"{}".to_vec()), ..NewRecord::default() };
        crate::topics::put(&config, &config.resolve.topics.outcomes, [outcome]).unwrap();
        let shared = Shared {
            config,
            token_file: folder.path().join("token"),
            playbooks: vec![String::from("p")],
            controls: None,
            metrics: Metrics::new(&Labels::default(), 1).unwrap(),
            body_timeout: Duration::from_secs(1),
        };
        for (body, says) in [
            (
                r#"{"which":{"ticket":"T-1"}}"#,
                "no outcome of ticket T-1 was found in tickets.outcomes",
            ),
            // Its end is now, as on the command line.
            (
                r#"{"which":{"playbook":{"id":"p","from":"1970-01-01T00:00:00Z"}}}"#,
                "no outcome of playbook p from 1970-01-01T00:00:00Z to ",
            ),
        ] {
            let job = Job::read(Call::Undo, body.as_bytes(), &shared.playbooks).unwrap();
            let came = job.carry_out("undo", &shared);
            assert_eq!((came.status, came.result), (StatusCode::NOT_FOUND, "bad"), "{body}");
            assert!(came.answer.starts_with(says), "{says}: {}", came.answer);
        }
    }
}
