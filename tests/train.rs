//! Training from end to end: the same data and seed give the same bytes, what is written is
//! opened with the same answers, and a target without a signal is left out in so many words.

use std::fs;
use std::path::{Path, PathBuf};

use triaged::bundle;
use triaged::train::evaluate::{Use, evaluate};
use triaged::train::recipe::Recipe;
use triaged::train::report::Report;
use triaged::train::{Counts, data, render, train};
use triaged::triage::model::{Scratch, Target};

/// Tickets about three things in two languages; the urgency follows the text, the impact does not.
fn tickets(path: &Path, n: usize) {
    let topics = [
        ("Network/VPN", "vpn tunnel drops gateway timeout remote", "원격 접속이 끊깁니다"),
        ("Network/Wi-Fi", "wireless signal access point slow floor", "무선 신호가 약합니다"),
        ("Printing", "printer paper jam toner tray queue", "프린터 용지가 걸렸어요"),
    ];
    let mut state = 1u64;
    let mut below = |n: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut lines = String::new();
    for i in 0..n {
        let (label, english, korean) = topics[below(3)];
        let words: Vec<&str> = english.split(' ').collect();
        let mut body: Vec<&str> = (0..6).map(|_| words[below(words.len())]).collect();
        if below(3) == 0 {
            body.push(korean);
        }
        let urgent = below(2) == 0;
        body.push(if urgent {
            "immediately, production is down"
        } else {
            "whenever you find time"
        });
        let row = serde_json::json!({
            "id": i, "subject": format!("case {i} {}", words[below(words.len())]),
            "body": body.join(" ") + " kim@example.com", "category": label,
            "urgency": if urgent { "high" } else { "low" },
            "impact": if below(2) == 0 { "wide" } else { "single" },
        });
        lines.push_str(&row.to_string());
        lines.push('\n');
    }
    lines.push_str("not a row\n{\"body\": \"lonely\", \"category\": \"Rare\"}\n");
    fs::write(path, lines).expect("writes");
}

