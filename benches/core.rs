//! What one ticket costs: redaction, words, scores, explanation, and all of it.
//!
//! Tickets are made of a vocabulary of 30,000 words used as often as their rank allows (Zipf),
//! with capitals, punctuation, error codes, 5 % unknown words and, in a Korean set, particles.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use triaged::triage::model::{Calibration, Head, Model, ModelId, Parts, SHOWN, Scratch, Target};
use triaged::triage::text::Text;
use triaged::triage::text::bag::Bag;
use triaged::triage::text::language::Language as Tongue;
use triaged::triage::text::lexicon::{Lexicon, each_gram};
use triaged::triage::text::redact::redact;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [(&str, usize); 3] = [("0.2KB", 200), ("1KB", 1_000), ("8KB", 8_000)];

/// A small linear congruential generator: the same tickets in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    /// Small numbers far more often than great ones.
    fn zipf(&mut self, n: usize) -> usize {
        let x = (self.below(1 << 24) as f64 + 1.0) / f64::from(1 << 24);
        ((n as f64).powf(x) as usize).min(n - 1)
    }
}

fn english(random: &mut Random) -> String {
    let syllables = [
        "con", "net", "ver", "in", "ter", "dis", "play", "mail", "out", "er", "ing", "pro", "ser",
        "fi", "le", "ac", "cess", "pass", "word", "re", "set", "up", "da", "te", "print", "a",
        "lo",
    ];
    (0..1 + random.below(3)).map(|_| syllables[random.below(syllables.len())]).collect()
}

fn korean(random: &mut Random) -> String {
    let syllable = |random: &mut Random| char::from_u32(0xac00 + random.below(2_000) as u32 * 5);
    (0..1 + random.below(3)).filter_map(|_| syllable(random)).collect()
}

struct Language {
    words: Vec<String>,
    particles: &'static [&'static str],
}

fn language(make: fn(&mut Random) -> String, particles: &'static [&'static str]) -> Language {
    let mut random = Random(7);
    let mut words = std::collections::BTreeSet::new();
    while words.len() < 15_000 {
        let word = format!("{}{}", make(&mut random), ["", "", "s", "x"][random.below(4)]);
        words.insert(word);
        if random.below(50) == 0 {
            words.insert(random.below(100_000).to_string());
        }
    }
    let mut words: Vec<String> = words.into_iter().collect();
    for i in (1..words.len()).rev() {
        words.swap(i, random.below(i + 1));
    }
    Language { words, particles }
}

impl Language {
    fn ticket(&self, seed: u64, size: usize) -> String {
        let mut random = Random(seed);
        let mut text = String::new();
        while text.len() < size {
            let word = &self.words[random.zipf(self.words.len())];
            match random.below(100) {
                0..5 => text.extend(["zq", word, "qz"]),
                5..20 => {
                    let mut chars = word.chars();
                    text.extend(chars.next().map(|c| c.to_uppercase().to_string()));
                    text.push_str(chars.as_str());
                }
                20..22 => text.push_str("0x80070005"),
                _ => text.push_str(word),
            }
            text.push_str(self.particles[random.below(self.particles.len())]);
            text.push_str(
                [" ", " ", " ", " ", " ", " ", ", ", ". ", ".\n", ": "][random.below(10)],
            );
        }
        text
    }

    fn tickets(&self, size: usize) -> Vec<String> {
        (0..64).map(|seed| self.ticket(seed, size)).collect()
    }
}

/// All words, their n-grams, and some pairs, as a trained vocabulary has them.
fn lexicon(languages: &[&Language]) -> Lexicon {
    let words: BTreeSet<&String> = languages.iter().flat_map(|l| &l.words).collect();
    let mut grams = BTreeSet::new();
    for word in &words {
        each_gram(word, |gram| grams.extend([format!("#{gram}")]));
    }
    let words: Vec<&str> = words.into_iter().map(String::as_str).collect();
    let pairs: Vec<String> = words
        .iter()
        .flat_map(|first| words.iter().step_by(7).map(move |second| format!("{first} {second}")))
        .take(60_000)
        .collect();
    let entries = words.iter().copied().chain(grams.iter().map(String::as_str));
    Lexicon::new(std::iter::once("[UNK]").chain(entries).chain(pairs.iter().map(String::as_str)))
        .expect("a vocabulary in order")
}

