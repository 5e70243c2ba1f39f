//! The settings of auto-resolution: stages, guards, caps, where calls may go.

mod failing;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::TopicsSection;
use super::check::Problems;
use crate::resolve::ledger::RECENT;
use crate::resolve::limits::{Cap, DAY_MS, Limits, SwitchOff};
use crate::stage::runbook::address::AddressFilter;
use crate::stage::runbook::credential::{Bound, Credential};
use crate::stage::runbook::{AllowedHost, CallerSettings};
use crate::triage::playbooks::HandsOff;
use crate::triage::policy::Pattern;
use crate::triage::requests;

/// Which stages this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages {
    pub route: bool,
    pub resolve: bool,
}

/// Auto-resolution.
#[derive(Clone, Debug)]
pub struct ResolveConfig {
    pub playbooks: Option<PathBuf>,
    /// The known-request model's bundle.
    pub model_dir: Option<PathBuf>,
    pub recognition: requests::Limits,
    pub hands_off: HandsOff,
    pub limits: Limits,
    pub kill_file: Option<PathBuf>,
    /// Actions in one batch.
    pub batch: usize,
    pub topics: ResolveTopics,
    /// Where calls may go and how many.
    pub calls: CallerSettings,
    /// The same hosts as they were written, and by its name those of each credential.
    pub hosts: Vec<String>,
    pub credential_hosts: BTreeMap<String, Vec<String>>,
}

/// The topics of the resolve stage besides those it shares with routing.
#[derive(Clone, Debug)]
pub struct ResolveTopics {
    pub actions: Arc<str>,
    pub outcomes: Arc<str>,
    pub ledger: Arc<str>,
    pub control: Arc<str>,
    pub feedback: Arc<str>,
}

