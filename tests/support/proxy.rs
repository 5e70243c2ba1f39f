//! A TCP proxy in front of a broker's advertised listener that makes the end of a transaction
//! arrive late: it cuts the client off at its `EndTxn` request, keeps the request's bytes, lets
//! the client repeat it on a new connection, and hands the kept bytes to the broker in the middle
//! of the same client's next transaction. Nothing depends on time: the next transaction waits in
//! the proxy until the broker has answered the late request. So that aborts and commits take
//! turns, it also refuses every other `AddOffsetsToTxn` of that client.

use super::ports::Port;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ADD_OFFSETS_TO_TXN: i16 = 25;
const END_TXN: i16 = 26;
const ILLEGAL_GENERATION: i16 = 22;

/// Which `EndTxn` requests of a transactional id arrive late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Aborts; each arrives when the next transaction has delivered its records.
    Aborts,
    /// Commits; each arrives right before the next transaction is aborted.
    Commits,
}

/// What happened to one transactional id.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Requests that were cut off and kept.
    pub kept: usize,
    /// The broker's error codes in answer to the late requests; 0 is success.
    pub answers: Vec<i16>,
}

struct Case {
    late: Late,
    /// How many more requests to keep.
    left: usize,
    /// The positions of this transaction are refused, so that the client aborts.
    refuse: bool,
    /// Nothing was said yet about this transaction's positions.
    undecided: bool,
    kept: Option<Vec<u8>>,
    /// The client has repeated the request that was kept.
    repeated: bool,
    counts: Counts,
}

#[derive(Default)]
struct Shared {
    target: Mutex<String>,
    cases: Mutex<HashMap<String, Case>>,
}

pub struct Proxy {
    port: Port,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens at once; connections go nowhere until [`Proxy::forward_to`].
    pub fn start() -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.address()).expect("the proxy's own port is free");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || serve(client, &shared));
            }
        });
        Self { port, shared }
    }

    pub fn address(&self) -> String {
        self.port.address()
    }

    pub fn forward_to(&self, broker: String) {
        *self.shared.target.lock().unwrap() = broker;
    }

    /// Makes `times` requests of this transactional id arrive late.
    pub fn delay(&self, transactional_id: &str, late: Late, times: usize) {
        let case = Case {
            late,
            left: times,
            refuse: false,
            undecided: true,
            kept: None,
            repeated: false,
            counts: Counts::default(),
        };
        self.shared.cases.lock().unwrap().insert(transactional_id.into(), case);
    }

    pub fn counts(&self, transactional_id: &str) -> Counts {
        self.shared.cases.lock().unwrap()[transactional_id].counts.clone()
    }
}

fn serve(client: TcpStream, shared: &Shared) {
    let target = shared.target.lock().unwrap().clone();
    let Ok(broker) = TcpStream::connect(&target) else { return };
    let _ = client.set_nodelay(true);
    let _ = broker.set_nodelay(true);
    let (Ok(mut answers), Ok(mut back)) = (broker.try_clone(), client.try_clone()) else { return };
    std::thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let _ = requests(&client, &broker, shared, &target);
    let _ = client.shutdown(Shutdown::Both);
    let _ = broker.shutdown(Shutdown::Both);
}

fn requests(
    mut client: &TcpStream,
    mut broker: &TcpStream,
    shared: &Shared,
    target: &str,
) -> io::Result<()> {
    loop {
        let Some(frame) = read_frame(&mut client)? else { return Ok(()) };
        match decide(&frame, shared) {
            Verdict::Pass => {}
            Verdict::Cut => return Ok(()),
            Verdict::Refuse => {
                client.write_all(&refusal(&frame))?;
                continue;
            }
            Verdict::After { id, late } => {
                let answer = deliver(&late, target)?;
                let mut cases = shared.cases.lock().unwrap();
                cases.get_mut(&id).expect("the case").counts.answers.push(answer);
            }
        }
        broker.write_all(&frame)?;
    }
}

