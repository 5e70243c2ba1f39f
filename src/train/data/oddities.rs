//! Files as people export them.

use super::tests::{read_text, told};
use super::*;

/// A header and this many rows, with a cell that holds all separators.
fn table(separator: &str, rows: usize) -> String {
    let line = |cells: [&str; 3]| cells.join(separator) + "\n";
    let row = |n: usize| line([&n.to_string(), "\"slow; a,\tb\"", "A"]);
    line(["id", "body", "category"]) + &(0..rows).map(row).collect::<String>()
}

fn utf16(text: &str, mark: &[u8]) -> Vec<u8> {
    [mark.to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()
}

#[test]
fn cells_are_parted_by_commas_semicolons_or_tabs() {
    let expected = read_text("x.csv", table(",", 3), "").unwrap().examples;
    assert_eq!(expected[0].body, "slow; a,\tb");
    for separator in [";", "\t"] {
        let data = read_text("x.csv", table(separator, 3), "").unwrap();
        assert_eq!(data.examples, expected, "{separator:?}");
    }
    let data = read_text("x.tsv", table("\t", 3), "").unwrap();
    assert_eq!(data.examples, expected);
    // A header with commas stays one, whatever else is in it.
    let data = read_text("x.csv", "id;\tno,body,category\n1,x,A\n", "").unwrap();
    assert_eq!(data.examples[0].id, "row-1");
}

#[test]
fn a_first_line_may_name_what_parts_the_cells() {
    let expected = read_text("x.csv", table(",", 3), "").unwrap().examples;
    for (line, separator) in [
        ("sep=;\r\n", ";"),
        ("\u{feff}sep=;\n", ";"),
        ("SEP=,\n", ","),
        ("sep=\t\n", "\t"),
        ("sep=|\n", "|"),
    ] {
        let text = format!("{line}{}", table(separator, 3));
        let data = read_text("x.csv", text, "").unwrap();
        assert_eq!(data.examples, expected, "{line:?}");
    }
    // Lines are counted from the file's first.
    for end in ["\n", "\r\n"] {
        let text = [&b"sep=;\nbody;category\nx;A\n"[..], b"\xc7\xd1;A\n"].concat();
        let text = text.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(end.as_bytes());
        let remarks = read_text("x.csv", text, "").unwrap().remarks();
        assert!(remarks[0].starts_with("1 rows are not UTF-8, the first in line 4"), "{remarks:?}");
    }
    let error = read_text("x.csv", "sep=;;\nx;A\n", "").unwrap_err();
    assert!(matches!(error, TrainError::NoColumn { .. }), "a header like any other: {error}");
}

#[test]
fn a_column_that_is_used_is_there_once() {
    let read = |header: &str| read_text("x.csv", format!("{header}\n1,x,A,B\n"), "");
    for (header, name) in
        [("id,body,category,category", "category"), ("id,body,category, id", "id")]
    {
        let error = read(header).unwrap_err();
        let says = format!("x.csv: it has several columns `{name}`: rename all but the one");
        assert!(told(&error).contains(&says), "{error}");
    }
    assert_eq!(read("body,note,category,note").unwrap().examples[0].body, "1");
    let recipe = "[[fields]]\nname = \"note\"\nfrom = \"/note\"";
    let error = read_text("x.csv", "body,note,category,note\n1,x,A,B\n", recipe).unwrap_err();
    assert!(told(&error).contains("several columns `note`"), "{error}");
}

#[test]
fn a_byte_order_mark_is_no_problem() {
    let lines = "{\"body\": \"slow\", \"category\": \"A\"}\n";
    for text in [
        table(",", 1),
        table(";", 1).replace("id", "\"id\""),
        "\"body\",category\nslow,A\n".to_owned(),
    ] {
        let plain = read_text("x.csv", &text, "").unwrap();
        let marked = read_text("x.csv", format!("\u{feff}{text}"), "").unwrap();
        assert_eq!(marked.examples, plain.examples);
    }
    let marked = read_text("x.jsonl", format!("\u{feff}{lines}"), "").unwrap();
    assert_eq!(marked.examples, read_text("x.jsonl", lines, "").unwrap().examples);
}

#[test]
fn a_column_that_is_missing_is_told_with_those_that_are_there() {
    let error = read_text("x.csv", "Nr,text,Category\n1,x,A\n", "").unwrap_err();
    let TrainError::NoColumn { column, found, .. } = &error else { panic!("{error}") };
    assert_eq!((&**column, &**found), ("category", "`Category`, `Nr`, `text`"));
    assert!(told(&error).contains(found), "{error}");
    // A separator that is not known makes one long name.
    let header = format!("category|{}\u{1b}\n", "x".repeat(1_000));
    let error = read_text("x.csv", header, "").unwrap_err();
    let TrainError::NoColumn { found, .. } = &error else { panic!("{error}") };
    assert_eq!(*found, format!("`category|{}`", "x".repeat(51)));
    let many: Vec<String> = (10..40).map(|n| format!("c{n}")).collect();
    let error = read_text("x.csv", many.join(",") + "\n", "").unwrap_err();
    let TrainError::NoColumn { found, .. } = &error else { panic!("{error}") };
    assert!(found.starts_with("`c10`, ") && found.ends_with("`c29`, 10 more"), "{found}");
}

#[test]
fn keys_that_are_there_are_told_where_no_row_can_be_used() {
    let rows = "{\"Category\": \"A\", \"text\": \"x\"}\n".repeat(2);
    for recipe in ["", "[columns]\nbody = \"text\""] {
        let error = read_text("x.jsonl", &rows, recipe).unwrap_err();
        let TrainError::Empty { rows: 2, why } = &error else { panic!("{error}") };
        assert!(why.ends_with("; there are `Category`, `text`"), "{why}");
        assert!(told(&error).contains(why), "{error}");
    }
    // As a table without a column for texts has it.
    let error = read_text("x.csv", "category,text\nA,x\n", "").unwrap_err();
    let says = "1 no_text; name the right columns in the recipe's [columns]; there are `category`, \
                `text`";
    assert!(told(&error).ends_with(says), "{error}");
    let error = read_text("x.jsonl", "", "").unwrap_err();
    assert!(told(&error).contains("the files have none"), "{error}");
}

#[test]
fn another_encoding_is_called_by_its_name() {
    let korean: &[u8] = b"\xc7\xd1\xb1\xdb";
    let table = |cell: &[u8]| [&b"id,body,category\n1,x,A\n2,"[..], cell, b",A\n3,y,A\n"].concat();
    let lines = |cell: &[u8]| {
        [&b"{\"body\": \"x\", \"category\": \"A\"}\n\n{\"body\": \""[..], cell, b"\"}\n"].concat()
    };
    for (name, content) in [("x.csv", table(korean)), ("x.jsonl", lines(korean))] {
        let data = read_text(name, content, "").unwrap();
        assert_eq!(data.rejected, BTreeMap::from([(Rejection::NotUtf8, 1)]), "{name}");
        let says = format!("1 rows are not UTF-8, the first in line 3 of {name}: save it as UTF-8");
        assert!(data.remarks()[0].starts_with(&says), "{:?}", data.remarks());
    }
    let line = [&b"\n{\"body\": \""[..], korean, b"\"}\n"].concat();
    let error = read_text("x.jsonl", line, "").unwrap_err();
    let says = "1 not_utf8; 1 rows are not UTF-8, the first in line 2 of x.jsonl: save it as UTF-8";
    assert!(told(&error).contains(says), "{error}");
    let error = read_text("x.csv", [korean, b",category\n"].concat(), "").unwrap_err();
    assert!(told(&error).contains("line 1 is not UTF-8: save it as UTF-8"), "{error}");
    for name in ["x.csv", "x.jsonl"] {
        for mark in [&b"\xff\xfe"[..], b""] {
            let error = read_text(name, utf16("{id,body,category", mark), "").unwrap_err();
            assert!(told(&error).contains("UTF-16, not UTF-8: save it as UTF-8"), "{error}");
        }
        let error = read_text(name, "PK\u{3}\u{4}\u{14}", "").unwrap_err();
        assert!(told(&error).contains("save the sheet as CSV UTF-8"), "{error}");
        for (start, advice) in [
            (&b"\x1f\x8b\x08\x00\x00"[..], "it is compressed: gunzip it first"),
            (b"\x28\xb5\x2f\xfd\x04\x00", "it is compressed: decompress it with zstd first"),
        ] {
            let error = read_text(name, start, "").unwrap_err();
            assert!(told(&error).contains(advice), "{error}");
        }
    }
}

#[test]
fn a_json_array_is_told_from_lines() {
    let row = "{\"body\": \"x\", \"category\": \"A\"}";
    for (line, text) in
        [(1, format!("[{row}, {row}]")), (3, format!("\u{feff}\n\n [\n{row},\n{row}\n]\n"))]
    {
        let error = read_text("x.json", text, "").unwrap_err();
        let says = format!("line {line} begins a JSON array: one object a line is needed");
        assert!(told(&error).contains(&says), "{error}");
    }
    // An object over many lines.
    let error = read_text("x.json", "\n{\n\"body\": \"x\"\n}\n", "").unwrap_err();
    let says = "3 unreadable; line 2 of x.json is the first that cannot be read: it must be one \
                JSON object";
    assert!(told(&error).contains(says), "{error}");
}

#[test]
fn a_level_that_is_missing_is_called_by_its_column() {
    let recipe = "[columns]\ncategory = [\"top\", \"sub\"]";
    let csv = "body,top,sub\nx,A,B\nx,A,\nx,A, \nx,,B\nx,,\n";
    let json =
        "{\"body\": \"x\", \"top\": \"A\", \"sub\": \"B\"}\n{\"body\": \"x\", \"top\": \"A\"}\n";
    let data = read_text("x.csv", csv, recipe).unwrap();
    let told: Vec<_> = data.rejected.iter().map(|(why, n)| (why.as_str(), *n)).collect();
    assert_eq!(told, [("no value in `sub`", 2), ("no value in `top`", 2)]);
    let data = read_text("x.jsonl", json, recipe).unwrap();
    assert_eq!(serde_json::to_string(&data.rejected).unwrap(), r#"{"no value in `sub`":1}"#);
    let data = read_text("x.csv", csv, "[columns]\ncategory = [\"top\"]").unwrap();
    assert_eq!((data.examples.len(), &data.rejected[&Rejection::NoCategory]), (3, &2));
}

#[test]
fn labels_are_one_line() {
    let row = |category: &str, urgency: &str| {
        let row = serde_json::json!({"body": "x", "category": category, "urgency": urgency});
        row.to_string() + "\n"
    };
    let rows = [
        row("A\n", "\t1"),
        row("A\nB", "1"),
        row("A", "1\u{7}2"),
        row("A\u{2028}B", ""),
        row("A\u{85}B", ""),
        row("\u{a0}A \u{3000}B", "1"),
    ];
    let data = read_text("x.jsonl", rows.concat(), "").unwrap();
    assert_eq!(data.rejected, BTreeMap::from([(Rejection::ControlCharacter, 4)]));
    let labels: Vec<_> = data.examples.iter().filter_map(|e| e.label(Target::Category)).collect();
    assert_eq!(labels, ["A", "A \u{3000}B"]);
    assert_eq!(data.examples[0].label(Target::Urgency), Some("1"));
    // An alias mends what it renames.
    let data = read_text("x.jsonl", rows[1].as_str(), "[labels.aliases]\n\"A\\nB\" = \"AB\"");
    assert_eq!(data.unwrap().examples[0].label(Target::Category), Some("AB"));
}

#[test]
fn a_quote_that_is_not_closed_is_told_by_its_line() {
    let rows = "3,y,A\n".repeat(300);
    let table = format!("id,body,category\n1,\"two\nlines\",A\n2,\"slow,A\n{rows}");
    for text in [table.clone(), table.replace('\n', "\r\n")] {
        let data = read_text("x.csv", text, "").unwrap();
        assert_eq!((data.rows, data.examples.len()), (2, 1));
        let remarks = data.remarks();
        let says = "the record that begins in line 4 of x.csv is 30";
        assert!(remarks.len() == 1 && remarks[0].starts_with(says), "{remarks:?}");
    }
    let alone = table.replace("1,\"two\nlines\",A\n", "");
    let error = read_text("x.csv", alone, "").unwrap_err();
    assert!(told(&error).contains("1 unreadable; the record that begins in line 2"), "{error}");
    let long = format!("id,body,category\n1,\"{}\",A\n", "a line\n".repeat(199));
    assert_eq!(read_text("x.csv", long, "").unwrap().remarks(), [] as [&str; 0]);
}

#[test]
fn whether_tickets_were_to_have_dates_is_known() {
    let row = |more: &str| format!("{{\"body\": \"x\", \"category\": \"A\"{more}}}");
    let named = "[columns]\ncreated_at = \"opened\"";
    for (more, recipe, expected) in [
        ("", "", false),
        (", \"created_at\": null", "", false),
        (", \"created_at\": \"2026-03-04\"", "", true),
        (", \"created_at\": \"\"", "", true),
        ("", named, true),
    ] {
        let data = read_text("x.jsonl", row(more), recipe).unwrap();
        assert_eq!(data.dates_expected, expected, "{more} {recipe}");
    }
}
