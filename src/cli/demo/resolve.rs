//! The demonstration's second part: known requests resolved by the playbooks that ship, one taken
//! back, one held back by a guard. The runbooks are played in this process.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{next, print_line, readers, topics};
use crate::cli::output::note;
use crate::cli::show::Palette;
use crate::config::{Config, Stages};
use crate::health::Stop;
use crate::log::Record;
use crate::runbooks::{self, Runbooks};
use crate::service::{self, Service};
use crate::train::render::one_line;
use crate::undo::{self, Which};

/// Synthetic tickets: one for each playbook, and one of a VIP.
const TICKETS: &str = include_str!("resolve.jsonl");

/// How many of them are resolved, and how many held back.
const RESOLVED: usize = 4;
const HELD: usize = 1;

/// Plays it in the folder `dir`, until the end or until `ended`. Every outcome is a line, as decisions
/// are in the first part.
pub fn play(config: &Config, dir: &Path, palette: Palette, json: bool, ended: &Stop) -> Result<()> {
    let mut config = config.clone();
    if let crate::config::LogConfig::Embedded(embedded) = &mut config.log {
        embedded.dir = dir.to_owned();
    }
    // The model that ships recognises these requests and lies beside the other; settings of
    // one's own win.
    let beside = config.model_dir.with_file_name("requests");
    let model = config.resolve.model_dir.get_or_insert(beside);
    if !model.exists() {
        let model = model.display();
        note(format_args!("not shown: there is no known-request model in {model}"));
        return Ok(());
    }
    let port = Runbooks { tickets: tickets(), ..Runbooks::default() }.start()?;
    let folder = dir.join("playbooks");
    runbooks::write_approved(&folder, port)?;
    config.stages = Stages { route: true, resolve: true };
    config.admin.listen.set_port(0);
    config.resolve.playbooks = Some(folder);
    config.resolve.hosts = vec![format!("http://127.0.0.1:{port}")];
    config.resolve.calls.hosts = vec![config.resolve.hosts[0].parse().map_err(anyhow::Error::msg)?];
    config.resolve.calls.addresses =
        crate::stage::runbook::address::AddressFilter::new(vec!["127.0.0.0/8".parse()?])
            .map_err(|problems| anyhow::Error::msg(problems.join(", ")))?;
    // The tickets are of a fixed day, and the demonstration starts from nothing.
    config.resolve.limits.remember_ms = None;
    config.route.actions = Some(config.resolve.topics.actions.clone());

    let triage = service::triage(&config)?;
    let lines = topics::lines_as_records(TICKETS.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    crate::topics::put(&config, &config.inputs[0], lines)?;
    let stop = Stop::new();
    let service = Service::start(&config, triage, stop.clone())?;
    let held = [&config.route.routed, &config.route.review].map(std::sync::Arc::clone);
    let outcomes = std::sync::Arc::clone(&config.resolve.topics.outcomes);
    let read = readers(dir, [vec![outcomes], held.to_vec()].concat(), &stop)?;
    let show = |wanted: fn(&Value) -> bool, lines: usize| -> Result<()> {
        let mut left = lines;
        while left > 0 {
            let Some(record) = next(&read, ended, "outcome")? else { break };
            let Some(event) = event(&record) else { continue };
            left -= usize::from(wanted(&event));
            print_line(&if json { brief(&event) } else { said(&event, palette) })?;
        }
        Ok(())
    };
    show(|event| event["outcome"] == "done" || is_held(event), RESOLVED + HELD)?;
    if !ended.requested() {
        undo::order(&config, &Which::Ticket(String::from("DEMO-1")), "the demonstration")?;
        show(|event| event["outcome"] == "undone", 1)?;
    }
    stop.request(std::time::Duration::from_secs(2));
    service.finish()?;
    Ok(())
}

/// The desk's tickets by id.
fn tickets() -> BTreeMap<String, Value> {
    TICKETS
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|ticket| Some((ticket["ticket_id"].as_str()?.to_owned(), ticket)))
        .collect()
}

/// An outcome, or the decision about a known request that was held back.
fn event(record: &Record) -> Option<Value> {
    let event: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
    (is_held(&event) || event.get("playbook").is_some()).then_some(event)
}

fn is_held(event: &Value) -> bool {
    event.pointer("/known_request/held_by").is_some_and(Value::is_string)
}

fn brief(event: &Value) -> String {
    let mut event = event.clone();
    if let Some(fields) = event.as_object_mut() {
        fields.remove("ticket");
        fields.remove("explanation");
    }
    event.to_string()
}

/// One outcome on one line.
fn said(event: &Value, p: Palette) -> String {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let plain = |pointer: &str| one_line(text(pointer).unwrap_or("-"));
    let (id, subject) = (plain("/ticket_id"), plain("/ticket/subject"));
    if is_held(event) {
        let guard = plain("/known_request/held_by");
        let (playbook, detail) = (plain("/known_request/playbook"), plain("/known_request/detail"));
        return format!(
            "{}held by {guard}{:#} {id:<8} {subject}: {playbook} left to people, {detail}",
            p.doubt, p.doubt
        );
    }
    let outcome = plain("/outcome");
    let style = if outcome == "done" { p.good } else { p.doubt };
    let mut line = format!(
        "{style}{outcome:<6}{style:#} {id:<8} {subject}: {}, {:.0} ms",
        plain("/playbook"),
        event["seconds"].as_f64().unwrap_or(0.0) * 1000.0
    );
    if let Some(reply) = text("/reply") {
        let first = one_line(reply.lines().find(|l| l.len() > 12).unwrap_or_default());
        line.push_str(&format!("\n       {}{first}{:#}", p.faint, p.faint));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_does_not_steer_a_terminal() {
        let hostile = "a\u{1b}[31mb\u{202e}, to be long enough";
        let ticket = serde_json::json!({ "subject": hostile });
        let held = serde_json::json!({
            "ticket_id": hostile, "ticket": ticket,
            "known_request": { "held_by": "vip", "playbook": hostile, "detail": hostile },
        });
        let done = serde_json::json!({
            "ticket_id": hostile, "ticket": ticket, "outcome": "done", "playbook": hostile,
            "reply": hostile,
        });
        for event in [held, done] {
            let said = said(&event, Palette::default());
            let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(said.contains("a [31mb ") && !said.contains(steers), "{said:?}");
        }
    }
}
