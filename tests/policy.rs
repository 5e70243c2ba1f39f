//! Priority, routing and review as the policy decides them, with the model that ships.

#[path = "support/tickets.rs"]
mod tickets;

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use triaged::config::Config;
use triaged::train::recipe::Recipe;
use triaged::triage::model::{Model, Scratch};
use triaged::triage::{Mismatch, Triage};

/// Says nothing that the model could be sure of.
const VAGUE: &str = "hello, please have a look";

fn config(file: &str) -> Config {
    let none: [(String, String); 0] = [];
    let mut config = Config::from_layers(Some(file), none, &[]).expect("a good configuration");
    config.model_dir = concat!(env!("CARGO_MANIFEST_DIR"), "/models/default").into();
    config
}

fn triage(file: &str) -> Triage {
    triaged::service::triage(&config(file)).expect("model and policy fit")
}

fn decide(triage: &Triage, ticket: &Value) -> Value {
    let text = ticket.to_string();
    let ticket = triaged::desk::parse_text(&text).expect("a ticket");
    serde_json::to_value(triage.decide(&mut Scratch::default(), &ticket)).expect("JSON")
}

fn with(body: &str, fields: Value) -> Value {
    let mut ticket = tickets::ticket("T", "", body);
    for (key, value) in fields.as_object().expect("an object") {
        ticket[key] = value.clone();
    }
    ticket
}

#[test]
fn the_highest_priority_is_never_lowered() {
    let triage = triage("");
    let arrived =
        decide(&triage, &with(VAGUE, json!({"priority": "p1", "impact": 3, "urgency": 3})));
    assert_eq!(arrived["priority"]["label"], "P1");
    assert_eq!(arrived["priority"]["decided_by"], "kept_highest");
    assert_eq!(arrived["priority"]["confidence"], Value::Null);
    let spellings = json!([1, "1", "Critical", "Highest", "1 - Critical", " URGENT ", "긴급"]);
    for spelling in spellings.as_array().expect("a list") {
        let fields = json!({"priority": spelling, "impact": 3, "urgency": 3});
        let kept = decide(&triage, &with(VAGUE, fields))["priority"].clone();
        assert_eq!((&kept["label"], &kept["decided_by"]), (&json!("P1"), &json!("kept_highest")));
    }
    for spelling in [json!(2), json!("High"), json!("3 - Moderate"), json!("colossal")] {
        let fields = json!({"priority": spelling, "impact": 3, "urgency": 3});
        assert_eq!(decide(&triage, &with(VAGUE, fields))["priority"]["label"], "P5", "{spelling}");
    }
    let sample =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/training/corpus/demo.jsonl"))
            .expect("the sample");
    for line in sample.lines() {
        let mut ticket: Value = serde_json::from_str(line).expect("JSON");
        ticket["priority"] = "P1".into();
        assert_eq!(decide(&triage, &ticket)["priority"]["label"], "P1");
        ticket["priority"] = Value::Null;
        ticket["impact"] = 1.into();
        ticket["urgency"] = "High".into();
        assert_eq!(decide(&triage, &ticket)["priority"]["label"], "P1", "both hints are highest");
    }
}

#[test]
fn a_matrix_of_ones_own_takes_no_number_for_a_priority_unless_an_alias_says_so() {
    let label = |aliases: &str| {
        let triage = triage(&format!(
            r#"
            [priority]
            matrix = "own"
            [priority.matrices.own]
            impacts = ["1-high", "2-medium", "3-low"]
            urgencies = ["1-high", "2-medium", "3-low"]
            priorities = ["first", "second"]
            rows = [["first", "first", "second"], ["second", "second", "second"], ["second", "second", "second"]]
            default_impact = "3-low"
            default_urgency = "3-low"
            {aliases}
            [[policy.routes]]
            queue = "q"
            "#
        ));
        let ticket = with(VAGUE, json!({"priority": 1, "impact": "3-low", "urgency": "3-low"}));
        decide(&triage, &ticket)["priority"]["label"].clone()
    };
    assert_eq!(label(""), "second");
    assert_eq!(label("priority_aliases = { \"1\" = \"first\" }"), "first");
    assert_eq!(label("priority_aliases = { \"1\" = \"second\" }"), "second");
}

#[test]
fn a_side_is_the_models_then_the_reporters_then_the_policys() {
    let triage = triage("");
    let of = |fields: Value| decide(&triage, &with(VAGUE, fields))["priority"].clone();
    let hinted = of(json!({"impact": "2-medium", "urgency": 2}));
    assert_eq!((&hinted["label"], &hinted["decided_by"]), (&json!("P3"), &json!("matrix")));
    assert_eq!(hinted["impact"]["by"], "reporter");
    assert_eq!(hinted["confidence"], Value::Null, "a rule has no probability");
    let half = of(json!({"impact": "HIGH"}));
    assert_eq!((&half["label"], &half["urgency"]["by"]), (&json!("P3"), &json!("default")));
    let unknown = of(json!({"impact": "colossal", "urgency": "yesterday"}));
    assert_eq!((&unknown["label"], &unknown["impact"]["by"]), (&json!("P5"), &json!("default")));
    let arrived = of(json!({"priority": "P2"}));
    assert_eq!((&arrived["label"], &arrived["decided_by"]), (&json!("P2"), &json!("arrived")));
}

