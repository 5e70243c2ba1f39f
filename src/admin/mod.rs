//! The admin endpoint: `/metrics` for Prometheus, `/livez` and `/readyz` for the orchestrator.
//! It has a thread of its own, so that nothing a client does can hold up a worker.

pub mod control;
mod report;
pub mod token;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use self::report::Report;
pub use self::report::{Phase, Thresholds};
use crate::health::WorkerHealth;
use crate::metrics::Metrics;
use crate::sync;

/// What a client may take, and when silence of a worker counts.
#[derive(Clone, Copy, Debug)]
pub struct AdminLimits {
    pub thresholds: Thresholds,
    /// How long a client may take to send its request's head.
    pub header_timeout: Duration,
    /// How long it may then take to send its body, where one is read.
    pub body_timeout: Duration,
    /// How long a connection may live: one request and its answer. Without it, an answer takes as
    /// long as it takes.
    pub connection_timeout: Option<Duration>,
    /// Connections at a time; one more closes the oldest, so that a probe always gets through.
    pub connections: usize,
}

impl Default for AdminLimits {
    fn default() -> Self {
        Self {
            thresholds: Thresholds::default(),
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            connection_timeout: Some(Duration::from_secs(15)),
            connections: 64,
        }
    }
}

/// The request's head must fit in here, and so must an order's body; others are never read.
const REQUEST_BYTES: usize = 16 << 10;

struct Shared {
    metrics: Arc<Metrics>,
    workers: Vec<Arc<WorkerHealth>>,
    thresholds: Thresholds,
    phase: RwLock<Phase>,
}

impl Shared {
    fn readiness(&self) -> Report {
        let phase = *sync::read(&self.phase);
        let report = Report::ready(&self.workers, self.thresholds, phase);
        self.metrics.ready.set(f64::from(u8::from(report.is_ok())));
        report
    }
}

/// An HTTP listener with a thread of its own; dropping it closes every connection.
struct Listener {
    local_addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn start(
        name: &'static str,
        listener: TcpListener,
        router: Router,
        limits: AdminLimits,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let local_addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    result = serve(listener, router, limits) => {
                        if let Err(error) = result {
                            tracing::error!(%error, name, "endpoint ended");
                        }
                    }
                    _ = stopped => {}
                }
            });
            // An order that waits for a broker must not keep the process from ending.
            runtime.shutdown_background();
        })?;
        Ok(Self { local_addr, stop: Some(stop), thread: Some(thread) })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was its own; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// The running endpoint.
pub struct Admin {
    listener: Listener,
    shared: Arc<Shared>,
}

impl Admin {
    /// Listens at `addr`. The process counts as [`Phase::Starting`] until it says otherwise.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub fn start(
        addr: SocketAddr,
        metrics: Arc<Metrics>,
        workers: Vec<Arc<WorkerHealth>>,
        limits: AdminLimits,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            metrics,
            workers,
            thresholds: limits.thresholds,
            phase: RwLock::new(Phase::Starting),
        });
        let router = router(Arc::clone(&shared));
        let listener = Listener::start("admin", TcpListener::bind(addr)?, router, limits)?;
        Ok(Self { listener, shared })
    }

    /// Where it listens, with the port that was chosen for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Tells `/readyz` where the process is.
    pub fn phase(&self, phase: Phase) {
        *sync::write(&self.shared.phase) = phase;
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .fallback(async || (StatusCode::NOT_FOUND, "try /metrics, /livez or /readyz\n"))
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    // The gauge is of this moment, whether or not anybody probes.
    shared.readiness();
    match shared.metrics.render() {
        Ok(page) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn livez(State(shared): State<Arc<Shared>>) -> Response {
    answer(&Report::live(&shared.workers, shared.thresholds))
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    answer(&shared.readiness())
}

fn answer(report: &Report) -> Response {
    let status = if report.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(report) {
        Ok(body) => {
            (status, [(header::CONTENT_TYPE, "application/json")], body + "\n").into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn serve(listener: TcpListener, router: Router, limits: AdminLimits) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, or a client that left already: neither lasts.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= limits.connections
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(converse(stream, router.clone(), limits)).abort_handle());
    }
}

/// One request and its answer.
async fn converse(stream: TcpStream, router: Router, limits: AdminLimits) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(REQUEST_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A client that breaks off or is too slow has itself to blame: nothing to report.
    match limits.connection_timeout {
        Some(most) => drop(tokio::time::timeout(most, connection).await),
        None => drop(connection.await),
    }
}
