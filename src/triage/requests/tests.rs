use proptest::prelude::*;

use super::*;
use crate::triage::model::{Calibration, Head, ModelId, Parts};
use crate::triage::text::lexicon::Lexicon;

/// Each label has a word of its own that speaks for it.
fn model(labels: &[&str], threshold: f64) -> Arc<Model> {
    let words = ["[UNK]", "hello", "vpn", "reset", "unlock"];
    let head = Head {
        target: Target::Category,
        labels: labels.iter().map(|l| Arc::from(*l)).collect(),
        thresholds: vec![threshold; labels.len()],
        calibration: Calibration { temperature: 0.2, exponent: 0.0, ..Calibration::NONE }.into(),
        bias: vec![0.0; labels.len()],
    };
    let weight = |(word, label): (usize, usize)| if word == label + 1 { 1.0 } else { 0.0 };
    let pairs = (0..words.len()).flat_map(|w| (0..labels.len()).map(move |l| (w, l)));
    Arc::new(
        Model::new(Parts {
            id: ModelId::new("test"),
            version: "test".to_owned(),
            lexicon: Lexicon::new(words).unwrap(),
            subject_weight: 1.0,
            heads: vec![head],
            scales: vec![1.0; words.len()],
            weights: pairs.map(weight).collect(),
        })
        .unwrap(),
    )
}

const LABELS: [&str; 4] = ["other", "other/vpn", "reset", "unlock"];

fn ask(threshold: f64, limits: Limits, text: &str) -> Known {
    let requests = Requests::new(model(&LABELS, threshold), limits).unwrap();
    requests.known(&mut Scratch::default(), &Text::new("", text))
}

#[test]
fn a_sure_request_is_known() {
    let known = ask(0.8, Limits::default(), "unlock unlock");
    assert_eq!(known.request.as_deref(), Some("unlock"));
    assert_eq!(known.doubt, None);
    assert!(known.confidence > 0.95 && known.margin < known.confidence, "{known:?}");
}

#[test]
fn each_doubt_has_its_reason_and_keeps_the_proposal() {
    let doubt = |threshold, limits, text| {
        let known = ask(threshold, limits, text);
        assert_eq!(known.request, None);
        assert!(!known.likeliest.is_empty());
        known.doubt.unwrap()
    };
    let limits = Limits::default();
    let close = Limits { min_margin: 0.99, ..limits };
    assert_eq!(doubt(0.8, limits, "unlock zzzz yyyy xxxx"), Doubt::UnknownWords);
    assert_eq!(doubt(0.8, limits, "unlock"), Doubt::TooShort);
    assert_eq!(doubt(0.8, limits, "hello vpn"), Doubt::Other);
    assert_eq!(doubt(0.9999, limits, "unlock unlock"), Doubt::LowConfidence);
    assert_eq!(doubt(0.8, close, "unlock unlock"), Doubt::TooClose);
    let tighter = Limits { min_confidence: 0.9999, ..limits };
    assert_eq!(doubt(0.8, tighter, "unlock unlock"), Doubt::LowConfidence);
}

#[test]
fn what_is_no_request_counts_as_one_whatever_it_is_called() {
    // Both together are likelier than the request, neither is alone.
    let known = ask(0.0, Limits { min_margin: 0.0, ..Limits::default() }, "hello vpn reset");
    assert_eq!(known.doubt, Some(Doubt::Other));
    assert_eq!(&*known.likeliest, "reset");
    assert!(is_other("other") && is_other("other/vpn"));
    assert!(!is_other("others") && !is_other("another") && !is_other(""));
}

#[test]
fn only_models_of_requests_are_taken() {
    let new = |labels| Requests::new(model(labels, 0.5), Limits::default()).map(|_| ());
    assert_eq!(new(&["network", "vpn"]), Err(NotRequests::NoOther));
    assert_eq!(new(&["other", "other/vpn"]), Err(NotRequests::OnlyOther));
    let requests = Requests::new(model(&LABELS, 0.5), Limits::default()).unwrap();
    assert_eq!(requests.names().map(|n| &**n).collect::<Vec<_>>(), ["reset", "unlock"]);
}

proptest! {
    #[test]
    fn nothing_is_taken_below_its_bar(
        text in "(hello |vpn |reset |unlock |zz ){0,8}",
        bar in 0.0..1.0f64,
        min_margin in 0.0..1.0f64,
    ) {
        let limits = Limits { min_margin, ..Limits::default() };
        let known = ask(bar, limits, &text);
        prop_assert!((0.0..=1.0).contains(&known.confidence));
        prop_assert!((-1.0..=1.0).contains(&known.margin));
        prop_assert_eq!(known.request.is_none(), known.doubt.is_some());
        if let Some(request) = known.request {
            prop_assert!(known.confidence >= bar && known.margin >= min_margin);
            prop_assert!(!is_other(&request));
        }
    }
}
