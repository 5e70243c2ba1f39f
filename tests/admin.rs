//! The admin endpoint over real HTTP: what the pages say, and that no client can hurt.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use triaged::admin::{Admin, AdminLimits, Phase, Thresholds};
use triaged::health::WorkerHealth;
use triaged::metrics::{Labels, Metrics};

/// Longer than anything here should take on a busy machine, and still no proof of patience.
const SOON: Duration = Duration::from_secs(5);

fn labels() -> Labels {
    Labels {
        categories: vec!["network".into(), "access".into()],
        queues: vec!["desk".into()],
        topics: vec!["tickets.new".into()],
        malformed: vec!["not_json"],
        masks: vec!["email"],
        doubts: vec!["low_confidence"],
        ..Labels::default()
    }
}

struct World {
    admin: Admin,
    workers: Vec<Arc<WorkerHealth>>,
    metrics: Arc<Metrics>,
}

fn start(workers: usize, limits: AdminLimits) -> World {
    let metrics = Metrics::new(&labels(), workers).unwrap();
    let workers: Vec<_> = (0..workers).map(|_| WorkerHealth::new()).collect();
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let admin = Admin::start(addr, metrics.clone(), workers.clone(), limits).unwrap();
    World { admin, workers, metrics }
}

fn connect(admin: &Admin) -> TcpStream {
    let stream = TcpStream::connect(admin.local_addr()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn send(admin: &Admin, head: &str) -> (u16, String) {
    let mut stream = connect(admin);
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn fetch(admin: &Admin, path: &str) -> (u16, String) {
    send(admin, &format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"))
}

fn reasons(body: &str) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_str(body).unwrap();
    let reasons = report["reasons"].as_array().unwrap();
    assert_eq!(report["ok"].as_bool(), Some(reasons.is_empty()));
    reasons.iter().map(|reason| reason.as_str().unwrap().to_owned()).collect()
}

#[test]
fn there_are_three_pages_and_they_can_only_be_read() {
    let world = start(1, AdminLimits::default());
    let (status, page) = fetch(&world.admin, "/metrics");
    assert_eq!(status, 200);
    assert!(page.contains("# TYPE triaged_records_in_total counter"));
    assert!(page.contains("triaged_records_in_total{topic=\"tickets.new\"} 0"));
    assert_eq!(fetch(&world.admin, "/livez").0, 200);
    assert_eq!(fetch(&world.admin, "/").0, 404);
    assert_eq!(fetch(&world.admin, "/metrics/../etc/passwd").0, 404);
    for path in ["/metrics", "/livez", "/readyz"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(send(&world.admin, &head).0, 405, "{path}");
    }
    // For a look with `promtool check metrics`.
    if let Some(out) = std::env::var_os("TRIAGED_TEST_METRICS_PAGE") {
        std::fs::write(out, page).unwrap();
    }
}

#[test]
fn a_stuck_worker_is_reported_by_its_number() {
    let thresholds = Thresholds { stuck_after: Duration::from_secs(2), ..Thresholds::default() };
    let world = start(3, AdminLimits { thresholds, ..AdminLimits::default() });
    assert_eq!(fetch(&world.admin, "/livez").0, 200);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            while !done.load(Ordering::Relaxed) && start.elapsed() < SOON * 4 {
                world.workers[0].turned();
                world.workers[2].turned();
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        std::thread::sleep(Duration::from_millis(2100));
        let (status, body) = fetch(&world.admin, "/livez");
        let ready = fetch(&world.admin, "/readyz").1;
        world.workers[1].turned();
        let again = fetch(&world.admin, "/livez").0;
        done.store(true, Ordering::Relaxed);
        assert_eq!(status, 503);
        let reasons = reasons(&body);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].starts_with("worker 1: its loop has not turned for "));
        assert!(ready.contains("worker 1: its loop"), "{ready}");
        assert_eq!(again, 200);
    });
}

