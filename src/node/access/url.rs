//! The node's endpoint: parses what users and `bitcoin.conf` write for it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Host and port of the node, which RPC and REST share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// As in a URL, with an IPv6 address in brackets.
    host: String,
    port: u16,
}

impl Endpoint {
    /// A node on this machine.
    pub(super) fn local(port: u16) -> Self {
        Self { host: "127.0.0.1".into(), port }
    }

    /// Parses `[http://]HOST[:PORT][/]`; `port` is the default. The error says what to change.
    pub(super) fn parse(text: &str, port: u16) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(
                    "bitcoind speaks plain http only: give an http address, or the local end of a tunnel".into()
                );
            }
            Some(_) => return Err("it should begin with http://".into()),
            None => text,
        };
        if rest.contains('@') {
            return Err("credentials do not belong in it: use --rpc-user with --rpc-password-file".into());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        Self::host_and_port(rest, port)
    }

    /// Parses `HOST[:PORT]` as in `rpcconnect`; an IPv6 address needs no brackets.
    pub(super) fn host_and_port(text: &str, port: u16) -> Result<Self, String> {
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { host: format!("[{text}]"), port });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, digits)) if !text.ends_with(']') => {
                let port = digits.parse().ok().filter(|port| *port != 0);
                (host, port.ok_or_else(|| format!("'{digits}' is not a port"))?)
            }
            _ => (text, port),
        };
        let named = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if named || bracketed.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()) {
            Ok(Self { host: host.to_owned(), port })
        } else {
            Err(format!("'{host}' is not a host; write http://HOST:PORT"))
        }
    }

    /// The same host at another port.
    pub(super) fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Whether the host is this machine: 127.0.0.0/8, `::1` or `localhost`.
    pub(super) fn is_loopback(&self) -> bool {
        let inner = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host.eq_ignore_ascii_case("localhost")
            || inner.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || inner.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_way_to_write_an_endpoint_is_read() {
        let cases = [
            ("http://127.0.0.1:18443", "http://127.0.0.1:18443", true),
            ("http://127.0.0.1:18443/", "http://127.0.0.1:18443", true),
            ("127.9.9.9", "http://127.9.9.9:8332", true),
            ("HTTP://localhost", "http://localhost:8332", true),
            ("LocalHost:1", "http://LocalHost:1", true),
            ("[::1]", "http://[::1]:8332", true),
            ("::1", "http://[::1]:8332", true),
            ("http://[::1]:9", "http://[::1]:9", true),
            ("node.lan:8332", "http://node.lan:8332", false),
            ("10.0.0.1", "http://10.0.0.1:8332", false),
            ("[fe80::1]:5", "http://[fe80::1]:5", false),
            ("127.0.0.1.example.org", "http://127.0.0.1.example.org:8332", false),
            ("localhost.example.org", "http://localhost.example.org:8332", false),
        ];
        for (text, url, loopback) in cases {
            let endpoint = Endpoint::parse(text, 8332).unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.is_loopback()), (url, loopback), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let cases = [
            ("https://127.0.0.1", "plain http"),
            ("ftp://127.0.0.1", "http://"),
            ("http://me:canary@127.0.0.1", "--rpc-password-file"),
            ("http://127.0.0.1:8332/wallet/x", "not a port"),
            ("http://127.0.0.1/wallet", "not a host"),
            ("127.0.0.1:0", "not a port"),
            ("127.0.0.1:70000", "not a port"),
            ("", "not a host"),
            ("http://", "not a host"),
            ("a b", "not a host"),
            ("[::1", "not a host"),
            ("127.0.0.1#x", "not a host"),
        ];
        for (text, reason) in cases {
            let error = Endpoint::parse(text, 8332).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