enum Verdict {
    Pass,
    Cut,
    /// The proxy answers in the broker's place.
    Refuse,
    /// The kept bytes go first.
    After {
        id: String,
        late: Vec<u8>,
    },
}

fn decide(frame: &[u8], shared: &Shared) -> Verdict {
    let Some(request) = Request::parse(frame) else { return Verdict::Pass };
    let mut cases = shared.cases.lock().unwrap();
    let Some(case) = cases.get_mut(request.transactional_id) else { return Verdict::Pass };
    case.undecided |= request.key == END_TXN;
    let late_kind = request.commits == Some(case.late == Late::Commits);
    if case.kept.is_none() && late_kind && case.left > 0 {
        case.left -= 1;
        case.kept = Some(frame.to_vec());
        case.repeated = false;
        case.counts.kept += 1;
        return Verdict::Cut;
    }
    if case.kept.is_some() && !case.repeated && request.key == END_TXN {
        case.repeated = true;
        return Verdict::Pass;
    }
    if request.key == ADD_OFFSETS_TO_TXN {
        // A request that the client repeats is still of the same transaction.
        case.refuse ^= std::mem::take(&mut case.undecided);
        if case.refuse {
            return Verdict::Refuse;
        }
    }
    let middle_of_the_next = case.repeated
        && match case.late {
            Late::Aborts => request.key == ADD_OFFSETS_TO_TXN,
            Late::Commits => request.commits == Some(false),
        };
    match case.kept.take_if(|_| middle_of_the_next) {
        Some(late) => Verdict::After { id: request.transactional_id.into(), late },
        None => Verdict::Pass,
    }
}

/// The answer to an `AddOffsetsToTxn`: correlation id, throttle time, error code.
fn refusal(frame: &[u8]) -> Vec<u8> {
    let mut answer = Vec::from(10_u32.to_be_bytes());
    answer.extend(&frame[8..12]);
    answer.extend(0_u32.to_be_bytes());
    answer.extend(ILLEGAL_GENERATION.to_be_bytes());
    answer
}

/// Sends the bytes on a connection of their own; the broker's error code.
fn deliver(late: &[u8], target: &str) -> io::Result<i16> {
    let mut broker = TcpStream::connect(target)?;
    broker.set_read_timeout(Some(Duration::from_secs(10)))?;
    broker.write_all(late)?;
    let answer = read_frame(&mut &broker)?.unwrap_or_default();
    // Length, correlation id, throttle time, error code.
    Ok(answer.get(12..14).map_or(-1, |b| i16::from_be_bytes([b[0], b[1]])))
}

fn read_frame(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let body = u32::from_be_bytes(length) as usize;
    let mut frame = vec![0; 4 + body];
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..])?;
    Ok(Some(frame))
}

/// The two requests that matter here, in the versions before flexible encoding.
struct Request<'a> {
    key: i16,
    transactional_id: &'a str,
    /// For `EndTxn`: commit or abort.
    commits: Option<bool>,
}

impl<'a> Request<'a> {
    fn parse(frame: &'a [u8]) -> Option<Self> {
        let short = |at: usize| Some(i16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
        let (key, version) = (short(4)?, short(6)?);
        if !matches!(key, ADD_OFFSETS_TO_TXN | END_TXN) {
            return None;
        }
        assert!(version < 3, "the proxy does not read version {version} of request {key}");
        let client_id = usize::try_from(short(12)?).unwrap_or(0);
        let start = 14 + client_id;
        let length = usize::try_from(short(start)?).ok()?;
        let id = frame.get(start + 2..start + 2 + length)?;
        // Behind the id: producer id (8 bytes), epoch (2), and for `EndTxn` the result.
        let result = frame.get(start + 2 + length + 10);
        Some(Self {
            key,
            transactional_id: std::str::from_utf8(id).ok()?,
            commits: (key == END_TXN).then_some(*result? == 1),
        })
    }
}
