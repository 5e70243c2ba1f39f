//! A runbook that plays whatever a test wants, on threads of its own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Answers the nth request (from 0).
type Play = dyn Fn(usize, &Seen, &mut dyn Stream) -> io::Result<()> + Send + Sync;

struct Stage {
    play: Box<Play>,
    tls: Option<Arc<ServerConfig>>,
    /// How many bytes of a body are left unread.
    leave: usize,
    connections: AtomicUsize,
    requests: Mutex<Vec<Seen>>,
}

pub struct Runbook {
    address: SocketAddr,
    stage: Arc<Stage>,
}

impl Runbook {
    pub fn new(
        play: impl Fn(usize, &Seen, &mut dyn Stream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start("127.0.0.1:0", None, 0, Box::new(play))
    }

    pub fn tls(config: ServerConfig) -> Self {
        let play = |_: usize, _: &Seen, stream: &mut dyn Stream| answer(stream, 200, "", "{}");
        Self::start("127.0.0.1:0", Some(Arc::new(config)), 0, Box::new(play))
    }

    /// Answers every request with 200, at another address.
    pub fn at(address: &str) -> Self {
        let play = |_: usize, _: &Seen, stream: &mut dyn Stream| answer(stream, 200, "", "{}");
        Self::start(address, None, 0, Box::new(play))
    }

    /// Reads all but the last byte of the body, and closes: the kernel answers with a reset.
    pub fn resetting() -> Self {
        Self::start("127.0.0.1:0", None, 1, Box::new(|_, _, _| Ok(())))
    }

    fn start(address: &str, tls: Option<Arc<ServerConfig>>, leave: usize, play: Box<Play>) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (connections, requests) = (AtomicUsize::new(0), Mutex::default());
        let stage = Arc::new(Stage { play, tls, leave, connections, requests });
        let shared = Arc::clone(&stage);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let stage = Arc::clone(&shared);
                // What a client breaks off is no news here: the test looks at the client.
                thread::spawn(move || stage.connection(stream));
            }
        });
        Self { address, stage }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn is_tls(&self) -> bool {
        self.stage.tls.is_some()
    }

    pub fn connections(&self) -> usize {
        self.stage.connections.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.stage.requests.lock().unwrap().clone()
    }
}

impl Stage {
    fn connection(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let Some(config) = &self.tls else { return self.serve(&mut &stream) };
        let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(connection, stream);
        let served = self.serve(&mut tls);
        if served.is_ok() {
            tls.conn.send_close_notify();
        }
        // Sends what is left to say: the end, or the alert that says what was wrong. What the
        // client still has to say is read, since closing before that would reset the connection.
        let StreamOwned { mut conn, mut sock } = tls;
        while conn.wants_write() {
            conn.write_tls(&mut sock)?;
        }
        sock.shutdown(std::net::Shutdown::Write)?;
        drain(&mut sock)
    }

    fn serve(&self, stream: &mut dyn Stream) -> io::Result<()> {
        let seen = read_request(stream, self.leave)?;
        let nth = {
            let mut requests = self.requests.lock().unwrap();
            requests.push(seen.clone());
            requests.len() - 1
        };
        (self.play)(nth, &seen, stream)
    }
}

fn read_request(stream: &mut dyn Stream, leave: usize) -> io::Result<Seen> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut seen = Seen { head: String::from_utf8_lossy(&head).into_owned(), body: Vec::new() };
    let length: usize = seen.header("content-length").map_or(0, |n| n.parse().unwrap());
    seen.body = vec![0; length.saturating_sub(leave)];
    stream.read_exact(&mut seen.body)?;
    Ok(seen)
}

/// A whole answer. `headers` are lines, each with its end.
pub fn answer(stream: &mut dyn Stream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}")?;
    stream.flush()
}

/// Says nothing until the client goes away.
pub fn drain(stream: &mut dyn Read) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(|_| ())
}
