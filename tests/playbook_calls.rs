//! No ticket text escapes its JSON string, its path segment or its query value, whatever the
//! templates: random playbooks, hostile values, and what another parser makes of the calls.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use toml::Value as Toml;
use triaged::playbook::{Library, SlotValue, Slots, TextFile, Unfit, Values};
use url::Url;

/// Placeholders with what they are called in a playbook.
const PLACES: [&str; 5] = ["slot.a", "slot.b", "ticket.id", "idempotency_key", "playbook.id"];

#[derive(Clone, Debug)]
enum Part {
    Literal(&'static str),
    Place(usize),
}

#[derive(Clone, Debug)]
enum Body {
    Text(Vec<Part>),
    Whole(usize),
    Number(i64),
    List(Vec<Body>),
    Object(Vec<(&'static str, Body)>),
}

/// What a value is made of that wants to be somewhere else.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "\"", "'", "\\", "\\\"", "\"}", "\",\"admin\":true,\"x\":\"", "/", "//", "%2f", "%2e%2e", "%00", "..",
            ".", "../", "?", "?a=b", "#", "#x", "@", "@evil.example", ":8080", "&", "&admin=1", "=", "+",
            ";", "\r\n", "\r\nX-Evil: 1", "\n", "\0", "\t", " ", "\u{202e}", "\u{200b}", "\u{feff}",
            "한글", "é", "💥", "{{slot.b}}", "{{ticket.id}}", "{{", "}}", "http://evil.example/", "<", "`",
            "kim.minji",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn part(literals: &'static [&'static str]) -> impl Strategy<Value = Part> {
    prop_oneof![
        prop::sample::select(literals).prop_map(Part::Literal),
        (0..PLACES.len()).prop_map(Part::Place),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let text = part(&["", "a", " is \"x\" ", "\\", "\n", "한", "</script>", ": ", "%s", "$1"]);
    let leaf = prop_oneof![
        prop::collection::vec(text, 0..5).prop_map(Body::Text),
        (0..PLACES.len()).prop_map(Body::Whole),
        any::<i64>().prop_map(Body::Number),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let keys = prop::sample::select(vec!["k", "a b", "\"", "키", "x.y"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Body::List),
            prop::collection::btree_map(keys, inner, 0..4)
                .prop_map(|map| Body::Object(map.into_iter().collect())),
        ]
    })
}

fn marked(place: usize) -> String {
    format!("{{{{{}}}}}", PLACES[place])
}

fn written(parts: &[Part]) -> String {
    parts.iter().fold(String::new(), |mut text, part| {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Place(place) => text.push_str(&marked(*place)),
        }
        text
    })
}

impl Body {
    fn toml(&self) -> Toml {
        match self {
            Self::Text(parts) => Toml::String(written(parts)),
            Self::Whole(place) => Toml::String(marked(*place)),
            Self::Number(n) => Toml::Integer(*n),
            Self::List(list) => Toml::Array(list.iter().map(Self::toml).collect()),
            Self::Object(map) => {
                Toml::Table(map.iter().map(|(k, v)| ((*k).to_owned(), v.toml())).collect())
            }
        }
    }

