//! The HTTP clients: one for all calls, and one for each client certificate in use.

use std::collections::HashMap;
use std::error::Error as _;
use std::iter::successors;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, redirect, retry};
use rustls::RootCertStore;
use sha2::{Digest, Sha256};

use super::dns::FilteredResolver;
use super::failure::Failure;
use super::tls;
use crate::sync::lock;

pub(super) struct Clients {
    roots: Arc<RootCertStore>,
    resolver: Arc<FilteredResolver>,
    connect_timeout: Duration,
    plain: Client,
    /// By the credential's name: what its files held, and the client made of it.
    identified: Mutex<HashMap<String, ([u8; 32], Client)>>,
}

impl Clients {
    /// # Errors
    /// When the TLS or HTTP library refuses its settings.
    pub fn new(
        roots: RootCertStore,
        resolver: FilteredResolver,
        connect_timeout: Duration,
    ) -> Result<Self, String> {
        let (roots, resolver) = (Arc::new(roots), Arc::new(resolver));
        let plain = build(&roots, &resolver, connect_timeout, None)?;
        Ok(Self { roots, resolver, connect_timeout, plain, identified: Mutex::default() })
    }

    /// The client that shows no certificate.
    pub fn plain(&self) -> Client {
        self.plain.clone()
    }

    /// The client that shows this certificate; made anew when its files have changed.
    pub fn identified(
        &self,
        name: &str,
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Client, Failure> {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(certificate.len().to_be_bytes())
            .chain_update(certificate)
            .chain_update(key)
            .finalize()
            .into();
        let mut identified = lock(&self.identified);
        if let Some((known, client)) = identified.get(name)
            && *known == digest
        {
            return Ok(client.clone());
        }
        let client =
            build(&self.roots, &self.resolver, self.connect_timeout, Some((certificate, key)))
                .map_err(|problem| {
                    Failure::Credential(format!("credential {name:?}: {problem}"))
                })?;
        identified.insert(name.to_owned(), (digest, client.clone()));
        Ok(client)
    }
}

fn build(
    roots: &Arc<RootCertStore>,
    resolver: &Arc<FilteredResolver>,
    connect_timeout: Duration,
    identity: Option<(&[u8], &[u8])>,
) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls::config(Arc::clone(roots), identity)?)
        .dns_resolver(Arc::clone(resolver))
        .connect_timeout(connect_timeout)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .retry(retry::never())
        .http1_only()
        // A connection of its own for each request: its address and certificate are checked for
        // this request, and no server can close it between two of them, which would leave open
        // whether the second one was read.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("triaged/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| {
            let error = error.without_url();
            // Its own words are "builder error".
            let causes = successors(error.source(), |cause| (*cause).source());
            causes
                .fold(format!("no HTTP client: {error}"), |told, cause| format!("{told}: {cause}"))
        })
}
