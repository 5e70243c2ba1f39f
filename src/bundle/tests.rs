use std::collections::BTreeMap;

use super::*;
use crate::train::method::Method;
use crate::triage::model::Calibration;
use crate::triage::text::language::Language;

pub(crate) fn bundle() -> Bundle {
    let vocabulary = ["[UNK]", "error", "printer", "vpn"].map(String::from);
    let head = HeadEntry {
        target: Target::Category,
        labels: vec!["Network".to_owned(), "Printing".to_owned()],
        tickets: vec![3, 4],
        thresholds: vec![0.8, 0.8],
        calibration: Calibration { temperature: 1.5, exponent: 0.25, ..Calibration::NONE }.into(),
        method: Method::NaiveBayes { alpha: 0.1 },
    };
    let mut bundle = Bundle {
        manifest: Manifest {
            format: FORMAT,
            version: "test-1".to_owned(),
            subject_weight: 2.0,
            fields: vec![],
            scope: std::iter::once((Language::En, 0.5)).collect(),
            heads: vec![head],
            omitted: vec![],
            training: TrainingFacts {
                data_sha256: "00".to_owned(),
                rows: 7,
                rejected: BTreeMap::new(),
                fitted_on: 7,
                calibrated_on: 0,
                tested_on: 0,
                split: None,
                too_small: BTreeMap::new(),
                recipe: serde_json::json!({}),
            },
            metrics: BTreeMap::new(),
            files: BTreeMap::new(),
        },
        tokenizer: definition::write(&vocabulary),
        scales: vec![0.0, 1.0, 1.5, 2.0],
        weights: vec![0.0, 0.0, -1.0, -1.0, -3.0, -0.5, -0.5, -3.0],
        biases: vec![vec![(3.0f64 / 7.0).ln(), (4.0f64 / 7.0).ln()]],
        probes: vec![],
        held_out: HeldOut { calibrate: vec!["1".to_owned()], test: vec!["2".to_owned()] },
        card: "# Test\n".to_owned(),
    };
    let model = bundle.assemble(ModelId::new("x")).unwrap();
    let judged = model.judge(&mut Scratch::default(), &Text::new("vpn", "error"));
    let confidence = judged.head(Target::Category).unwrap().confidence();
    bundle.probes = vec![Probe {
        subject: "vpn".to_owned(),
        body: "error".to_owned(),
        fields: vec![],
        expect: vec![Expected {
            target: Target::Category,
            label: "Network".to_owned(),
            confidence,
        }],
    }];
    bundle
}

#[test]
fn what_is_written_is_opened_with_the_same_scores() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    let id = write(&path, &bundle()).unwrap();
    let opened = open(&path).unwrap();
    assert_eq!(opened.id, id);
    assert_eq!(opened.version, "test-1");
    let direct = bundle().model().unwrap();
    assert_eq!(direct.id, id);
    assert_eq!(opened.heads(), direct.heads());
    let text = Text::new("vpn", "printer error");
    let judge = |model: &Model| model.judge(&mut Scratch::default(), &text);
    assert_eq!(judge(&opened), judge(&direct));
    // Over an older bundle, and nothing is left beside it.
    write(&path, &bundle()).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let read = read(&path).unwrap().0;
    assert_eq!((read.probes, read.held_out), (bundle().probes, bundle().held_out));
}

#[test]
fn a_bundle_names_tickets_that_it_was_fitted_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    let mut bundle = bundle();
    write(&path, &bundle).unwrap();
    // What tested it was not fitted on.
    let ids = |path: &Path| trained_on(path).unwrap().ids;
    assert_eq!(ids(&path), ["1"]);
    bundle.manifest.training.recipe = serde_json::json!({ "split": { "refit": true } });
    write(&path, &bundle).unwrap();
    assert_eq!(
        (ids(&path), trained_on(&path).unwrap().data_sha256.as_str()),
        (vec!["1".to_owned(), "2".to_owned()], "00")
    );
}

#[test]
fn a_bundle_whose_replacement_was_cut_off_is_named_and_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("m"), dir.path().join(".m.old"));
    let id = write(&path, &bundle()).unwrap();
    fs::rename(&path, &old).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, BundleError::CutOff { .. }), "{error:?}");
    assert!(error.to_string().contains(&old.display().to_string()), "{error}");

    let mut refused = bundle();
    refused.probes[0].expect[0].label = "Printing".to_owned();
    assert!(matches!(write(&path, &refused), Err(BundleError::ProbeFailed { .. })));
    assert_eq!(open(&path).unwrap().id, id);
    assert!(!old.exists());

    // What is left of an old one that was replaced goes with the next.
    fs::create_dir(&old).unwrap();
    fs::create_dir(dir.path().join(".m.new")).unwrap();
    write(&path, &bundle()).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn other_directories_are_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
    assert!(matches!(write(dir.path(), &bundle()), Err(BundleError::NotABundle { .. })));
    fs::write(dir.path().join(MANIFEST), "{\"name\": \"some other manifest\"}").unwrap();
    assert!(matches!(write(dir.path(), &bundle()), Err(BundleError::NotABundle { .. })));
    assert!(dir.path().join("thesis.txt").exists());
}

