//! The node's address: from what people and `bitcoin.conf` write to `http://HOST:PORT`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Host and port of the node. RPC and REST share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// As in a URL: an IPv6 address is in brackets.
    host: String,
    port: u16,
}

impl Endpoint {
    /// The node on this machine.
    pub(super) fn local(port: u16) -> Self {
        Self { host: "127.0.0.1".into(), port }
    }

    /// Reads `[http://]HOST[:PORT][/]`, with `port` where none is written. The error says what is wrong with it.
    pub(super) fn parse(text: &str, port: u16) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(
                    "bitcoind speaks plain http only: name an http address, or the local end of a tunnel".into()
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

    /// Reads `HOST[:PORT]` as `rpcconnect` has it; an IPv6 address may stand without brackets.
    pub(super) fn host_and_port(text: &str, port: u16) -> Result<Self, String> {
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { host: format!("[{text}]"), port });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, digits)) if !text.ends_with(']') => {
                let port = digits.parse().ok().filter(|port| *port != 0);
                (host, port.ok_or_else(|| format!("'{digits}' is no port"))?)
            }
            _ => (text, port),
        };
        let named = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if named || bracketed.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()) {
            Ok(Self { host: host.to_owned(), port })
        } else {
            Err(format!("'{host}' is no host; it should read http://HOST:PORT"))
        }
    }

    /// The same host at another port.
    pub(super) fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Whether it is this machine: 127/8, `::1`, `localhost`.
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
    fn addresses_are_read_as_people_write_them() {
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
    fn what_cannot_be_the_nodes_address_is_refused_with_the_reason() {
        let cases = [
            ("https://127.0.0.1", "plain http"),
            ("ftp://127.0.0.1", "http://"),
            ("http://me:canary@127.0.0.1", "--rpc-password-file"),
            ("http://127.0.0.1:8332/wallet/x", "no port"),
            ("http://127.0.0.1/wallet", "no host"),
            ("127.0.0.1:0", "no port"),
            ("127.0.0.1:70000", "no port"),
            ("", "no host"),
            ("http://", "no host"),
            ("a b", "no host"),
            ("[::1", "no host"),
            ("127.0.0.1#x", "no host"),
        ];
        for (text, reason) in cases {
            let error = Endpoint::parse(text, 8332).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