/// The endpoint for people.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    pub listen: SocketAddr,
    /// The endpoint is off without one.
    pub token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StagesSection {
    run: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveSection {
    playbooks: PathBuf,
    model: PathBuf,
    min_confidence: f64,
    min_margin: f64,
    vip: Vec<String>,
    security: Vec<String>,
    reopened: Vec<String>,
    touched: Vec<String>,
    security_categories: Vec<String>,
    kill_file: PathBuf,
    remember_days: i64,
    batch: i64,
    calls_per_host: i64,
    calls_per_minute_per_host: i64,
    connect_timeout_ms: i64,
    hosts: Vec<String>,
    networks: Vec<String>,
    ca_file: PathBuf,
    credentials: BTreeMap<String, toml::Value>,
    caps: CapsSection,
    switch_off: SwitchOffSection,
    breaker: failing::BreakerSection,
    retries: failing::RetriesSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapsSection {
    playbook_per_minute: i64,
    playbook_per_hour: i64,
    requester_per_minute: i64,
    requester_per_hour: i64,
    overall_per_minute: i64,
    overall_per_hour: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchOffSection {
    of: i64,
    at_least: i64,
    failures: f64,
    reopenings: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlSection {
    listen: String,
    token_file: PathBuf,
}

pub(super) fn stages(section: &StagesSection, p: &mut Problems) -> Stages {
    let mut stages = Stages { route: false, resolve: false };
    for name in &section.run {
        match name.as_str() {
            "route" => stages.route = true,
            "resolve" => stages.resolve = true,
            _ => p.add("stages.run", format!("{name:?} is no stage: \"route\" or \"resolve\"")),
        }
    }
    if section.run.is_empty() {
        p.add("stages.run", "must name at least one stage");
    }
    stages
}

pub(super) fn control(section: ControlSection, p: &mut Problems) -> ControlConfig {
    ControlConfig {
        listen: section.listen.parse().unwrap_or_else(|_| {
            p.add("control.listen", "must be an address and a port, such as 127.0.0.1:9465");
            SocketAddr::from(([127, 0, 0, 1], 0))
        }),
        token_file: path(section.token_file),
    }
}

pub(super) fn resolve(
    section: ResolveSection,
    topics: &TopicsSection,
    stages: Stages,
    p: &mut Problems,
) -> ResolveConfig {
    if stages.resolve && section.playbooks.as_os_str().is_empty() {
        p.add("resolve.playbooks", "is empty, but stages.run has \"resolve\"");
    }
    let SwitchOffSection { of, at_least, failures, reopenings } = section.switch_off;
    let recent = i64::try_from(RECENT).unwrap_or(i64::MAX);
    let allowed = hosts("resolve.hosts", &section.hosts, p);
    let (credentials, credential_hosts) = credentials(section.credentials, &allowed, p);
    // Only where calls are made: other processes need not have the files.
    for (name, bound) in credentials.iter().filter(|_| stages.resolve) {
        for what in files(&bound.credential).into_iter().filter_map(unusable) {
            p.add(format!("resolve.credentials.{name}"), what);
        }
    }
    ResolveConfig {
        playbooks: path(section.playbooks),
        model_dir: path(section.model),
        recognition: requests::Limits {
            min_confidence: p.share("resolve.min_confidence", section.min_confidence),
            min_margin: p.share("resolve.min_margin", section.min_margin),
            ..requests::Limits::default()
        },
        hands_off: HandsOff {
            vip: pointers("resolve.vip", section.vip, p),
            security: pointers("resolve.security", section.security, p),
            reopened: pointers("resolve.reopened", section.reopened, p),
            touched: pointers("resolve.touched", section.touched, p),
            security_categories: section
                .security_categories
                .iter()
                .map(|c| Pattern::new(c))
                .collect(),
        },
        limits: Limits {
            playbook: cap(
                "playbook",
                [section.caps.playbook_per_minute, section.caps.playbook_per_hour],
                p,
            ),
            requester: cap(
                "requester",
                [section.caps.requester_per_minute, section.caps.requester_per_hour],
                p,
            ),
            overall: cap(
                "overall",
                [section.caps.overall_per_minute, section.caps.overall_per_hour],
                p,
            ),
            switch_off: SwitchOff {
                of: p.within("resolve.switch_off.of", of, 1, recent),
                at_least: p.within("resolve.switch_off.at_least", at_least, 1, of.max(1)),
                failures: p.share("resolve.switch_off.failures", failures),
                reopenings: p.share("resolve.switch_off.reopenings", reopenings),
            },
            remember_ms: match p.within("resolve.remember_days", section.remember_days, 0, 36_500) {
                0 => None,
                days => Some(days * DAY_MS),
            },
        },
        kill_file: path(section.kill_file),
        batch: p.within("resolve.batch", section.batch, 1, 1000),
        topics: ResolveTopics {
            actions: p.topic("topics.actions", &topics.actions),
            outcomes: p.topic("topics.outcomes", &topics.outcomes),
            ledger: p.topic("topics.ledger", &topics.ledger),
            control: p.topic("topics.control", &topics.control),
            feedback: p.topic("topics.feedback", &topics.feedback),
        },
        calls: CallerSettings {
            addresses: addresses(&section.networks, p),
            ca_file: path(section.ca_file),
            connect_timeout: p.millis(
                "resolve.connect_timeout_ms",
                section.connect_timeout_ms,
                100,
                60_000,
            ),
            retries: failing::retries(&section.retries, p),
            breaker: failing::breaker(&section.breaker, p),
            in_flight: p.positive("resolve.calls_per_host", section.calls_per_host),
            per_minute: p
                .positive("resolve.calls_per_minute_per_host", section.calls_per_minute_per_host),
            credentials,
            ..CallerSettings::new(allowed)
        },
        hosts: section.hosts,
        credential_hosts,
    }
}

fn path(path: PathBuf) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then_some(path)
}

fn cap(whose: &str, [minute, hour]: [i64; 2], p: &mut Problems) -> Cap {
    let mut within =
        |window: &str, n| p.within(&format!("resolve.caps.{whose}_per_{window}"), n, 0, 1_000_000);
    Cap { a_minute: within("minute", minute), an_hour: within("hour", hour) }
}

fn pointers(path: &str, pointers: Vec<String>, p: &mut Problems) -> Vec<String> {
    for pointer in pointers.iter().filter(|pointer| !pointer.starts_with('/')) {
        p.add(path, format!("{pointer:?} is no JSON pointer: it must begin with /"));
    }
    pointers
}

fn hosts(path: &str, written: &[String], p: &mut Problems) -> Vec<AllowedHost> {
    let parse = |(i, text): (usize, &String)| match text.parse() {
        Ok(host) => Some(host),
        Err(what) => {
            p.add(format!("{path}[{i}]"), what);
            None
        }
    };
    written.iter().enumerate().filter_map(parse).collect()
}

fn addresses(written: &[String], p: &mut Problems) -> AddressFilter {
    let mut networks = Vec::new();
    for (i, text) in written.iter().enumerate() {
        match text.parse() {
            Ok(net) => networks.push(net),
            Err(_) => {
                p.add(format!("resolve.networks[{i}]"), "must be a network such as 10.20.0.0/16");
            }
        }
    }
    AddressFilter::new(networks).unwrap_or_else(|problems| {
        problems.into_iter().for_each(|what| p.add("resolve.networks", what));
        AddressFilter::default()
    })
}

/// A credential as it is written.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum CredentialSection {
    Bearer { file: PathBuf },
    Basic { user: String, file: PathBuf },
    Certificate { file: PathBuf, key: PathBuf },
    Webhook { file: PathBuf },
}

/// Credentials by name, each with its hosts, some of those that may be called at all; and these
/// hosts as they were written.
fn credentials(
    written: BTreeMap<String, toml::Value>,
    allowed: &[AllowedHost],
    p: &mut Problems,
) -> (BTreeMap<String, Bound>, BTreeMap<String, Vec<String>>) {
    let (mut credentials, mut all_hosts) = (BTreeMap::new(), BTreeMap::new());
    for (name, mut value) in written {
        let path = format!("resolve.credentials.{name}.hosts");
        let listed = value.as_table_mut().and_then(|table| table.remove("hosts"));
        let listed = listed.and_then(|list| list.try_into().ok());
        let listed: Vec<String> = listed.unwrap_or_default();
        if listed.is_empty() {
            p.add(&path, "must list the hosts that it may be sent to, as resolve.hosts does");
        }
        let bound = hosts(&path, &listed, p);
        for host in bound.iter().filter(|host| !allowed.contains(host)) {
            p.add(&path, format!("{} is not in resolve.hosts", host.label()));
        }
        let credential = match value.try_into() {
            Ok(CredentialSection::Bearer { file }) => Credential::Bearer { token: file },
            Ok(CredentialSection::Basic { user, file }) => {
                Credential::Basic { user, password: file }
            }
            Ok(CredentialSection::Certificate { file, key }) => {
                Credential::Certificate { certificate: file, key }
            }
            Ok(CredentialSection::Webhook { file }) => Credential::Webhook { secrets: file },
            Err(_) => {
                p.add(
                    format!("resolve.credentials.{name}"),
                    "must have kind = \"bearer\", \"basic\", \"certificate\" or \"webhook\" and \
                     its files, as config/default.toml shows",
                );
                continue;
            }
        };
        all_hosts.insert(name.clone(), listed);
        credentials.insert(name, Bound { credential, hosts: bound });
    }
    (credentials, all_hosts)
}

/// The files of a credential.
fn files(credential: &Credential) -> Vec<&Path> {
    match credential {
        Credential::Bearer { token: file }
        | Credential::Basic { password: file, .. }
        | Credential::Webhook { secrets: file } => vec![file],
        Credential::Certificate { certificate, key } => vec![certificate, key],
    }
}

/// Why a credential's file cannot be used, as far as its first byte tells. It is read for every call
/// again, so that it may change later.
fn unusable(file: &Path) -> Option<String> {
    let path = file.display();
    match File::open(file).and_then(|mut file| file.read(&mut [0])) {
        Ok(0) => Some(format!("{path} is empty")),
        Ok(_) => None,
        Err(error) => Some(format!("cannot read {path}: {error}")),
    }
}

#[cfg(test)]
mod tests;
