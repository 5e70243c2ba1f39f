//! Certificates on both sides, credentials from files, signatures.

use std::collections::BTreeMap;
use std::fs::{self, FileTimes};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

use super::server::{Runbook, answer};
use super::{KEY, call, caller, fate, once, settings};
use triaged::stage::runbook::credential::{Bound, Credential};
use triaged::stage::runbook::signature::{SigningSecret, signatures};
use triaged::stage::runbook::{Call, CallerSettings};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    fn certify(&self, name: &str) -> Identity {
        self.sign(CertificateParams::new(vec![name.to_owned()]).unwrap())
    }
}

fn server(identity: &Identity, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let pem = authority.pem.as_bytes();
            roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    builder.with_single_cert(vec![certificate], key).unwrap()
}

fn file(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

/// Settings that trust `authority` alone.
fn trusting(runbook: &Runbook, authority: &Authority, folder: &TempDir) -> CallerSettings {
    let mut settings = settings(runbook);
    settings.ca_file = Some(file(folder, "ca.pem", &authority.pem));
    settings
}

/// A credential for the hosts of these settings.
fn credentials(settings: &CallerSettings, credential: Credential) -> BTreeMap<String, Bound> {
    BTreeMap::from([("desk".to_owned(), Bound { credential, hosts: settings.hosts.clone() })])
}

fn call_with_credential(runbook: &Runbook) -> Call {
    Call { credential: Some("desk".into()), ..call(runbook) }
}

#[test]
fn only_a_valid_certificate_of_a_trusted_authority_for_this_host_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let (trusted, other) = (Authority::new("one"), Authority::new("other"));
    let namesake = Authority::new("one");
    let mut expired = CertificateParams::new(vec!["runbook.test".to_owned()]).unwrap();
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut early = CertificateParams::new(vec!["runbook.test".to_owned()]).unwrap();
    early.not_before = date_time_ymd(2999, 1, 1);
    for (what, identity) in [
        ("other authority", other.certify("runbook.test")),
        ("other authority of the same name", namesake.certify("runbook.test")),
        ("other host", trusted.certify("desk.test")),
        ("expired", trusted.sign(expired)),
        ("not valid yet", trusted.sign(early)),
    ] {
        let runbook = Runbook::tls(server(&identity, None));
        let caller = caller(trusting(&runbook, &trusted, &folder));
        assert_eq!(fate(once(&caller, &call(&runbook))), ("tls", false, 1), "{what}");
        assert_eq!(runbook.requests().len(), 0, "{what}");
    }
    let runbook = Runbook::tls(server(&trusted.certify("runbook.test"), None));
    let caller = caller(trusting(&runbook, &trusted, &folder));
    assert_eq!(once(&caller, &call(&runbook)).unwrap().status, 200);
}

#[test]
fn a_runbook_that_does_not_speak_tls_gets_nothing_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("one");
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let mut settings = trusting(&runbook, &authority, &folder);
    let port = runbook.port();
    settings.hosts = vec![format!("runbook.test:{port}").parse().unwrap()];
    settings.connect_timeout = std::time::Duration::from_millis(300);
    let mut call = call(&runbook);
    call.url = format!("https://runbook.test:{port}/");
    let (reason, unknown, _) = fate(once(&caller(settings), &call));
    assert!(["tls", "connect"].contains(&reason) && !unknown, "{reason}");
    assert_eq!(runbook.requests().len(), 0);
}

#[test]
fn a_client_certificate_is_shown_and_a_changed_one_counts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, clients) = (Authority::new("one"), Authority::new("clients"));
    let runbook = Runbook::tls(server(&authority.certify("runbook.test"), Some(&clients)));
    let mut settings = trusting(&runbook, &authority, &folder);
    settings.retries.attempts = 1;
    settings.breaker.minimum = usize::MAX;
    let (certificate, key) = (folder.path().join("client.pem"), folder.path().join("client.key"));
    let write = |identity: &Identity| {
        fs::write(&certificate, &identity.certificate).unwrap();
        fs::write(&key, &identity.key).unwrap();
    };
    settings.credentials = credentials(
        &settings,
        Credential::Certificate { certificate: certificate.clone(), key: key.clone() },
    );
    let caller = caller(settings);

    assert_eq!(fate(once(&caller, &call(&runbook))), ("tls", false, 1), "without a certificate");
    let call = call_with_credential(&runbook);
    assert_eq!(fate(once(&caller, &call)), ("credential", false, 0), "without its files");
    write(&clients.certify("triaged"));
    assert_eq!(once(&caller, &call).unwrap().status, 200);
    for name in ["others", "clients"] {
        write(&Authority::new(name).certify("triaged"));
        assert_eq!(fate(once(&caller, &call)), ("tls", false, 1), "of another authority: {name}");
    }
    write(&Identity { key: clients.certify("x").key, ..clients.certify("triaged") });
    assert_eq!(fate(once(&caller, &call)), ("credential", false, 0), "with another's key");
    write(&clients.certify("triaged"));
    assert_eq!(once(&caller, &call).unwrap().status, 200);
    assert_eq!(runbook.requests().len(), 2);
}

