//! A runbook on a port of its own: answers as a test tells it, and remembers what it was asked.
#![allow(dead_code, reason = "each binary that includes this uses its own part of it")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// The idempotency key, without its quotes.
    pub key: Option<String>,
    pub body: String,
    /// When it had come.
    pub at: Instant,
}

/// What the runbook does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Acts, and says so.
    Done,
    /// Answers with this status and does nothing.
    Status(u16),
    /// Answers with this JSON.
    Json(String),
    /// Acts, and says so after this time.
    Late(Duration),
    /// Acts, waits, and closes the connection without an answer.
    Silent(Duration),
    /// Acts, and says so when as many requests are there as the barrier waits for.
    Together(Arc<Barrier>),
    /// Writes this as it is, and closes the connection.
    Raw(String),
}

const DONE: &str = r#"{"ok":true}"#;

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

struct State {
    requests: Vec<Request>,
    /// How often each key had its effect, as one without idempotency would count.
    acted: BTreeMap<String, usize>,
    script: Script,
}

pub struct Runbook {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Runbook {
    pub fn start(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(Mutex::new(State {
            requests: Vec::new(),
            acted: BTreeMap::new(),
            script: Box::new(script),
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that breaks off is what some tests are about.
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Self { port, state }
    }

    pub fn host(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn script(&self, script: impl FnMut(&Request) -> Reply + Send + 'static) {
        self.lock().script = Box::new(script);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// Requests by key that were acted on.
    pub fn acted(&self) -> BTreeMap<String, usize> {
        self.lock().acted.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (mut length, mut key) = (0, None);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "idempotency-key" => key = Some(value.trim_matches('"').to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        let request = Request { method, path, key, body, at: Instant::now() };
        let reply = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.requests.push(request.clone());
            let reply = (state.script)(&request);
            if !matches!(reply, Reply::Status(_) | Reply::Json(_) | Reply::Raw(_))
                && let Some(key) = &request.key
            {
                *state.acted.entry(key.clone()).or_default() += 1;
            }
            reply
        };
        let (status, body) = match reply {
            Reply::Done => (200, String::from(DONE)),
            Reply::Late(wait) => {
                std::thread::sleep(wait);
                (200, String::from(DONE))
            }
            Reply::Status(status) => (status, String::new()),
            Reply::Json(body) => (200, body),
            Reply::Silent(wait) => {
                std::thread::sleep(wait);
                return Ok(());
            }
            Reply::Together(barrier) => {
                barrier.wait();
                (200, String::from(DONE))
            }
            Reply::Raw(bytes) => return stream.write_all(bytes.as_bytes()),
        };
        write!(
            stream,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
}