fn all_bytes(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .expect("reads")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            (PathBuf::from(path.file_name().expect("a name")), fs::read(&path).expect("reads"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn same_data_same_bytes_same_answers() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tickets.jsonl");
    tickets(&file, 1_500);
    let recipe =
        Recipe::parse("version = \"t-1\"\nabout = \"Made for a test.\"").expect("a recipe");
    let run = |name: &str| {
        let (made, report) =
            train(std::slice::from_ref(&file), &recipe, &mut |_| {}).expect("trains");
        let out = dir.path().join(name);
        let id = bundle::write(&out, &made).expect("writes");
        (made, report, out, id)
    };
    let (made, report, first, id) = run("first");
    let (_, _, second, same_id) = run("second");
    assert_eq!(id, same_id);
    assert_eq!(all_bytes(&first), all_bytes(&second));

    // Counted, listed, left out: never silently dropped.
    assert_eq!((report.rows, report.rejected.values().sum::<u64>()), (1_502, 1));
    assert_eq!(report.too_small[&Target::Category]["Rare"], 1);
    let (omitted, why) = report.omitted.iter().find(|(t, _)| *t == Target::Impact).expect("impact");
    assert!(why.contains("no usable signal"), "{omitted}: {why}");
    let card = fs::read_to_string(first.join("README.md")).expect("a card");
    assert!(card.contains("no usable signal") && card.contains("Rare (1)"), "{card}");
    assert!(render::report(&report).contains("no usable signal"));

    // Signals are found, and confidence means what it says.
    let category = &report.evaluation.heads[0];
    assert!(category.accuracy > 0.95, "{}", render::report(&report));
    assert!(report.evaluation.heads.iter().any(|h| h.first_level));
    assert!(report.evaluation.heads.iter().any(|h| h.target == Target::Urgency));

    // The split is stored: who was held out, how, and the rest was fitted on.
    let split = fs::read_to_string(first.join("split.csv")).expect("a split");
    let count = |part: &str| split.lines().filter(|line| line.ends_with(part)).count() as u64;
    // So few are held out in turns to calibrate.
    assert_eq!((count(",calibrate"), count(",test")), (0, report.counts.tested_on));
    let learnt: u64 = made.manifest.heads[0].tickets.iter().sum();
    assert!(learnt > report.counts.fitted_on, "it was fitted again on all");
    assert_eq!(made.manifest.training.split.as_ref().map(|s| s.seed), Some(report.split.seed));
    assert!(card.contains("held out to test"), "{card}");

    // Opened from the files it answers as the one in memory, and its metrics can be repeated.
    let opened = bundle::open(&first).expect("opens");
    let direct = made.model().expect("a model");
    let rows =
        data::read(std::slice::from_ref(&file), &recipe, &mut |_| {}).expect("reads").examples;
    let mut scratch = Scratch::default();
    for row in rows.iter().take(300) {
        assert_eq!(
            opened.judge(&mut scratch, &row.text()),
            direct.judge(&mut Scratch::default(), &row.text())
        );
    }
    assert!(evaluate(&opened, &rows).heads[0].accuracy > 0.95);
    let probes = fs::read_to_string(first.join("probes.jsonl")).expect("probes");
    assert_eq!(probes.lines().count(), 12);
    assert!(probes.contains("[EMAIL]") && !probes.contains("kim@"));
}

#[test]
fn another_seed_another_split() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tickets.jsonl");
    tickets(&file, 400);
    let with = |seed: u64| {
        let recipe =
            Recipe::parse(&format!("[split]\nseed = {seed}\nrefit = false")).expect("a recipe");
        train(std::slice::from_ref(&file), &recipe, &mut |_| {}).expect("trains").0
    };
    assert!(with(1).weights != with(2).weights);
}

#[test]
fn a_recipe_gives_the_kind_of_model_that_it_names() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tickets.jsonl");
    tickets(&file, 300);
    for kind in ["naive-bayes", "complement", "sharpened"] {
        let recipe = format!("[fit]\nkind = \"{kind}\"\nalpha = [0.3]\nlambda = [0.3]");
        let recipe = Recipe::parse(&recipe).expect("a recipe");
        let made = train(std::slice::from_ref(&file), &recipe, &mut |_| {}).expect("trains").0;
        assert_eq!(made.biases.len(), 2, "category and urgency");
        for (head, biases) in made.manifest.heads.iter().zip(&made.biases) {
            let method = serde_json::to_value(head.method).expect("JSON");
            assert_eq!(method["kind"], kind, "{method}");
            // What was fitted shows where scores begin: at how frequent labels are, at zero, elsewhere.
            let all: u64 = head.tickets.iter().sum();
            let log = |n: &u64| (*n as f64 / all as f64).ln();
            let at_priors = head.tickets.iter().zip(biases).all(|(n, b)| (b - log(n)).abs() < 1e-9);
            let at_zero = biases.iter().all(|b| *b == 0.0);
            assert_eq!((at_priors, at_zero), (kind == "naive-bayes", kind == "complement"));
        }
    }
}

#[test]
fn the_newest_of_dated_tickets_are_the_test() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tickets.jsonl");
    tickets(&file, 300);
    let dated: Vec<String> = fs::read_to_string(&file)
        .expect("reads")
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|row| row["id"].is_number())
        .map(|mut row| {
            let days = row["id"].as_u64().unwrap_or_default();
            row["created_at"] = (1_772_582_400 + days * 86_400).into();
            row.to_string()
        })
        .collect();
    fs::write(&file, dated.join("\n")).expect("writes");
    let (made, report) =
        train(std::slice::from_ref(&file), &Recipe::default(), &mut |_| {}).expect("trains");
    let counts = Counts { fitted_on: 270, calibrated_on: 270, tested_on: 30 };
    assert_eq!(report.counts, counts);
    assert_eq!(report.split.calibrate_from, None);
    assert!(report.split.test_from.is_some_and(|from| from.as_str() > "2026-11-01"));
    assert!(made.card.contains("split by time"));
    assert_eq!(report.audit.tickets, 300);
}

