//! Runbooks to try playbooks on: accounts, virtual desktops, VPN profiles and printers that exist in
//! memory only, with idempotency keys, a desk's tickets, and failures on request. The demonstration
//! plays them, and `examples/runbooks.rs` serves them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::playbook::{Approval, LOCK_FILE, Refused, TextFile, approve};
use crate::sync::lock;

/// The playbooks that ship.
const PLAYBOOKS: [(&str, &str); 4] = [
    ("unlock_account", include_str!("../examples/playbooks/unlock_account.toml")),
    ("reset_virtual_desktop", include_str!("../examples/playbooks/reset_virtual_desktop.toml")),
    ("resend_vpn_profile", include_str!("../examples/playbooks/resend_vpn_profile.toml")),
    ("clear_print_queue", include_str!("../examples/playbooks/clear_print_queue.toml")),
];

/// Where they call.
const WRITTEN: &str = "127.0.0.1:8199";

/// How the runbooks are played.
#[derive(Default)]
pub struct Runbooks {
    /// The desk's tickets by id, for the endpoint that reads one again.
    pub tickets: BTreeMap<String, Value>,
    /// Runbooks that answer with status 500: unlock, lock, reset, send, revoke or clear.
    pub fail: BTreeSet<String>,
    /// How long each answer takes.
    pub slow: Duration,
    /// Hears of every request, in one line.
    pub told: Option<fn(&str)>,
}

impl Runbooks {
    /// Serves them until the listener fails.
    ///
    /// # Errors
    /// When the listener cannot be used any more.
    pub async fn serve(self, listener: tokio::net::TcpListener) -> std::io::Result<()> {
        let Self { tickets, fail, slow, told } = self;
        let world = Mutex::new(World { tickets, ..World::default() });
        let server = Arc::new(Server { world, fail, slow, told });
        axum::serve(listener, Router::new().fallback(handle).with_state(server)).await
    }

    /// Serves them on a free port of this machine, as long as the process lives; that port.
    ///
    /// # Errors
    /// When there is no port or no thread to be had.
    pub fn start(self) -> std::io::Result<u16> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(String::from("runbooks")).spawn(move || {
            runtime
                .block_on(async { self.serve(tokio::net::TcpListener::from_std(listener)?).await })
        })?;
        Ok(port)
    }
}

/// Why playbooks could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExampleError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Writes the playbooks that ship into a new folder: live, approved for today, and calling a port of
/// this machine.
///
/// # Errors
/// [`ExampleError`] if a file cannot be written.
pub fn write_approved(folder: &Path, port: u16) -> Result<(), ExampleError> {
    std::fs::create_dir_all(folder)?;
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    // A run that begins before midnight may end after it.
    let until = today.tomorrow().unwrap_or(today);
    let approval = Approval { approver: String::from("the demonstration"), until };
    let file = |(id, text): &(&str, &str)| TextFile {
        name: format!("{id}.toml"),
        text: text
            .replace("mode = \"dry-run\"", "mode = \"live\"")
            .replace(WRITTEN, &format!("127.0.0.1:{port}")),
    };
    let mut files: Vec<TextFile> = PLAYBOOKS.iter().map(file).collect();
    let mut lock: Option<String> = None;
    for (i, (id, _)) in PLAYBOOKS.iter().enumerate() {
        let (file, locked) = approve(&files, lock.as_deref(), id, &approval, today)?;
        files[i] = file;
        lock = Some(locked);
    }
    for file in &files {
        std::fs::write(folder.join(&file.name), &file.text)?;
    }
    Ok(std::fs::write(folder.join(LOCK_FILE), lock.unwrap_or_default())?)
}

/// A key that was seen: for which request, and its answer once there is one.
struct Seen {
    request: String,
    answer: Option<(StatusCode, Value)>,
}

#[derive(Default)]
struct World {
    /// By user: whether it is locked. Users are locked until they are unlocked.
    accounts: BTreeMap<String, bool>,
    /// By host: how often its session was reset. Sessions are stuck until then.
    resets: BTreeMap<String, u64>,
    /// By user: whether a profile was sent and its link still works.
    profiles: BTreeMap<String, bool>,
    /// By printer: its jobs. There are three until the queue is cleared.
    jobs: BTreeMap<String, u64>,
    tickets: BTreeMap<String, Value>,
    keys: BTreeMap<String, Seen>,
    /// By idempotency key: how often it changed something.
    effects: BTreeMap<String, u64>,
}

