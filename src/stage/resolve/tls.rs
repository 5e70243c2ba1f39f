//! TLS towards runbooks: rustls with ring, version 1.2 or later, certificates always checked.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

/// The authorities that are trusted: those of `file` and no others, or the system's.
///
/// # Errors
/// What keeps the file from being used.
pub(super) fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = file else {
        // Single certificates of the system that do not parse are left out, as everywhere.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let problem = |what: String| format!("{}: {what}", path.display());
    let pem = fs::read(path).map_err(|error| problem(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| problem(error.to_string()))?;
        roots.add(certificate).map_err(|error| problem(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(problem("holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// A client configuration, with a certificate of our own where `identity` gives one (chain and
/// key, both PEM).
///
/// # Errors
/// What is wrong with the certificate or the key, without anything of them.
pub(super) fn config(
    roots: Arc<RootCertStore>,
    identity: Option<(&[u8], &[u8])>,
) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
            let chain = chain.map_err(|_| "the certificate is not PEM".to_owned())?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|_| "the key is not a private key in PEM".to_owned())?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|_| "certificate and key do not fit together".to_owned())?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