fn model(lexicon: Lexicon, categories: usize) -> Model {
    // Shares of wrong labels as in the model that ships: they take roots of all probabilities.
    let calibration = Calibration { temperature: 0.5, exponent: 0.1, noise: 0.03, confusion: 0.07 };
    let head = |target, labels: usize| Head {
        target,
        labels: (0..labels).map(|i| Arc::from(format!("label {i:03}"))).collect(),
        thresholds: vec![0.5; labels],
        calibration: calibration.into(),
        bias: vec![-(labels as f64).ln(); labels],
    };
    let heads = vec![head(Target::Category, categories), head(Target::Urgency, 3)];
    let mut random = Random(3);
    let weights = (0..lexicon.len() * (categories + 3))
        .map(|_| random.below(1_000) as f32 / 100.0 - 5.0)
        .collect();
    let scales = (0..lexicon.len()).map(|_| 1.0 + random.below(8) as f32).collect();
    let (id, version) = (ModelId::new("bench"), "bench".to_owned());
    let subject_weight = 2.0;
    Model::new(Parts { id, version, lexicon, subject_weight, heads, scales, weights })
        .expect("a sound model")
}

/// Goes through the tickets in turn, so that caches see what they see in service.
fn each<'a>(tickets: &'a [String], next: &mut usize) -> &'a str {
    *next = (*next + 1) % tickets.len();
    &tickets[*next]
}

fn text(c: &mut Criterion) {
    let english = language(english, &[""]);
    let korean = language(korean, &["", "", "이", "가", "에서", "으로"]);
    let lexicon = lexicon(&[&english, &korean]);
    for (name, language) in [("en", &english), ("ko", &korean)] {
        for (size, bytes) in SIZES {
            let tickets = language.tickets(bytes);
            let mut next = 0;
            let mut group = c.benchmark_group("redact");
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| redact(black_box(each(&tickets, &mut next))).1);
            });
            group.finish();
            let mut group = c.benchmark_group("tokenise");
            group.throughput(Throughput::Bytes(bytes as u64));
            let mut bag = Bag::default();
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| {
                    bag.clear();
                    bag.add(&lexicon, black_box(each(&tickets, &mut next)), 1.0);
                    bag.occurrences()
                });
            });
            group.finish();
        }
    }
}

fn judge(c: &mut Criterion) {
    let english = language(english, &[""]);
    let korean = language(korean, &["", "", "이", "가", "에서", "으로"]);
    for categories in [12, 40, 200] {
        let model = model(lexicon(&[&english, &korean]), categories);
        for (size, bytes) in SIZES {
            let id = |language: &str| BenchmarkId::new(format!("{language}/{categories}"), size);
            let tickets = english.tickets(bytes);
            let mut next = 0;
            let mut scratch = Scratch::default();
            let _ = model.judge(&mut scratch, &Text::new("", &tickets[0]));
            c.benchmark_group("score").bench_function(id("en"), |b| {
                b.iter(|| model.score(black_box(&mut scratch)));
            });
            let heads = model.probabilities(&scratch, Tongue::En);
            c.benchmark_group("explain").bench_function(id("en"), |b| {
                b.iter(|| model.explain(&scratch, black_box(&heads), Tongue::En, Some(SHOWN)));
            });
            for (name, language) in [("en", &english), ("ko", &korean)] {
                let tickets = language.tickets(bytes);
                c.benchmark_group("judge").bench_function(id(name), |b| {
                    b.iter(|| {
                        let text = Text::new("", each(&tickets, &mut next));
                        model.judge(&mut scratch, black_box(&text))
                    });
                });
            }
        }
    }
}

criterion_group! {
    name = core;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_millis(800))
        .sample_size(40);
    targets = text, judge
}
criterion_main!(core);
