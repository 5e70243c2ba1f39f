//! `triaged put` and `triaged tail`: records in and out of the configured log, by hand.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _, stdin, stdout};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use clap::Args;
use serde_json::{Map, Value, json};

use super::{ConfigArgs, logging, output};
use crate::config::{Config, LogConfig};
use crate::desk;
use crate::files;
use crate::log::embedded::{FILE, Store, StoreError};
use crate::log::{NewRecord, Record};
use crate::topics;

#[derive(Args)]
pub struct PutArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The topic to write to, such as tickets.new; the topics of orders and of the ledger are refused
    topic: String,
    /// One record a line; `-` is standard input. A line that is JSON with a `ticket_id` gets that
    /// as its key
    file: PathBuf,
}

pub fn put(args: &PutArgs) -> Result<()> {
    let config = args.config.load_for_records()?;
    logging::start(&config.logging);
    check_topic(&config, &args.topic)?;
    let from = args.file.display().to_string();
    let input: Box<dyn BufRead> = if from == "-" {
        Box::new(BufReader::new(stdin()))
    } else {
        Box::new(BufReader::new(
            File::open(&args.file).with_context(|| format!("cannot open {from}"))?,
        ))
    };
    // The first line that cannot be read ends the input; what came before it is written.
    let mut unreadable = None;
    let mut records = lines_as_records(input).map_while(|line| match line {
        Ok(record) => Some(record),
        Err(error) => {
            unreadable = Some(error);
            None
        }
    });
    let new = missing_log(&config);
    let written = topics::put(&config, &args.topic, &mut records);
    if let Some(dir) = new.filter(|dir| dir.join(FILE).is_file()) {
        output::note(made(dir));
    }
    let written = written?;
    output::note(format_args!("{written} records written to {}", args.topic));
    match unreadable {
        Some(error) => Err(error).with_context(|| format!("cannot read {from} any further")),
        None => Ok(()),
    }
}

/// The directory of the embedded log, where there is no log yet.
fn missing_log(config: &Config) -> Option<&Path> {
    let LogConfig::Embedded(embedded) = &config.log else { return None };
    (!embedded.dir.join(FILE).is_file()).then_some(&*embedded.dir)
}

/// That a log was made, and where: with a relative directory that hangs on the folder of the caller.
fn made(dir: &Path) -> String {
    let at = files::whole(dir);
    let hint = if dir.is_absolute() {
        ""
    } else {
        ": start `triaged run` from here or give an absolute embedded.dir"
    };
    format!("a new log was made in {}{hint}", at.display())
}