/// Writes `content` and leaves the file's time and length as they were.
fn replace_unseen(path: &Path, content: &str) {
    let before = fs::metadata(path).unwrap();
    assert_eq!(before.len(), content.len() as u64);
    fs::write(path, content).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(before.modified().unwrap())).unwrap();
}

#[test]
fn a_changed_token_counts_from_the_next_request_on() {
    let folder = tempfile::tempdir().unwrap();
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let token = file(&folder, "token", "first-token\n");
    let mut settings = settings(&runbook);
    settings.credentials = credentials(&settings, Credential::Bearer { token: token.clone() });
    let caller = caller(settings);
    let call = call_with_credential(&runbook);
    once(&caller, &call).unwrap();
    replace_unseen(&token, "other-token\n");
    once(&caller, &call).unwrap();
    let seen: Vec<_> = runbook.requests();
    assert_eq!(seen[0].header("authorization"), Some("Bearer first-token"));
    assert_eq!(seen[1].header("authorization"), Some("Bearer other-token"));
}

#[test]
fn a_credential_is_never_sent_to_another_host() {
    let folder = tempfile::tempdir().unwrap();
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let token = file(&folder, "token", "hunter2\n");
    let mut settings = settings(&runbook);
    settings.credentials = credentials(&settings, Credential::Bearer { token });
    let bound = settings.credentials.get_mut("desk").unwrap();
    bound.hosts = vec!["http://desk.test:80".parse().unwrap()];
    let caller = caller(settings);
    let refused = once(&caller, &call_with_credential(&runbook));
    assert_eq!(fate(refused), ("credential", false, 0));
    assert_eq!(runbook.requests().len(), 0);
    assert_eq!(once(&caller, &call(&runbook)).unwrap().status, 200);
}

#[test]
fn a_signature_covers_the_bytes_that_arrive_with_every_secret() {
    let folder = tempfile::tempdir().unwrap();
    let runbook = Runbook::new(|_, _, stream| answer(stream, 200, "", ""));
    let (old, new) =
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let secrets = file(&folder, "secrets", &format!("{new}\n{old}\n"));
    let mut settings = settings(&runbook);
    settings.credentials = credentials(&settings, Credential::Webhook { secrets });
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    once(&caller(settings), &call_with_credential(&runbook)).unwrap();

    let [seen] = runbook.requests().try_into().unwrap();
    assert_eq!(seen.header("webhook-id"), Some(KEY));
    let timestamp: u64 = seen.header("webhook-timestamp").unwrap().parse().unwrap();
    assert!((began..began + 60).contains(&timestamp));
    let signed = seen.header("webhook-signature").unwrap();
    let signed: Vec<_> = signed.split(' ').collect();
    let expected = [new, old].map(|secret| {
        signatures(&[SigningSecret::parse(secret).unwrap()], KEY, timestamp, &seen.body)
    });
    assert_eq!(signed, expected);
}

#[test]
fn no_secret_shows_in_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let runbook = Runbook::new(|_, _, stream| answer(stream, 401, "", "hunter2 is wrong"));
    let token = file(&folder, "token", "hunter2");
    let mut settings = settings(&runbook);
    settings.credentials = credentials(&settings, Credential::Bearer { token: token.clone() });
    let shown = format!("{settings:?}");
    let caller = caller(settings);
    let call = call_with_credential(&runbook);
    let refused = once(&caller, &call).unwrap_err();
    fs::write(&token, "hunter2\nhunter2").unwrap();
    let broken = once(&caller, &call).unwrap_err();
    assert_eq!(broken.reason(), "credential");
    for text in [shown, format!("{refused:?} {refused}"), format!("{broken:?} {broken}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    // Nor does anything that came out of a ticket.
    assert!(!format!("{call:?} {refused:?}").contains("kim"));
}