#[test]
fn what_is_no_part_of_a_bundle_is_not_lost_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    write(&model, &bundle()).unwrap();
    fs::write(model.join("NOTES.md"), "why we trained it").unwrap();
    assert!(matches!(write(&model, &bundle()), Err(BundleError::Foreign { .. })));
    assert!(model.join("NOTES.md").exists());
    for dir in [".", "..", "/"] {
        assert!(matches!(place(Path::new(dir)), Err(BundleError::Unnamed { .. })), "{dir}");
    }
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(place(&file), Err(BundleError::NotABundle { .. })));
    assert!(matches!(place(&file.join("model")), Err(BundleError::Write { .. })));
}

#[test]
fn a_link_stays_one_and_what_it_leads_to_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (link, real) = (dir.path().join("current"), dir.path().join("model-7"));
    std::os::unix::fs::symlink("model-7", &link).unwrap();
    for _ in 0..2 {
        write(&link, &bundle()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        open(&real).unwrap();
    }
}

#[test]
fn every_byte_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    write(&path, &bundle()).unwrap();
    for file in [TOKENIZER, WEIGHTS, PROBES, SPLIT, CARD] {
        let file = path.join(file);
        let original = fs::read(&file).unwrap();
        for at in [0, original.len() / 2, original.len() - 1] {
            let mut bytes = original.clone();
            bytes[at] ^= 1;
            fs::write(&file, &bytes).unwrap();
            assert!(matches!(open(&path), Err(BundleError::Checksum { .. })));
        }
        fs::write(&file, &original[..original.len() - 1]).unwrap();
        assert!(matches!(open(&path), Err(BundleError::Size { .. })));
        fs::remove_file(&file).unwrap();
        assert!(matches!(open(&path), Err(BundleError::Read { .. })));
        fs::write(&file, &original).unwrap();
    }
    open(&path).unwrap();
    let manifest = fs::read_to_string(path.join(MANIFEST)).unwrap();
    let change = |from: &str, to: &str| {
        assert!(manifest.contains(from), "{from}");
        fs::write(path.join(MANIFEST), manifest.replacen(from, to, 1)).unwrap();
        open(&path).unwrap_err()
    };
    let format = format!("\"format\": {FORMAT}");
    for other in [FORMAT - 1, FORMAT + 1] {
        let error = change(&format, &format!("\"format\": {other}"));
        assert!(matches!(error, BundleError::Format { found } if found == other), "{error}");
    }
    assert!(matches!(change(&format, "\"form\": 5"), BundleError::Manifest(_)));
    let outside = change("\"en\": 0.5", "\"en\": 1.5");
    assert!(matches!(outside, BundleError::Parts(ModelError::Scope)), "{outside}");
    assert!(matches!(change("weights.safetensors", "weights.bin"), BundleError::Unlisted { .. }));
    assert!(matches!(
        change("\"Printing\"", "\"Apples\""),
        BundleError::Parts(ModelError::Order(_))
    ));
    assert!(matches!(change("\"Network\",", ""), BundleError::Weights(_)));
    assert!(matches!(change("1.5", "0.1"), BundleError::ProbeFailed { probe: 1, .. }));
}

#[test]
fn a_file_is_refused_for_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model");
    write(&path, &bundle()).unwrap();
    let manifest = Manifest::parse(&fs::read(path.join(MANIFEST)).unwrap()).unwrap();
    // The manifest says of a file what is true.
    let listed = |file: &str, sum: FileSum| {
        let mut manifest = manifest.clone();
        manifest.files.insert(file.to_owned(), sum);
        fs::write(path.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
        open(&path).unwrap_err()
    };
    // Nothing is stored of so many zeros.
    let stretch =
        |file: &str, size| fs::File::create(path.join(file)).unwrap().set_len(size).unwrap();

    let card = fs::read(path.join(CARD)).unwrap();
    fs::write(path.join(CARD), [0xff]).unwrap();
    let error = listed(CARD, FileSum::of(&[0xff]));
    assert!(matches!(error, BundleError::NotText { file: CARD }), "{error}");
    fs::write(path.join(CARD), card).unwrap();

    stretch(TOKENIZER, MAX_FILE + 1);
    let error = listed(TOKENIZER, FileSum { size: MAX_FILE + 1, sha256: String::new() });
    assert!(matches!(error, BundleError::Oversized { limit: MAX_FILE, .. }), "{error}");

    stretch(MANIFEST, MAX_MANIFEST + 1);
    let error = open(&path).unwrap_err();
    assert!(matches!(error, BundleError::Oversized { limit: MAX_MANIFEST, .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("manifest.json has more than 16777216 bytes"), "{said}");
}

#[test]
fn parts_that_are_not_numbers_or_do_not_fit_are_refused() {
    let mut broken = bundle();
    broken.weights[2] = f32::NAN;
    assert!(matches!(broken.model(), Err(BundleError::Parts(ModelError::NotANumber { .. }))));
    let mut broken = bundle();
    broken.weights.extend([0.0, 0.0]);
    broken.scales.push(1.0);
    assert!(matches!(broken.model(), Err(BundleError::Parts(ModelError::Weights { .. }))));
    let mut broken = bundle();
    broken.weights.pop();
    assert!(matches!(broken.model(), Err(BundleError::Weights(_))));
    let mut broken = bundle();
    broken.probes[0].expect[0].label = "Printing".to_owned();
    assert!(matches!(broken.model(), Err(BundleError::ProbeFailed { .. })));
}

#[test]
fn a_missing_directory_says_what_to_do() {
    let error = open(Path::new("no/such/model")).unwrap_err().to_string();
    assert!(
        error.contains("no/such/model/manifest.json") && error.contains("triaged train"),
        "{error}"
    );
}
