//! Resolves the node's host name for ureq, with a short-lived cache.
//!
//! ureq resolves the host before it looks for an open connection, and its own resolver starts a thread each time, even if the host is
//! an IP address. That is a good part of the cost of a small request, and with a name one query to the name server for each block.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ArrayVec, DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::lock::lock;

/// How long a resolved name is cached: short, as a node that restarts may come back at another address.
const CACHED_FOR: Duration = Duration::from_secs(2);

/// Returns an IP address as it is, and caches the last name that was resolved.
#[derive(Debug, Default)]
pub(super) struct CachingResolver {
    names: DefaultResolver,
    last: Mutex<Option<Resolved>>,
}

#[derive(Debug)]
struct Resolved {
    host: Uri,
    at: Instant,
    found: Vec<SocketAddr>,
}

impl Resolver for CachingResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if let Some(address) = literal_address(uri) {
            return Ok(list(&[address]));
        }
        if let Some(last) = &*lock(&self.last)
            && last.at.elapsed() < CACHED_FOR
            && last.host.authority() == uri.authority()
        {
            return Ok(list(&last.found));
        }
        let found = self.names.resolve(uri, config, timeout)?;
        *lock(&self.last) =
            Some(Resolved { host: uri.clone(), at: Instant::now(), found: found.iter().copied().collect() });
        Ok(found)
    }
}

/// The address in `uri`, if its host is an IP address and it has a port.
fn literal_address(uri: &Uri) -> Option<SocketAddr> {
    let host = uri.host()?;
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    Some(SocketAddr::new(host.parse::<IpAddr>().ok()?, uri.port_u16()?))
}

fn list(found: &[SocketAddr]) -> ResolvedSocketAddrs {
    let mut list: ResolvedSocketAddrs = ArrayVec::from_fn(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
    for address in found {
        list.push(*address);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ip_address_is_used_as_it_is_and_a_name_is_not_taken_for_one() {
        for (url, address) in [
            ("http://127.0.0.1:8332", Some("127.0.0.1:8332")),
            ("http://[::1]:18443/rest/chaininfo.json", Some("[::1]:18443")),
            ("http://10.0.0.7:1/", Some("10.0.0.7:1")),
            ("http://localhost:8332", None),
            ("http://node.example:8332", None),
            ("http://1.2.3:8332", None),
            ("/rest", None),
        ] {
            let uri: Uri = url.parse().unwrap();
            assert_eq!(literal_address(&uri), address.map(|text| text.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn a_name_is_resolved_again_only_after_a_while() {
        let resolve = CachingResolver::default();
        let ask = |url: &str| {
            let timeout = NextTimeout {
                after: Duration::from_secs(9).into(),
                reason: ureq::Timeout::Resolve,
                ..NextTimeout::default()
            };
            let uri: Uri = url.parse().unwrap();
            resolve.resolve(&uri, &Config::default(), timeout).map(|found| found.to_vec())
        };
        let first = ask("http://localhost:1").unwrap();
        assert!(!first.is_empty() && first.iter().all(|address| address.ip().is_loopback() && address.port() == 1));
        let since = resolve.last.lock().unwrap().as_ref().unwrap().at;
        assert_eq!(ask("http://localhost:1/rest/chaininfo.json").unwrap(), first);
        let asked_again = resolve.last.lock().unwrap().as_ref().unwrap().at > since;
        assert!(!asked_again || since.elapsed() >= CACHED_FOR, "asked again before its time");
        assert!(ask("http://localhost:2").unwrap().iter().all(|address| address.port() == 2), "another is");
        let early = Instant::now().checked_sub(CACHED_FOR);
        resolve.last.lock().unwrap().as_mut().unwrap().at = early.unwrap();
        ask("http://localhost:2").unwrap();
        assert!(resolve.last.lock().unwrap().as_ref().unwrap().at > early.unwrap() + CACHED_FOR / 2);
    }
}