/// Refuses what people must not write by hand, and what nobody would read: a topic of the embedded log
/// is made as soon as something is put into it, so a slip of the pen would put tickets where nobody
/// reads them. On Kafka the brokers decide.
fn check_topic(config: &Config, topic: &str) -> Result<()> {
    let own = &config.resolve.topics;
    if topic == &*own.control || topic == &*own.ledger {
        bail!(
            "{topic} is written by triaged alone; orders are given with \
             `triaged kill | resume | playbook`"
        );
    }
    let LogConfig::Embedded(embedded) = &config.log else { return Ok(()) };
    let mut known = configured(config);
    match Store::open_existing(&embedded.dir) {
        Ok(store) => known.extend(store.topics()?.into_keys()),
        Err(StoreError::Missing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if known.contains(topic) {
        return Ok(());
    }
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    bail!("there is no topic `{topic}`, neither configured nor in the log; there are: {known}")
}

/// Every topic that the configuration names.
fn configured(config: &Config) -> BTreeSet<String> {
    let resolve = &config.resolve.topics;
    let state = [&resolve.actions, &resolve.outcomes, &resolve.ledger];
    let orders = [&resolve.control, &resolve.feedback];
    let routed = config.route.output_topics(&config.policy.queues());
    let topics = config.inputs.iter().chain(&routed).chain(state).chain(orders);
    topics.map(ToString::to_string).collect()
}

/// Every line that is not blank as a record.
pub fn lines_as_records(input: impl BufRead) -> impl Iterator<Item = io::Result<NewRecord>> {
    input.split(b'\n').filter_map(|line| {
        let line = match line {
            Ok(line) => line.trim_ascii().to_vec(),
            Err(error) => return Some(Err(error)),
        };
        let record =
            || NewRecord { key: key_of(&line), value: Some(line.clone()), ..NewRecord::default() };
        (!line.is_empty()).then(|| Ok(record()))
    })
}

fn key_of(line: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(line).ok()?;
    match value.get("ticket_id")? {
        Value::String(id) => Some(id.clone().into_bytes()),
        // As the ticket's outputs have it: `12.0` is 12.
        Value::Number(id) => {
            let whole = id.as_f64().filter(|_| id.is_f64()).and_then(desk::whole);
            Some(whole.map_or_else(|| id.to_string(), |id| id.to_string()).into_bytes())
        }
        _ => None,
    }
}

#[derive(Args)]
pub struct TailArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The topic to read, such as tickets.routed; `triaged check` lists those of the configuration
    topic: String,
    /// Go on as new records come, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Stop after so many records
    #[arg(long, short = 'n', value_name = "N")]
    max: Option<usize>,
    /// Print only the values, as they are
    #[arg(long)]
    values: bool,
}

pub fn tail(args: &TailArgs) -> Result<()> {
    let config = args.config.load_for_records()?;
    logging::start(&config.logging);
    let mut left = args.max.unwrap_or(usize::MAX);
    let mut failed = None;
    let each = |record: Record| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        if let Err(e) = print(&record, args.values) {
            failed = Some(e);
            return ControlFlow::Break(());
        }
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    topics::read(&config, &args.topic, args.follow, each)?;
    match failed {
        Some(error) => output::unless_closed(Err(error.into())),
        None => Ok(()),
    }
}

fn print(record: &Record, values: bool) -> std::io::Result<()> {
    let mut out = stdout().lock();
    if values {
        out.write_all(record.value.as_deref().unwrap_or_default())?;
    } else {
        serde_json::to_writer(&mut out, &shown(record))?;
    }
    out.write_all(b"\n")
}

/// A record as JSON: a value that is JSON as it is, other text as a string, other bytes in base64.
fn shown(record: &Record) -> Value {
    let bytes = |bytes: &Option<Vec<u8>>| match bytes {
        None => Value::Null,
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::String(text.to_owned()),
            Err(_) => json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
        },
    };
    let value = record.value.as_deref().and_then(|v| serde_json::from_slice(v).ok());
    let mut headers = Map::new();
    for (name, value) in &record.headers {
        headers.insert(name.to_string(), bytes(value));
    }
    json!({
        "topic": &*record.origin.topic,
        "partition": record.origin.partition,
        "offset": record.origin.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": bytes(&record.key),
        "headers": headers,
        "value": value.unwrap_or_else(|| bytes(&record.value)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_the_ledger_are_not_put_by_hand() {
        for kind in ["log.kind=embedded", "log.kind=kafka"] {
            let sets = [kind, "kafka.name=x", "topics.control=orders"].map(str::to_owned);
            let config = Config::load(None, &sets).unwrap();
            for topic in ["orders", "tickets.ledger"] {
                let refused = check_topic(&config, topic).unwrap_err().to_string();
                assert!(refused.contains("`triaged kill | resume | playbook`"), "{refused}");
            }
            assert!(check_topic(&config, "tickets.new").is_ok());
        }
    }

    #[test]
    fn a_record_has_the_key_that_its_outputs_will_have() {
        for (line, key) in [
            (r#"{"ticket_id":"T-1"}"#, Some("T-1")),
            (r#"{"ticket_id":12}"#, Some("12")),
            (r#"{"ticket_id":12.0}"#, Some("12")),
            (r#"{"ticket_id":1.5}"#, Some("1.5")),
            (r#"{"ticket_id":null}"#, None),
            ("not a ticket", None),
        ] {
            assert_eq!(key_of(line.as_bytes()).as_deref(), key.map(str::as_bytes), "{line}");
        }
    }
}
