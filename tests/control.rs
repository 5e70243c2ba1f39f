//! The endpoint for people's orders: who may call it, and that an order is a record.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::ControlFlow;

use serde_json::Value;
use triaged::admin::control::Control;
use triaged::config::Config;
use triaged::metrics::{Labels, Metrics};
use triaged::topics;

const TOKEN: &str = "a-token-that-is-long-enough";

struct World {
    control: Control,
    config: Config,
    folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).expect("a token");
    let set = |name: &str, value: &str| format!("{name}={value}");
    let sets = [
        set("log.kind", "embedded"),
        set("embedded.dir", &folder.path().join("log").display().to_string()),
        set("control.listen", "127.0.0.1:0"),
    ];
    let none: [(String, String); 0] = [];
    let config = Config::from_layers(None, none, &sets).expect("a configuration");
    let metrics = Metrics::new(&Labels::default(), 1).expect("metrics");
    let control = Control::start(&config, token, vec![String::from("unlock")], metrics);
    World { control: control.expect("an endpoint"), config, folder }
}

impl World {
    /// The status and the body of an answer.
    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.control.local_addr()).expect("a connection");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split_whitespace().nth(1).and_then(|s| s.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("a status"), body.to_owned())
    }

    fn orders(&self) -> Vec<Value> {
        let mut orders = Vec::new();
        let topic = &self.config.resolve.topics.control;
        let read = topics::read(&self.config, topic, false, |record| {
            let value = record.value.unwrap_or_default();
            orders.push(serde_json::from_slice(&value).expect("an order"));
            ControlFlow::Continue(())
        });
        // Without an order there is no topic yet.
        let _ = read;
        orders
    }
}

#[test]
fn only_who_has_the_token_is_heard_and_only_by_post() {
    let world = world();
    for token in ["", "wrong", "a-token-that-is-long-enoug", "a-token-that-is-long-enough2"] {
        assert_eq!(world.ask("POST", "/kill", token, "").0, 401, "{token:?}");
    }
    assert_eq!(world.ask("GET", "/kill", TOKEN, "").0, 405);
    assert_eq!(world.ask("POST", "/other", TOKEN, "").0, 404);
    assert!(world.orders().is_empty());
    // A short token is no token, even if it is the one in the file.
    std::fs::write(world.folder.path().join("token"), "short").expect("a token");
    assert_eq!(world.ask("POST", "/kill", "short", "").0, 401);
}

#[test]
fn an_order_is_a_record_with_who_gave_it() {
    let world = world();
    assert_eq!(world.ask("POST", "/kill", TOKEN, r#"{"by":"kim"}"#).0, 200);
    assert_eq!(world.ask("POST", "/playbooks/unlock/off", TOKEN, "").0, 200);
    assert_eq!(world.ask("POST", "/resume", TOKEN, "").0, 200);
    let orders = world.orders();
    assert_eq!((&orders[0]["switch"], &orders[0]["on"]), (&"everything".into(), &false.into()));
    assert_eq!(orders[0]["by"], "kim");
    assert_eq!(orders[1]["switch"]["playbook"], "unlock");
    assert_eq!((orders.len(), &orders[2]["on"]), (3, &true.into()));
}

#[test]
fn a_wrong_order_is_refused_with_its_reason() {
    let world = world();
    let (status, body) = world.ask("POST", "/playbooks/other/off", TOKEN, "");
    assert_eq!((status, body.contains("other")), (400, true));
    assert_eq!(world.ask("POST", "/kill", TOKEN, r#"{"who":"kim"}"#).0, 400);
    assert_eq!(world.ask("POST", "/undo", TOKEN, r#"{"which":{}}"#).0, 400);
    assert!(world.orders().is_empty());
}
