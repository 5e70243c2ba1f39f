//! What one ticket costs around the model: parse, decide, encode, and the whole route stage, with
//! the model that ships. `benches/core.rs` has the model's own steps.

#[path = "../tests/support/tickets.rs"]
mod tickets;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tickets::record;
use triaged::desk::{Input, parse};
use triaged::log::{Batch, Record};
use triaged::stage::Stage as _;
use triaged::stage::event::{self, Mode};
use triaged::stage::route::Route;
use triaged::triage::model::Scratch;

const SAMPLE: &str = include_str!("../training/corpus/demo.jsonl");
/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [(&str, usize); 3] = [("0.2KB", 200), ("1KB", 1_000), ("8KB", 8_000)];

/// Tickets whose texts are sentences of the sample, in one language, up to `bytes`.
fn records(language: &str, bytes: usize) -> Vec<Record> {
    let texts: Vec<String> = SAMPLE
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a ticket"))
        .filter(|ticket| ticket["language"] == language)
        .map(|ticket| ticket["body"].as_str().unwrap_or_default().to_owned())
        .collect();
    let mut texts = texts.iter().cycle();
    (0..64)
        .map(|offset| {
            let mut body = String::new();
            while body.len() < bytes {
                body.push_str(texts.next().expect("the sample is not empty"));
                body.push('\n');
            }
            body.truncate(body.floor_char_boundary(bytes));
            let ticket = tickets::ticket(&format!("T-{offset}"), "", &body);
            record(offset, ticket.to_string().as_bytes())
        })
        .collect()
}

fn input(record: &Record) -> Input<'_> {
    Input { value: record.value.as_deref(), headers: &record.headers, max_bytes: 1 << 20 }
}

fn stages(c: &mut Criterion) {
    let fixture = tickets::fixture();
    for language in ["en", "ko"] {
        for (size, bytes) in SIZES {
            let records = records(language, bytes);
            let id = || BenchmarkId::new(language, size);
            let mut next = (0..records.len()).cycle();
            let mut record = || &records[next.next().unwrap_or(0)];
            let mut scratch = Scratch::default();

            c.benchmark_group("parse").bench_function(id(), |b| {
                b.iter(|| parse(&input(black_box(record()))).is_ok());
            });
            let parsed = parse(&input(&records[0])).expect("a ticket");
            c.benchmark_group("decide").bench_function(id(), |b| {
                b.iter(|| {
                    let ticket = parse(&input(record())).expect("a ticket");
                    fixture.triage.decide(&mut scratch, black_box(&ticket)).category.confidence
                });
            });
            let decision = fixture.triage.decide(&mut scratch, &parsed);
            c.benchmark_group("encode").bench_function(id(), |b| {
                b.iter(|| {
                    let topic = Arc::clone(&fixture.settings.routed);
                    event::decided(&records[0], &parsed, &decision, topic, Mode::Binary, "/b")
                });
            });
            let mut stage = Route::new(
                Arc::clone(&fixture.triage),
                fixture.settings.clone(),
                Arc::clone(&fixture.metrics),
            );
            let batch = Batch::of(records.clone());
            let mut group = c.benchmark_group("route");
            group.throughput(Throughput::Elements(batch.records.len() as u64));
            group.bench_function(id(), |b| b.iter(|| stage.run(black_box(&batch))));
            group.finish();
        }
    }
}

criterion_group! {
    name = route;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_millis(800))
        .sample_size(40);
    targets = stages
}
criterion_main!(route);
