use proptest::prelude::*;

use super::*;
use serde_json::json;

fn read_one(toml: &str) -> Result<Slot, Vec<String>> {
    let table: toml::Table = toml.parse().expect("TOML");
    let mut found = Found::new("f");
    let slot = slot("user".to_owned(), Fields::new("slots.user", table), &mut found);
    let problems: Vec<String> = found.into_list().iter().map(ToString::to_string).collect();
    match slot {
        Some(slot) if problems.is_empty() => Ok(slot),
        _ => Err(problems),
    }
}

fn find_in(slot: &str, subject: &str, body: &str, json: &Value) -> Result<String, Why> {
    let slot = read_one(slot).expect("a slot");
    let ticket = TicketView { id: "T-1", subject, body, source: "portal", language: "en", json };
    slot.find(&ticket).map(|v| v.to_string())
}

const USER: &str = "pattern = '[a-z]{2,20}\\.[a-z]{2,20}'\nfrom = ['/custom/user_id', 'text']";

#[test]
fn a_value_in_text_stands_alone() {
    let text = |body| find_in(USER, "", body, &Value::Null);
    let kim = Ok("kim.minji".to_owned());
    for body in [
        "kim.minji",
        "Please unlock kim.minji.",
        "(kim.minji)",
        "user:'kim.minji', thanks",
        "user: kim.minji\nkim.minji",
        "kim.minji의 계정이 잠겼어요",
        "계정kim.minji",
        "‘kim.minji’",
        "kim.minji。",
    ] {
        assert_eq!(text(body), kim, "{body}");
    }
    for body in [
        "",
        "kim.minji@example.com",
        "xkim.minji9",
        "kim.minji_2",
        "kim.minji.park",
        "corp\\kim.minji",
        "/home/kim.minji/x",
        "kim.minjié",
        "kim.minji\u{200b}",
        "kim.minji\u{301}",
        "kim.\u{202e}minji",
        "Kim.Minji",
    ] {
        assert_eq!(text(body), Err(Why::Absent), "{body:?}");
    }
    assert_eq!(text("kim.minji or lee.jiho"), Err(Why::Ambiguous));
    assert_eq!(find_in(USER, "lee.jiho", "kim.minji", &Value::Null), Err(Why::Ambiguous));
}

#[test]
fn a_longer_alternative_is_seen_and_so_is_a_second_value_behind_a_false_start() {
    let slot = "pattern = 'vdi-[0-9]{3}|vdi-[0-9]{4}'\nfrom = ['text']";
    assert_eq!(find_in(slot, "", "vdi-0123", &Value::Null), Ok("vdi-0123".to_owned()));
    let slot = "pattern = '[a-z ]{4}[0-9]{4}|prn-[0-9]{4}'\nfrom = ['text']";
    assert_eq!(find_in(slot, "", "ab prn-0042 prn-0043", &Value::Null), Err(Why::Ambiguous));
}

#[test]
fn two_sentences_without_a_blank_between_are_no_value() {
    let slot = format!("{USER}\nlowercase = true");
    let text = |body| find_in(&slot, "", body, &Value::Null);
    let kim = Ok("kim.minji".to_owned());
    assert_eq!(text("Locked since coffee.Could you unlock it?"), Err(Why::Absent));
    assert_eq!(text("Unlock kim.minji, locked since coffee.Thanks"), kim);
    assert_eq!(text("KIM.MINJI"), kim);
    // A doubt is a question for a person.
    assert_eq!(text("Kim.Minji"), Err(Why::Absent));
    let mail = "type = 'email'\nfrom = ['text']\nlowercase = true";
    let found = find_in(mail, "", "Kim.Minji@example.com", &Value::Null);
    assert_eq!(found, Ok("kim.minji@example.com".to_owned()));
}

#[test]
fn fields_go_before_text() {
    let json = serde_json::json!({"custom": {"user_id": " lee.jiho "}});
    assert_eq!(find_in(USER, "", "kim.minji", &json), Ok("lee.jiho".to_owned()));
    let agree = format!("{USER}\nagree = true");
    assert_eq!(find_in(&agree, "", "kim.minji", &json), Err(Why::Differs));
    assert_eq!(find_in(&agree, "", "lee.jiho!", &json), Ok("lee.jiho".to_owned()));
    assert_eq!(find_in(&agree, "", "nobody", &json), Ok("lee.jiho".to_owned()));
    // A field with something else is no reason to take the text's word; an empty one is none.
    for (value, expected) in [
        (json!("no user"), Err(Why::Differs)),
        (json!(7), Err(Why::Differs)),
        (json!([]), Err(Why::Differs)),
        (json!(" "), Ok("kim.minji".to_owned())),
        (json!(null), Ok("kim.minji".to_owned())),
    ] {
        let json = json!({"custom": {"user_id": value}});
        assert_eq!(find_in(&agree, "", "kim.minji", &json), expected, "{json}");
    }
    for json in ["kim minji", "", "a.b\r\nx", "kim.minji2"] {
        let json = serde_json::json!({"custom": {"user_id": json}});
        assert_eq!(find_in(USER, "", "kim.minji", &json), Ok("kim.minji".to_owned()), "{json}");
        assert_eq!(find_in(USER, "", "", &json), Err(Why::Absent), "{json}");
    }
}