#[test]
fn a_confident_model_decides_and_says_how_sure_it_is() {
    let triage = triage("");
    let sample =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/training/corpus/demo.jsonl"))
            .expect("the sample");
    let mut seen = [0; 2];
    for line in sample.lines() {
        let decision = decide(&triage, &serde_json::from_str(line).expect("JSON"));
        let priority = &decision["priority"];
        let mut asked = 1.0;
        let mut certain = 1.0;
        for (i, side) in ["impact", "urgency"].into_iter().enumerate() {
            if priority[side]["by"] == "model" {
                let proposal = &priority[side]["model"];
                assert_eq!(priority[side]["value"], proposal["label"]);
                let number = |key: &str| proposal[key].as_f64().expect("a number");
                assert!(number("confidence") >= number("threshold"));
                asked *= number("threshold");
                certain *= number("confidence");
                seen[i] += 1;
            }
        }
        if let Some(confidence) = priority["confidence"].as_f64() {
            // Other cells of the matrix may hold the same priority, so it can only be more.
            assert!(confidence >= certain - 1e-5 && confidence <= 1.0 + 1e-6);
            assert!((priority["threshold"].as_f64().expect("a number") - asked).abs() < 1e-5);
        }
    }
    assert!(seen.iter().all(|n| *n > 0), "the model never decided a side: {seen:?}");
}

#[test]
fn without_impact_and_urgency_the_models_own_priority_counts() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("t.jsonl");
    let groups = [
        ("Network", "P2", "the vpn tunnel of the whole floor drops again"),
        ("Printing", "P4", "printer has no toner and the paper jams"),
        ("Account", "P3", "account locked after the password expired"),
    ];
    let lines: Vec<String> = (0..600)
        .map(|i| {
            let (category, priority, text) = groups[i % 3];
            let words: Vec<&str> = text.split(' ').collect();
            // Not nearly the same text every time: such tickets would all stay in one part.
            let some = |k: u32| words[i * 7_919 / 5usize.pow(k) % words.len()];
            let text: Vec<&str> = (0..6).map(some).collect();
            json!({"id": i, "subject": format!("case {i}"), "body": text.join(" "),
                   "category": category, "priority": priority})
            .to_string()
        })
        .collect();
    fs::write(&file, lines.join("\n")).expect("a file");
    let (bundle, _) =
        triaged::train::train(&[file], &Recipe::default(), &mut |_| {}).expect("a model");
    let model: Model = bundle.model().expect("a sound bundle");
    let everything = "[[policy.routes]]\ncategory = [\"*\"]\nqueue = \"q\"";
    let policy = Arc::new(config(everything).policy);
    let triage = Triage::new(Arc::new(model), Arc::clone(&policy)).expect("they fit");
    let decision = decide(&triage, &with(groups[0].2, json!({"impact": 3, "urgency": 3})));
    assert_eq!(decision["priority"]["label"], "P2");
    assert_eq!(decision["priority"]["decided_by"], "model");
    assert!(decision["priority"]["confidence"].as_f64().expect("a number") > 0.5);
    assert_eq!(decision["priority"]["impact"]["model"], Value::Null);
}

#[test]
fn the_first_rule_that_matches_wins() {
    let triage = triage(
        r#"
        [policy]
        default_queue = "nobody"
        [[policy.routes]]
        category = ["Network/VPN"]
        source = ["Phone"]
        queue = "by-source"
        [[policy.routes]]
        category = ["Network/*"]
        language = ["ko"]
        queue = "by-language"
        [[policy.routes]]
        category = ["Network/*"]
        priority = ["P1"]
        queue = "by-priority"
        [[policy.routes]]
        category = ["Network/VPN"]
        queue = "exact"
        [[policy.routes]]
        queue = "rest"
        "#,
    );
    let vpn = "vpn error 691, the vpn client does not connect";
    let queue = |fields: Value| decide(&triage, &with(vpn, fields))["queue"].clone();
    assert_eq!(queue(json!({"source": "phone"})), "by-source");
    assert_eq!(queue(json!({"source": "phone", "language": "ko"})), "by-source");
    assert_eq!(queue(json!({"language": "KO", "priority": "P1"})), "by-language");
    for regional in ["ko-KR", "ko_KR", "ko "] {
        assert_eq!(queue(json!({"language": regional})), "by-language", "{regional}");
    }
    assert_eq!(queue(json!({"language": "kok"})), "exact", "Konkani is not Korean");
    assert_eq!(queue(json!({"priority": "P1"})), "by-priority");
    assert_eq!(queue(json!({})), "exact");
    let korean = decide(&triage, &with("vpn 접속이 안 됩니다 오류 691", json!({})));
    assert_eq!((&korean["language"], &korean["queue"]), (&json!("ko"), &json!("by-language")));
    let printer = decide(&triage, &with("the printer has no toner", json!({})));
    assert_eq!(printer["queue"], "rest");
}

