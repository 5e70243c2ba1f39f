//! A runbook server to try playbooks on: accounts, virtual desktops, VPN profiles and printers
//! that exist in memory only, with idempotency keys, a desk's tickets, and failures on request.
//!
//! `cargo run --example runbooks`, then look at <http://127.0.0.1:8199/state>.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use triaged::runbooks::Runbooks;

/// Plays the four runbooks of examples/playbooks on loopback
#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 8199)]
    port: u16,
    /// Answer this runbook with status 500: unlock, lock, reset, send, revoke or clear
    #[arg(long, value_name = "RUNBOOK")]
    fail: Vec<String>,
    /// Wait so many seconds before each answer
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    slow: f64,
    /// Tickets as JSON lines, for the endpoint that reads one again
    #[arg(long, value_name = "FILE", default_value = "examples/tickets.jsonl")]
    tickets: String,
}

/// The tickets of a file by id.
fn tickets(file: &str) -> Result<BTreeMap<String, Value>, Box<dyn std::error::Error>> {
    let mut tickets = BTreeMap::new();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let ticket: Value = serde_json::from_str(line)?;
        if let Some(id) = ticket["ticket_id"].as_str() {
            tickets.insert(id.to_owned(), ticket);
        }
    }
    Ok(tickets)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let runbooks = Runbooks {
        tickets: tickets(&args.tickets)?,
        fail: args.fail.into_iter().collect(),
        slow: Duration::try_from_secs_f64(args.slow)?,
        told: Some(|line| println!("{line}")),
    };
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
    println!("runbooks at http://{}, what they did at /state", listener.local_addr()?);
    runbooks.serve(listener).await?;
    Ok(())
}
