use super::*;

pub(super) fn read_text(
    name: &str,
    content: impl AsRef<[u8]>,
    recipe: &str,
) -> Result<Data, TrainError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    read(&[path], &Recipe::parse(recipe).unwrap(), &mut |_| {})
}

/// What is printed of an error: it and its sources.
pub(super) fn told(error: &TrainError) -> String {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        told += &format!(": {error}");
        source = error.source();
    }
    told
}

#[test]
fn json_lines_and_csv_give_the_same_examples() {
    let recipe = "[columns]\nbody = \"text\"\ncategory = [\"a\", \"b\"]";
    let json = r#"{"id": 7, "subject": "VPN", "text": "mail kim@example.com", "a": "Network", "b": "VPN", "urgency": "1"}"#;
    let csv = "\u{feff}id,subject,text,a,b,urgency\n7,VPN,mail kim@example.com,Network,VPN,1\n";
    let from_json = read_text("x.jsonl", json, recipe).unwrap();
    let from_csv = read_text("x.csv", csv, recipe).unwrap();
    assert_eq!(from_json.examples, from_csv.examples);
    let example = &from_json.examples[0];
    assert_eq!(example.label(Target::Category), Some("Network/VPN"));
    assert_eq!(example.label(Target::Urgency), Some("1"));
    assert_eq!(example.label(Target::Impact), None);
    assert_eq!(example.body, "mail [EMAIL]");
}

#[test]
fn fields_are_read_where_they_stand() {
    let recipe = "[[fields]]\nname = \"dept\"\nfrom = \"/by/dept\"
        [[fields]]\nname = \"site\"\nfrom = \"/by/sites/1\"
        [[fields]]\nname = \"via\"\nfrom = \"/subject\"
        [[fields]]\nname = \"level\"\nfrom = \"/custom/level\"\ncolumn = \"Level\"";
    let rows = [
        r#"{"subject": "VPN", "category": "A", "by": {"dept": "HR", "sites": ["x", "Seoul  2"]}, "Level": 2}"#,
        r#"{"subject": "VPN", "category": "A", "by": ["HR"], "custom": {"level": 2}}"#,
        r#"{"by": {"dept": 1.5}, "subject": "VPN", "by": {"dept": false}, "category": "A"}"#,
    ];
    let data = read_text("x.jsonl", rows.join("\n"), recipe).unwrap();
    let fields: Vec<_> = data.examples.iter().map(|e| e.fields.join(" ")).collect();
    let first = "@dept=hr @site=seoul 2 @via=vpn @level=2";
    assert_eq!(fields, [first, "@via=vpn", "@dept=false @via=vpn"]);
    let csv = "subject,category,dept,site,via,Level\nVPN,A,HR,Seoul  2,VPN,2\n";
    assert_eq!(read_text("x.csv", csv, recipe).unwrap().examples[0].fields.join(" "), first);
    let error = read_text("x.csv", "subject,category,dept,site,via\n", recipe).unwrap_err();
    assert!(matches!(&error, TrainError::NoColumn { column, .. } if column == "Level"), "{error}");
}

#[test]
fn bad_rows_are_counted_by_reason() {
    let rows = [
        r#"{"body": "fine", "category": "A"}"#,
        "not json",
        "[1]",
        "",
        r#"{"body": "  ", "category": "A"}"#,
        r#"{"body": "x"}"#,
        r#"{"body": "x", "category": " "}"#,
        r#"{"body": "x", "category": {"name": "A"}}"#,
    ];
    let data = read_text("x.jsonl", rows.join("\n"), "").unwrap();
    assert_eq!((data.rows, data.examples.len()), (7, 1));
    assert_eq!(data.rejected[&Rejection::Unreadable], 2);
    assert_eq!(data.rejected[&Rejection::NoText], 1);
    assert_eq!(data.rejected[&Rejection::NoCategory], 3);
}

#[test]
fn spellings_are_counted_and_old_names_replaced() {
    let rows = [
        r#"{"body": "x", "category": "VPN", "created_at": "2026-03-04"}"#,
        r#"{"body": "y", "category": "VPN ", "created_at": 1772582400}"#,
        r#"{"body": "z", "category": " Tunnel", "created_at": "soon"}"#,
    ];
    let recipe = "[labels.aliases]\n\"Tunnel\" = \"VPN\"\n\"Fax\" = \"Printing\"";
    let data = read_text("x.jsonl", rows.join("\n"), recipe).unwrap();
    assert!(data.examples.iter().all(|e| e.label(Target::Category) == Some("VPN")));
    let dates: Vec<_> = data.examples.iter().map(|e| e.created_at).collect();
    assert_eq!(dates, [Some(1_772_582_400), Some(1_772_582_400), None]);
    assert_eq!(data.spellings.len(), 1);
    let spellings: Vec<&str> = data.spellings["VPN"].keys().map(String::as_str).collect();
    assert_eq!(spellings, [" Tunnel", "VPN", "VPN "]);
    assert_eq!((data.aliases["Tunnel"], data.aliases["Fax"]), (1, 0));
}

#[test]
fn a_column_that_no_row_has_is_told_if_somebody_asked_for_it() {
    let recipe = "[columns]\ncreated_at = \"opend\"\nimpact = \"how_bad\"\nurgency = \"urgency\"";
    let json = r#"{"body": "x", "category": "A", "opened": "2026-03-04", "how_bad": "high"}"#;
    let csv = "body,category,opened,how_bad\nx,A,2026-03-04,high\n";
    for (name, content) in [("x.jsonl", json), ("x.csv", csv)] {
        assert_eq!(read_text(name, content, recipe).unwrap().absent, ["opend"]);
    }
}

#[test]
fn nothing_usable_is_an_error_that_counts() {
    let error = read_text("x.jsonl", "x\ny", "").unwrap_err();
    assert!(matches!(error, TrainError::Empty { rows: 2, .. }), "{error}");
    let error = read_text("x.csv", "a,b\n1,2\n", "").unwrap_err();
    assert!(matches!(error, TrainError::NoColumn { .. }), "{error}");
}

#[test]
fn rows_keep_their_order_across_blocks() {
    let row = |n: usize| {
        format!("{{\"id\": {n}, \"body\": \"{}\", \"category\": \"A\"}}", "x ".repeat(400))
    };
    let json: Vec<String> = (0..3_000).map(row).collect();
    let csv: String = (0..3_000).map(|n| format!("{n},{},A\n", "x ".repeat(400))).collect();
    let from_json = read_text("x.jsonl", json.join("\n"), "").unwrap();
    let from_csv = read_text("x.csv", format!("id,body,category\n{csv}"), "").unwrap();
    assert_eq!(from_json.examples, from_csv.examples);
    assert!(from_json.examples.iter().enumerate().all(|(n, e)| e.id == n.to_string()));
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_is_refused_by_the_name_of_its_feature() {
    let error = read_text("x.parquet", "PAR1", "").unwrap_err();
    assert!(told(&error).contains("--features parquet"), "{error}");
}
