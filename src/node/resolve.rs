//! From the node's host to its address, for every request. Which host that is, is for others.
//!
//! ureq asks for the address before it looks for a connection that is open already, and its own resolver starts a thread each
//! time, also where the host is an address: a good part of what a small request costs, and for a name one question to the
//! name server for each block.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ArrayVec, DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long a name keeps its address. Short, since a node that is started anew may come back at another one.
const KEPT: Duration = Duration::from_secs(2);

/// Reads addresses; keeps for a moment what a name was resolved to.
#[derive(Debug, Default)]
pub(super) struct Resolve {
    names: DefaultResolver,
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    host: Uri,
    at: Instant,
    found: Vec<SocketAddr>,
}

impl Resolve {
    fn lock(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Resolve {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if let Some(address) = written_out(uri) {
            return Ok(list(&[address]));
        }
        let kept = |last: &Last| last.at.elapsed() < KEPT && last.host.authority() == uri.authority();
        if let Some(last) = self.lock().as_ref().filter(|last| kept(last)) {
            return Ok(list(&last.found));
        }
        let found = self.names.resolve(uri, config, timeout)?;
        *self.lock() = Some(Last { host: uri.clone(), at: Instant::now(), found: found.iter().copied().collect() });
        Ok(found)
    }
}

/// The address that stands in the host's place, if one does.
fn written_out(uri: &Uri) -> Option<SocketAddr> {
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
    fn an_address_is_read_as_it_stands_and_a_name_is_not_taken_for_one() {
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
            assert_eq!(written_out(&uri), address.map(|text| text.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn a_name_is_resolved_once_in_a_while() {
        let resolve = Resolve::default();
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
        assert_eq!(resolve.last.lock().unwrap().as_ref().unwrap().at, since, "not asked again");
        assert!(ask("http://localhost:2").unwrap().iter().all(|address| address.port() == 2), "another is");
        let early = Instant::now().checked_sub(KEPT);
        resolve.last.lock().unwrap().as_mut().unwrap().at = early.unwrap();
        ask("http://localhost:2").unwrap();
        assert!(resolve.last.lock().unwrap().as_ref().unwrap().at > early.unwrap() + KEPT / 2);
    }
}