#[test]
fn thresholds_can_only_be_tightened() {
    let vpn = with("vpn problem since yesterday, please have a look", json!({}));
    let reason = |file: &str| decide(&triage(file), &vpn)["review"]["reason"].clone();
    assert_eq!(reason(""), Value::Null);
    assert_eq!(reason("[policy]\nmin_confidence = 1.0"), "low_confidence");
    assert_eq!(reason("[policy]\nmin_margin = 1.0"), "too_close");
    assert_eq!(reason("[policy]\nmin_known_words = 1000"), "too_short");
    let loose = decide(&triage("[policy]\nmin_confidence = 0.0"), &vpn);
    assert!(loose["category"]["threshold"].as_f64().expect("a number") > 0.0);
}

#[test]
fn a_ticket_about_other_matters_is_for_people_however_sure_the_model_is() {
    let triage = triage("");
    let vpn = "vpn error 691, the vpn client does not connect";
    assert_eq!(decide(&triage, &with(vpn, json!({})))["outcome"], "routed");
    // More new words than tickets of the model's have, but fewer than most.
    let other = decide(&triage, &with(&format!("{vpn} qqqxz zzzvq xxxkj wwwqz"), json!({})));
    let told = (&other["outcome"], &other["review"]["reason"]);
    assert_eq!(told, (&json!("review"), &json!("out_of_scope")), "{other}");
    let number = |key: &str| other["category"][key].as_f64().expect("a number");
    assert!(number("confidence") > 0.9 && number("confidence") > number("threshold"), "{other}");
}

#[test]
fn a_threshold_of_the_policys_own_counts_instead_of_the_models() {
    let vpn = with("vpn error 691, the vpn client does not connect", json!({}));
    let decided = |file: &str| decide(&triage(file), &vpn);
    let models = decided("")["category"]["threshold"].clone();
    let never = decided("[policy.thresholds]\n\"Network/VPN\" = 1.01");
    assert_eq!(never["review"]["reason"], "low_confidence");
    assert_eq!(never["category"]["threshold"], 1.01);
    let loose = decided("[policy.thresholds]\n\"Network/VPN\" = 0");
    assert_eq!(
        (&loose["outcome"], &loose["category"]["threshold"]),
        (&json!("routed"), &json!(0.0))
    );
    let floor = "[policy]\nmin_confidence = 0.25\n[policy.thresholds]\n\"Network/VPN\" = 0.1";
    assert_eq!(decided(floor)["category"]["threshold"], 0.25);
    let other = decided("[policy.thresholds]\n\"Printing/Printer\" = 1.01");
    assert_eq!(other["category"]["threshold"], models);
}

#[test]
fn a_policy_that_does_not_fit_is_refused_with_everything_that_is_wrong() {
    let file = r#"
        [priority]
        matrix = "own"
        [priority.matrices.own]
        impacts = ["big", "small"]
        urgencies = ["1-high", "2-medium", "3-low"]
        priorities = ["A", "B"]
        rows = [["A", "A", "B"], ["B", "B", "B"]]
        default_impact = "small"
        default_urgency = "3-low"
        [policy.thresholds]
        "Network/VPN" = 0.5
        "Plumbing/Tap" = 0.5
        [[policy.routes]]
        category = ["Network/*", "Plumbing/*"]
        queue = "q"
        [[policy.routes]]
        category = ["Printing/*"]
        language = ["en"]
        queue = "q"
    "#;
    let config = config(file);
    let model = triaged::bundle::open(&config.model_dir).expect("the default model");
    let Err(mismatches) = Triage::new(Arc::new(model), Arc::new(config.policy)) else {
        panic!("it should not fit");
    };
    assert!(mismatches.iter().any(|m| matches!(m, Mismatch::Uncovered(labels)
        if labels.contains(&"Printing/Printer".to_owned()) && !labels.contains(&"Network/VPN".to_owned()))));
    let unknown = Mismatch::UnknownCategories(vec!["Plumbing/*".into()]);
    assert!(mismatches.contains(&unknown), "{mismatches:?}");
    let unknown = Mismatch::UnknownThresholds(vec!["Plumbing/Tap".into()]);
    assert!(mismatches.contains(&unknown), "{mismatches:?}");
    assert!(mismatches.iter().any(|m| matches!(m, Mismatch::UnknownLevels(l) if l.len() == 3)));
}