#[test]
fn readiness_says_what_is_missing() {
    let thresholds =
        Thresholds { no_progress_after: Duration::from_secs(2), ..Thresholds::default() };
    let world = start(1, AdminLimits { thresholds, ..AdminLimits::default() });
    let worker = &world.workers[0];
    let missing = || {
        let (status, body) = fetch(&world.admin, "/readyz");
        let reasons = reasons(&body);
        assert_eq!(status, if reasons.is_empty() { 200 } else { 503 });
        assert_eq!(world.metrics.ready.get(), f64::from(u8::from(reasons.is_empty())));
        reasons
    };
    let unconnected = "worker 0: not connected to the log";
    let unassigned = "worker 0: no partitions assigned yet";
    let unknown = "worker 0: does not know yet how much there is to do";
    assert_eq!(missing(), ["the model is not loaded yet", unconnected, unassigned, unknown]);
    world.admin.phase(Phase::Serving);
    assert_eq!(missing(), [unconnected, unassigned, unknown]);
    worker.connected(true);
    worker.assigned(0);
    assert_eq!(missing(), [unknown], "no news is no good news");
    worker.lag(0);
    assert!(missing().is_empty());
    assert!(fetch(&world.admin, "/metrics").1.contains("\ntriaged_ready 1\n"));

    std::thread::sleep(Duration::from_millis(2100));
    assert!(missing().is_empty(), "nothing to do is not a fault");
    worker.lag(7);
    let reasons = missing();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].starts_with("worker 0: 7 messages waiting and none committed for "));
    assert!(fetch(&world.admin, "/metrics").1.contains("\ntriaged_ready 0\n"));
    worker.works_for(Duration::from_secs(3600));
    assert!(missing().is_empty(), "a batch may take its time");
    worker.progressed();
    assert!(missing().is_empty());
    world.admin.phase(Phase::Stopping);
    assert_eq!(missing(), ["the process is stopping"]);
}

#[test]
fn slow_clients_do_not_keep_a_probe_out() {
    let limits = AdminLimits { connections: 16, ..AdminLimits::default() };
    let world = start(1, limits);
    let slow: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = connect(&world.admin);
            let _ = stream.write_all(b"GET /met");
            stream
        })
        .collect();
    let start = Instant::now();
    assert_eq!(fetch(&world.admin, "/livez").0, 200);
    assert!(start.elapsed() < SOON / 2, "{:?}", start.elapsed());
    drop(slow);
}

#[test]
fn a_request_that_does_not_end_is_cut_off() {
    let limits =
        AdminLimits { header_timeout: Duration::from_millis(200), ..AdminLimits::default() };
    let world = start(1, limits);
    let mut stream = connect(&world.admin);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nX-Slow: ").unwrap();
    let mut answer = Vec::new();
    // The end of the stream or a reset: both within the read time-out.
    let ended = stream.read_to_end(&mut answer);
    assert!(!ended.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_connection_does_not_outlive_its_time_whatever_it_does() {
    let limits = AdminLimits {
        header_timeout: SOON * 10,
        connection_timeout: Some(Duration::from_millis(300)),
        ..AdminLimits::default()
    };
    let world = start(1, limits);
    let mut stream = connect(&world.admin);
    let start = Instant::now();
    while stream.write_all(b"G").is_ok() {
        assert!(start.elapsed() < SOON, "still connected");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn large_heads_and_bodies_are_not_read() {
    let world = start(1, AdminLimits::default());
    let mut stream = connect(&world.admin);
    let mut head = b"GET /livez HTTP/1.1\r\nHost: here\r\nX-Large: ".to_vec();
    head.resize(1 << 20, b'x');
    let _ = stream.write_all(&head);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));

    let head = "GET /livez HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000000\r\n\r\n";
    assert_eq!(send(&world.admin, head).0, 200, "answered without the body");
}

#[test]
fn dropping_it_ends_it_at_once_even_with_clients_connected() {
    let world = start(1, AdminLimits::default());
    let addr = world.admin.local_addr();
    let mut stream = connect(&world.admin);
    stream.write_all(b"GET /").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    drop(world);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(TcpStream::connect(addr).is_err(), "the port is free again");
}
