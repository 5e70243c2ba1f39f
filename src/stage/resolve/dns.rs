//! Names to addresses, with the address filter in between: what is looked up is what is connected
//! to, so no second look-up can slip past the filter.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::address::AddressFilter;

/// Looks up the addresses of a name.
pub type Lookup = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync,
>;

/// The system's resolver.
pub fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
        })
    })
}

/// None of a name's addresses may be called.
#[derive(Debug, Error)]
#[error("all addresses of the name are in closed ranges")]
pub(super) struct AllForbidden;

pub(super) struct FilteredResolver {
    pub lookup: Lookup,
    pub filter: AddressFilter,
}

impl Resolve for FilteredResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let looking_up = (self.lookup)(name.as_str().to_owned());
        let filter = self.filter.clone();
        Box::pin(async move {
            let found = looking_up.await?;
            let some = !found.is_empty();
            let mut allowed =
                found.into_iter().filter(|address| filter.allows(*address)).peekable();
            if some && allowed.peek().is_none() {
                return Err(AllForbidden.into());
            }
            let addresses: Vec<_> = allowed.map(|ip| SocketAddr::new(ip, 0)).collect();
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}