/// The rows of [`tickets`] as JSON.
#[test]
fn dates_that_cannot_be_read_and_categories_that_are_too_new_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tickets.jsonl");
    let mut rows = rows(&path, 200);
    for (i, row) in rows.iter_mut().enumerate() {
        row["created_at"] = format!("2026-03-{:02}T{:02}:00:00Z", 1 + i / 10, i % 10).into();
        if i >= 185 {
            row["category"] = "Brand new".into();
        }
    }
    write_rows(&path, &rows);
    let of = |path: &PathBuf| {
        train(std::slice::from_ref(path), &Recipe::default(), &mut |_| ()).expect("trains")
    };
    let (bundle, report) = of(&path);
    let told = |report: &triaged::train::TrainReport, what: &str| {
        report.warnings.iter().any(|warning| warning.contains(what))
    };
    assert!(told(&report, "not learnt: Brand new (0 of its 15)"), "{:?}", report.warnings);
    let counted =
        "test tickets (15 of them of categories that were not learnt, which count as wrong)";
    assert!(bundle.card.contains(counted), "{}", bundle.card);
    for (i, row) in rows.iter_mut().enumerate() {
        row["category"] = if i % 2 == 0 { "A" } else { "B" }.into();
        row["created_at"] = "04.03.2026 09:12".into();
    }
    write_rows(&path, &rows);
    let (_, report) = of(&path);
    assert!(told(&report, "200 of 200 tickets have a date that cannot be read"));
}

fn rows(path: &Path, n: usize) -> Vec<serde_json::Value> {
    tickets(path, n);
    let text = fs::read_to_string(path).expect("reads");
    let rows = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    rows.filter(|row: &serde_json::Value| row["id"].is_number()).collect()
}

fn write_rows(path: &Path, rows: &[serde_json::Value]) {
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    fs::write(path, lines.join("\n")).expect("writes");
}

#[test]
fn a_label_whose_tickets_are_all_held_out_at_once_stops_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tickets.jsonl");
    let mut all = rows(&path, 200);
    // Nearly equal texts stay together, so one round has nothing to fit the label on.
    for i in 0..6 {
        all.push(serde_json::json!({
            "id": format!("same-{i}"), "category": "Once", "urgency": "rare", "subject": "",
            "body": "the coffee machine in the lobby has run out of beans",
        }));
    }
    write_rows(&path, &all);
    for seed in 0..8 {
        let mut recipe = Recipe::default();
        recipe.split.seed = seed;
        let trained = train(std::slice::from_ref(&path), &recipe, &mut |_| ());
        assert!(trained.is_ok(), "seed {seed}: {:?}", trained.err());
    }
}

#[test]
fn labels_without_a_signal_are_called_so_everywhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tickets.jsonl");
    let mut shuffled = rows(&file, 450);
    let labels: Vec<_> = shuffled.iter().map(|row| row["category"].clone()).collect();
    for (i, row) in shuffled.iter_mut().enumerate() {
        // 193 and 450 have no common divisor: every label is dealt out again, to another ticket.
        row["category"] = labels[(i * 193 + 71) % labels.len()].clone();
    }
    write_rows(&file, &shuffled);
    let (made, run) =
        train(std::slice::from_ref(&file), &Recipe::default(), &mut |_| {}).expect("trains");
    let says = "category: no usable signal";
    assert!(render::report(&run).contains(says), "{}", render::report(&run));
    assert!(serde_json::to_string(&run).expect("JSON").contains(says));
    assert!(made.card.contains(says), "{}", made.card);
    let report = Report::of_training("id", &made.manifest, &run);
    assert!(serde_json::to_string(&report).expect("JSON").contains(says));
    let page = report.html();
    let lead = page.find("class=\"lead\"").expect("a lead");
    assert!(page[lead..].find(says).is_some_and(|at| at < 2_000), "not in the headline");
    // It decides nothing alone.
    assert!(made.manifest.heads[0].thresholds.iter().all(|t| *t > 1.0));
}