    /// What the body must say, by putting values into the parsed structure.
    fn expected(&self, values: &[String]) -> Json {
        match self {
            Self::Text(parts) => {
                let text = parts.iter().map(|part| match part {
                    Part::Literal(literal) => (*literal).to_owned(),
                    Part::Place(place) => values[*place].clone(),
                });
                Json::String(text.collect())
            }
            Self::Whole(place) => Json::String(values[*place].clone()),
            Self::Number(n) => json!(n),
            Self::List(list) => Json::Array(list.iter().map(|v| v.expected(values)).collect()),
            Self::Object(map) => Json::Object(
                map.iter().map(|(k, v)| ((*k).to_owned(), v.expected(values))).collect(),
            ),
        }
    }
}

fn playbook(url: &str, body: &Body) -> String {
    let mut step = toml::Table::new();
    step.insert("name".to_owned(), "act".into());
    step.insert("method".to_owned(), "POST".into());
    step.insert("url".to_owned(), url.into());
    step.insert(
        "headers".to_owned(),
        Toml::Table([("x-a".to_owned(), "b".into())].into_iter().collect()),
    );
    step.insert(
        "body".to_owned(),
        Toml::Table([("b".to_owned(), body.toml())].into_iter().collect()),
    );
    let mut whole = toml::Table::new();
    whole.insert("steps".to_owned(), Toml::Array(vec![Toml::Table(step)]));
    let mut text = String::from(
        "id = 'p'\nversion = 1\ntitle = 't'\nowner = 'o'\nminutes_saved = 1\nfallback_queue = 'q'
         irreversible = 'test'\nunread = 'test'\nmatch.requests = ['r']\nreply.en = 'ok'
         slots.a = {pattern = '[a-z]{1,9}', from = ['text']}
         slots.b = {pattern = '[a-z]{1,9}', from = ['text']}\n",
    );
    let _ = write!(text, "{}", toml::to_string(&whole).expect("TOML"));
    text
}

fn decoded(text: &str) -> String {
    assert!(!text.contains('+'), "a plus can mean a space");
    let pair = format!("k={text}");
    url::form_urlencoded::parse(pair.as_bytes()).next().expect("a pair").1.into_owned()
}

const ORIGINS: [(&str, &str, u16); 3] = [
    ("https://runbooks.example.com", "runbooks.example.com", 443),
    ("http://127.0.0.1:8199", "127.0.0.1", 8199),
    ("https://[::1]:8443", "[::1]", 8443),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_leaves_its_place(
        origin in 0..ORIGINS.len(),
        segments in prop::collection::vec(part(&["accounts", "v1", "x-y_z~", "a.b", "%C3%BC", ""]), 1..5),
        query in prop::collection::vec((prop::sample::select(vec!["t", "user", "a%20b"]), part(&["1", "", "a%26b"])), 0..4),
        body in body(),
        values in prop::collection::vec(hostile(), PLACES.len()),
    ) {
        let (origin, host, port) = ORIGINS[origin];
        let mut url = origin.to_owned();
        for segment in &segments {
            let _ = write!(url, "/{}", written(std::slice::from_ref(segment)));
        }
        for (i, (name, value)) in query.iter().enumerate() {
            let mark = if i == 0 { '?' } else { '&' };
            let _ = write!(url, "{mark}{name}={}", written(std::slice::from_ref(value)));
        }
        let file = TextFile { name: "p.toml".to_owned(), text: playbook(&url, &body) };
        let library = Library::read(&[file], None).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let step = &library.get("p").expect("it").steps[0];
        let slots: Slots = [("a", 0), ("b", 1)]
            .map(|(name, i)| (name.to_owned(), SlotValue::Text(values[i].clone())))
            .into_iter()
            .collect();
        let given = Values {
            ticket_id: &values[2],
            idempotency_key: &values[3],
            playbook_id: &values[4],
            slots: &slots,
        };
        let in_path: Vec<&str> = segments
            .iter()
            .filter_map(|s| match s { Part::Place(i) => Some(values[*i].as_str()), Part::Literal(_) => None })
            .collect();
        let call = match step.call(&given) {
            Ok(call) => call,
            Err(Unfit::Path(_)) => {
                let bad = |v: &&str| v.is_empty() || v.chars().any(char::is_control)
                    || v.split(['/', '\\']).any(|p| p == "." || p == "..");
                prop_assert!(in_path.iter().any(bad), "refused without need: {in_path:?}");
                return Ok(());
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };

        let url = Url::parse(&call.url).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(url.as_str(), &call.url, "it is in its normal form");
        prop_assert_eq!(url.scheme(), origin.split(':').next().expect("a scheme"));
        prop_assert_eq!((url.host_str(), url.port_or_known_default()), (Some(host), Some(port)));
        prop_assert_eq!((call.host.as_str(), call.port), (host, port));
        prop_assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None));
        let found: Vec<String> = url.path_segments().expect("a path").map(decoded).collect();
        let expected: Vec<String> = segments
            .iter()
            .map(|s| match s { Part::Literal(text) => decoded(text), Part::Place(i) => values[*i].clone() })
            .collect();
        prop_assert_eq!(found, expected);
        let found: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let expected: Vec<(String, String)> = query
            .iter()
            .map(|(name, value)| {
                let value = match value { Part::Literal(text) => decoded(text), Part::Place(i) => values[*i].clone() };
                (decoded(name), value)
            })
            .collect();
        prop_assert_eq!(found, expected);
        // On the wire a URL is one ASCII token.
        prop_assert!(call.url.bytes().all(|b| b.is_ascii_graphic()));

        let text = call.body.expect("a body");
        let found: Json = serde_json::from_slice(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(found, json!({"b": body.expected(&values)}));
        prop_assert!(text.iter().all(|b| *b >= 0x20), "controls are escaped");
        let headers = [("x-a", "b"), ("content-type", "application/json")];
        let headers = headers.map(|(n, v)| (n.to_owned(), v.to_owned()));
        prop_assert_eq!(call.headers, headers.to_vec());
    }
}