#[test]
fn kinds_have_patterns_of_their_own() {
    let none = Value::Null;
    let number = "type = 'integer'\nfrom = ['/n', 'text']";
    assert_eq!(find_in(number, "", "", &serde_json::json!({"n": 42})), Ok("42".to_owned()));
    assert_eq!(find_in(number, "", "room 42", &none), Ok("42".to_owned()));
    assert_eq!(find_in(number, "", "", &serde_json::json!({"n": 4.5})), Err(Why::Absent));
    let mail = "type = 'email'\nfrom = ['requester']";
    let json = serde_json::json!({"requester": "kim@example.com"});
    assert_eq!(find_in(mail, "", "", &json), Ok("kim@example.com".to_owned()));
    let host = "type = 'hostname'\npattern = 'vdi-[0-9]{4}'\nlowercase = true\nfrom = ['text']";
    assert_eq!(find_in(host, "VDI-0123", "vdi-0123 hangs", &none), Ok("vdi-0123".to_owned()));
}

#[test]
fn an_integer_is_what_a_number_is_written_as() {
    let number = "type = 'integer'\nfrom = ['/n', 'text']";
    for text in ["0042", "007", "00"] {
        assert_eq!(find_in(number, "", text, &Value::Null), Err(Why::Absent), "{text}");
    }
    for text in ["0042", "007", "-0", "-01", "00"] {
        assert_eq!(find_in(number, "", "", &json!({"n": text})), Err(Why::Absent), "{text}");
    }
    for text in ["0", "42", "-7", "999999999999999999"] {
        assert_eq!(find_in(number, "", "", &json!({"n": text})), Ok(text.to_owned()), "{text}");
    }
}

#[test]
fn loose_patterns_are_refused() {
    for (pattern, says) in [
        ("[a-z]*", "nothing at all"),
        ("[a-z]+", "upper length"),
        ("[a-z]{1,600}", "upper length"),
        ("a|", "nothing at all"),
        ("^a{1,3}$", "anchors"),
        (r"\ba", "anchors"),
        ("(", "no regular expression"),
        ("(?=a)b", "no regular expression"),
        (r"(a)\1", "no regular expression"),
    ] {
        let problems = read_one(&format!("pattern = '{pattern}'\nfrom = ['text']"));
        let problems = problems.expect_err(pattern);
        assert!(problems[0].contains(says), "{pattern}: {problems:?}");
        assert!(problems[0].starts_with("f: slots.user.pattern: "), "{problems:?}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let problems = read_one("type = 'uuid'\nfrom = ['text', '/a', 'b']\nrequird = true");
    let problems = problems.expect_err("problems").join("\n");
    for says in ["type: must be", "pattern: is missing", "before \"text\"", "from[2]", "requird"] {
        assert!(problems.contains(says), "{says}: {problems}");
    }
}

#[test]
fn a_text_made_to_be_slow_is_given_up() {
    let slot = "pattern = '[ab]( [ab]){0,60}x?'\nfrom = ['text']";
    assert_eq!(find_in(slot, "", &"a ".repeat(200_000), &Value::Null), Err(Why::Ambiguous));
}

proptest! {
    #[test]
    fn a_value_found_in_any_text_fits_and_stands_in_it(
        pieces in prop::collection::vec(prop_oneof![
            prop::sample::select(vec![
                "kim.minji", "lee.jiho", ".", "@", " ", "의", "-", "\u{200b}", "\u{301}", "é", "\n",
            ]).prop_map(str::to_owned),
            any::<String>(),
        ], 0..12),
    ) {
        let text = pieces.concat();
        if let Ok(value) = find_in(USER, "", &text, &Value::Null) {
            prop_assert!(text.contains(&value));
            prop_assert!(value.split('.').count() == 2 && value.is_ascii());
            let again = find_in(USER, &value, &text, &Value::Null);
            prop_assert_eq!(again, Ok(value));
        }
    }
    /// What one process finds and writes into a record, another one takes from it.
    #[test]
    fn a_value_that_is_found_is_taken_again(
        pieces in prop::collection::vec(prop_oneof![
            prop::sample::select(vec![
                "0", "7", "042", "-", "kim.minji", "KIM.MINJI", "@", "example.com", "vdi-01", " ", "의",
            ]).prop_map(str::to_owned),
            any::<String>(),
        ], 0..8),
        slot in prop::sample::select(vec![
            USER,
            "type = 'integer'\nfrom = ['/n', 'text']",
            "type = 'integer'\npattern = '[0-9]{2,4}'\nfrom = ['/n', 'text']",
            "type = 'email'\nlowercase = true\nfrom = ['/n', 'text']",
            "type = 'hostname'\nlowercase = true\nfrom = ['/n', 'text']",
        ]),
        in_text in any::<bool>(),
    ) {
        let written = pieces.concat();
        let slot = read_one(slot).expect("a slot");
        let json = if in_text { Value::Null } else { json!({ "n": written }) };
        let body = if in_text { &*written } else { "" };
        let ticket =
            TicketView { id: "T-1", subject: "", body, source: "portal", language: "en", json: &json };
        if let Ok(value) = slot.find(&ticket) {
            prop_assert_eq!(slot.value(&value.to_string()), Some(value));
        }
    }
}