impl World {
    /// What a runbook answers, and what it changes. None: there is no such runbook.
    fn act(&mut self, method: &str, path: &[&str], body: &Value) -> Option<(u16, Value)> {
        let answer = match (method, path) {
            ("GET", ["accounts", user]) => {
                let locked = self.accounts.get(*user).copied().unwrap_or(true);
                json!({"user": user, "locked": locked})
            }
            ("POST", ["accounts", user, what @ ("lock" | "unlock")]) => {
                self.accounts.insert((*user).to_owned(), *what == "lock");
                json!({"user": user, "locked": *what == "lock"})
            }
            ("GET", ["vdi", host]) => {
                let session = if self.resets.contains_key(*host) { "ready" } else { "stuck" };
                json!({"host": host, "session": session})
            }
            ("POST", ["vdi", host, "reset"]) => {
                *self.resets.entry((*host).to_owned()).or_default() += 1;
                json!({"host": host, "session": "ready"})
            }
            ("GET", ["vpn", "profiles", user]) => {
                json!({"user": user, "sent": self.profiles.get(*user).copied().unwrap_or(false)})
            }
            ("POST", ["vpn", "profiles"]) => {
                let Some(user) = body["user"].as_str() else {
                    return Some((422, json!({"error": "the body needs a user"})));
                };
                self.profiles.insert(user.to_owned(), true);
                return Some((202, json!({"user": user, "sent": true})));
            }
            ("POST", ["vpn", "profiles", user, "revoke"]) => {
                self.profiles.insert((*user).to_owned(), false);
                json!({"user": user, "sent": false})
            }
            ("GET", ["printers", printer]) => {
                json!({"printer": printer, "jobs": self.jobs.get(*printer).copied().unwrap_or(3)})
            }
            ("DELETE", ["printers", printer, "jobs"]) => {
                self.jobs.insert((*printer).to_owned(), 0);
                json!({"printer": printer, "jobs": 0})
            }
            ("GET", ["tickets", id]) => match self.tickets.get(*id) {
                Some(ticket) => ticket.clone(),
                None => return Some((404, json!({"error": "no such ticket"}))),
            },
            _ => return None,
        };
        Some((200, answer))
    }

    /// A person at the desk edits a ticket, so that it is no longer the one that was triaged.
    fn edit(&mut self, id: &str) -> (StatusCode, Value) {
        match self.tickets.get_mut(id) {
            Some(ticket) => {
                ticket["updated_at"] = json!("2026-11-02T12:00:00Z");
                (StatusCode::OK, ticket.clone())
            }
            None => (StatusCode::NOT_FOUND, json!({"error": "no such ticket"})),
        }
    }

    fn state(&self) -> Value {
        json!({
            "accounts_locked": self.accounts,
            "session_resets": self.resets,
            "profiles_sent": self.profiles,
            "printer_jobs": self.jobs,
            "effects_by_key": self.effects,
        })
    }
}

struct Server {
    world: Mutex<World>,
    fail: BTreeSet<String>,
    slow: Duration,
    told: Option<fn(&str)>,
}

/// The runbook's name, for `--fail`.
fn name(method: &str, path: &[&str]) -> String {
    match (method, path) {
        ("POST", ["vpn", "profiles"]) => "send".to_owned(),
        ("DELETE", _) => "clear".to_owned(),
        (_, [.., last]) => (*last).to_owned(),
        _ => String::new(),
    }
}

impl Server {
    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    async fn answer(
        &self,
        method: &str,
        uri: &Uri,
        key: Option<&str>,
        body: &[u8],
    ) -> (StatusCode, Value) {
        let path: Vec<&str> = uri.path().split('/').skip(1).collect();
        match (method, &path[..]) {
            ("GET", ["state"]) => return (StatusCode::OK, self.world().state()),
            // What people do needs no key.
            ("POST", ["tickets", id, "edit"]) => return self.world().edit(id),
            _ => {}
        }
        if method != "GET" && self.fail.contains(&name(method, &path)) {
            return (StatusCode::INTERNAL_SERVER_ERROR, json!({"error": "told to fail"}));
        }
        let parsed = serde_json::from_slice(body).unwrap_or(Value::Null);
        let done = if method == "GET" {
            to_answer(self.world().act(method, &path, &parsed))
        } else {
            let Some(key) = key.filter(|k| !k.is_empty()) else {
                return (StatusCode::BAD_REQUEST, json!({"error": "Idempotency-Key is missing"}));
            };
            let request = format!("{method} {uri} {}", String::from_utf8_lossy(body));
            match self.once(key, &request, method, &path, &parsed) {
                Ok(done) => done,
                Err(answer) => return answer,
            }
        };
        tokio::time::sleep(self.slow).await;
        if let (Some(key), true) = (key, method != "GET")
            && let Some(seen) = self.world().keys.get_mut(key)
        {
            seen.answer = Some(done.clone());
        }
        done
    }

    /// Acts for a key that was never seen. Else the answer that it has: the same again, 409 while
    /// the first is under way, 422 for another request.
    fn once(
        &self,
        key: &str,
        request: &str,
        method: &str,
        path: &[&str],
        body: &Value,
    ) -> Result<(StatusCode, Value), (StatusCode, Value)> {
        let mut world = self.world();
        if let Some(seen) = world.keys.get(key) {
            return Err(match &seen.answer {
                _ if seen.request != request => (
                    StatusCode::UNPROCESSABLE_ENTITY,
                    json!({"error": "the key was used for another request"}),
                ),
                Some(answer) => answer.clone(),
                None => (StatusCode::CONFLICT, json!({"error": "still under way"})),
            });
        }
        let done = to_answer(world.act(method, path, body));
        if done.0.is_success() {
            *world.effects.entry(key.to_owned()).or_default() += 1;
        }
        let seen = Seen { request: request.to_owned(), answer: None };
        world.keys.insert(key.to_owned(), seen);
        Ok(done)
    }
}

fn to_answer(acted: Option<(u16, Value)>) -> (StatusCode, Value) {
    let (status, value) = acted.unwrap_or((404, json!({"error": "no such runbook"})));
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), value)
}

async fn handle(
    State(server): State<Arc<Server>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let key = key.map(|key| key.trim_matches('"').to_owned());
    let (status, value) = server.answer(method.as_str(), &uri, key.as_deref(), &body).await;
    if let Some(told) = server.told {
        let key = key.as_deref().unwrap_or("-");
        told(&format!("{method} {uri} key={key} -> {}", status.as_u16()));
    }
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string() + "\n").into_response()
}