#[test]
fn thirty_tickets_a_class_are_enough_to_say_what_each_is_good_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tickets.jsonl");
    let mut taken = std::collections::BTreeMap::new();
    let mut few = rows(&file, 400);
    few.retain(|row| {
        let n = taken.entry(row["category"].to_string()).or_insert(0);
        *n += 1;
        *n <= 30
    });
    // One class more, of which nobody can say anything yet: but for numbers all its texts are equal.
    let odd = |i: usize| serde_json::json!({"id": 900 + i, "body": format!("odd {i} thing"), "category": "Odd"});
    few.extend((0..5).map(odd));
    write_rows(&file, &few);
    let run =
        train(std::slice::from_ref(&file), &Recipe::default(), &mut |_| {}).expect("trains").1;
    assert_eq!(run.rows, 95);
    let held_out = run.held_out.as_ref().expect("a category");
    let says = |label: &str| held_out.labels.iter().find(|l| l.label == label).map(|l| l.use_for);
    for label in ["Network/VPN", "Network/Wi-Fi", "Printing"] {
        assert!(
            matches!(
                says(label),
                Some(Use::Always | Use::WhenSure | Use::WhenSureTogether | Use::Proposal)
            ),
            "{label}"
        );
    }
    assert_eq!(says("Odd"), Some(Use::TooFew));
    let text = render::report(&run);
    assert!(text.contains("fewer than 20 tickets: nobody can say): Odd\n"), "{text}");
    assert!(text.contains("weak: fewer than 30: Odd (5, 1 distinct)"), "{text}");
}

#[test]
fn copies_carry_no_threshold() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tickets.jsonl");
    let distinct = rows(&path, 24);
    let mut copied = Vec::new();
    for copy in 0..10 {
        copied.extend(distinct.iter().cloned().map(|mut row| {
            row["id"] = format!("{copy}-{}", row["id"]).into();
            row
        }));
    }
    write_rows(&path, &copied);
    let (made, run) =
        train(std::slice::from_ref(&path), &Recipe::default(), &mut |_| ()).expect("trains");
    // Two dozen texts cannot show 90 %, however often each is there.
    assert!(made.manifest.heads[0].thresholds.iter().all(|t| *t > 1.0), "{}", made.card);
    let held_out = run.held_out.as_ref().expect("a category");
    assert!(held_out.tickets > 150 && held_out.distinct() <= 24, "{}", held_out.distinct());
    assert!(held_out.labels.iter().all(|l| !matches!(l.use_for, Use::Always | Use::WhenSure)));
    let (low, high) = held_out.accuracy_interval();
    assert!(high - low > 0.1, "{low} to {high}");
    assert!(render::report(&run).contains("repeat another's text and label"));
}

/// Public tickets are not part of the project; where a folder with them lies beside it, the
/// quality on them is held.
#[test]
fn quality_on_public_tickets() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let run = |file: &str, recipe: &str| {
        let path = shared.join(file);
        if !path.exists() {
            eprintln!("skipped: {file} is not beside the project");
            return None;
        }
        let recipe = Recipe::parse(recipe).expect("a recipe");
        Some(train(&[path], &recipe, &mut |_| {}).expect("trains").1)
    };
    if let Some(report) =
        run("it-topics/tickets.jsonl", "[columns]\nbody = \"text\"\n[split]\ntest = 0.2")
    {
        let category = &report.evaluation.heads[0];
        let text = render::report(&report);
        assert!(category.accuracy > 0.81, "{text}");
        assert!(category.calibration_error < 0.035, "{text}");
        assert!(category.coverage_at[1].coverage > 0.42, "{text}");
    }
    let intents = "[columns]\nbody = \"text\"\ncategory = [\"intent\"]";
    if let Some(report) = run("korean-intents/train.jsonl", intents) {
        assert!(report.evaluation.heads[0].accuracy > 0.73, "{}", render::report(&report));
    }
}

#[test]
fn labels_with_just_too_few_tickets_left_are_told_with_their_numbers() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("tickets.jsonl");
    let mut rows = rows(&path, 96);
    for (i, row) in rows.iter_mut().enumerate() {
        let letter = |n: usize| char::from(b'a' + n as u8);
        row["category"] = ["A", "B", "C"][i % 3].into();
        (row["subject"], row["body"]) =
            ("".into(), format!("{}{}q thing", letter(i % 26), letter(i / 26)).into());
    }
    write_rows(&path, &rows);
    let mut recipe = Recipe::default();
    recipe.fit.min_tickets = 30;
    let error = train(std::slice::from_ref(&path), &recipe, &mut |_| ()).expect_err("too few");
    let says = "A has most: 29 of its 32 are left to learn from";
    assert!(error.to_string().contains(says), "{error}");
}
