//! One HTTP request to the node over a kept-alive connection, with a deadline and a limit on the answer's size, and its failures sorted
//! by what to do about them. Which requests to make, and whether to make one again, is left to `rpc`, `rest` and `link`.

use std::io::{self, Read};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;

use super::resolve::CachingResolver;
use crate::lock::lock;
use crate::node::access::secret::{Secret, read_cookie};
use crate::node::access::{Auth, NodeAccess};
use crate::node::error::{CallError, NodeError, Transient};

/// One connection a thread, for more threads than any machine runs.
const IDLE_CONNECTIONS: usize = 256;

/// Memory zeroed at a time while an answer is read; bytes.
const PIECE: usize = 1 << 16;

/// One request.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    /// A REST path, from its first slash on. Sent without credentials, as REST needs none.
    Get(&'a str),
    /// A JSON-RPC body.
    Post(&'a [u8]),
}

/// An answer without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Whether its content type is a web page's.
    pub(super) html: bool,
}

/// The HTTP client of one node, shared by all threads.
pub(super) struct Http {
    agent: Agent,
    url: String,
    auth: Auth,
    /// The cookie as it was last read from its file.
    cookie: Mutex<Option<Secret>>,
}

impl Http {
    pub(super) fn new(access: &NodeAccess) -> Self {
        let config = Agent::config_builder()
            // The credentials must not go to a proxy from the environment or to where a redirect points.
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            // bitcoind closes an idle connection after 30 s (-rpcservertimeout).
            .max_idle_age(Duration::from_secs(20))
            .timeout_connect(Some(Duration::from_secs(10)))
            .user_agent(concat!("coinhound/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), CachingResolver::default());
        Self { agent, url: access.url(), auth: access.auth().clone(), cookie: Mutex::new(None) }
    }

    /// Breaks off every request under way and refuses new ones, at the end of the program.
    pub(super) fn hang_up(&self) {
        self.agent.clone().shutdown();
    }

    /// Makes one request and reads the answer into `body`, whose old content is overwritten. `cap` is the most bytes that the answer may
    /// have, `limit` the time for all of it. A status that means "later" or "not authorized" is a [`CallError`]; any other is returned.
    pub(super) fn exchange(
        &self,
        request: Request<'_>,
        cap: usize,
        limit: Duration,
        body: &mut Vec<u8>,
    ) -> Result<Reply, CallError> {
        let mut sent = None;
        let response = match request {
            Request::Get(path) => {
                let request = self.agent.get(format!("{}{path}", self.url));
                request.config().timeout_global(Some(limit)).build().call()
            }
            Request::Post(json) => {
                let mut request = self.agent.post(&self.url).content_type("application/json");
                sent = self.credentials()?;
                if let Some(secret) = &sent {
                    let value = format!("Basic {}", STANDARD.encode(secret.expose()));
                    request = request.header("Authorization", value);
                }
                request.config().timeout_global(Some(limit)).build().send(json)
            }
        };
        let response = response.map_err(|error| classify(error, &self.url))?;
        let reply = Reply {
            status: response.status().as_u16(),
            html: response.body().mime_type().is_some_and(|mime| mime.eq_ignore_ascii_case("text/html")),
        };
        let length = response.body().content_length();
        read_body(response.into_body().into_reader(), length, cap, body).map_err(|error| match error {
            BodyError::Io(error) => classify(error.into(), &self.url),
            BodyError::TooBig => CallError::bad("a request", format!("the answer is larger than {cap} bytes")),
        })?;
        self.check_status(reply, body, sent.as_ref())?;
        Ok(reply)
    }

    /// `USER:PASSWORD`; `None` as long as there is no cookie file.
    fn credentials(&self) -> Result<Option<Secret>, CallError> {
        match &self.auth {
            Auth::User { name, password } => Ok(Some(Secret::new(format!("{name}:{}", password.expose())))),
            Auth::Cookie(path) => {
                let mut cookie = lock(&self.cookie);
                if cookie.is_none() {
                    *cookie = read_cookie(path)?;
                }
                Ok(cookie.clone())
            }
        }
    }

    fn check_status(&self, reply: Reply, body: &[u8], sent: Option<&Secret>) -> Result<(), CallError> {
        match (reply.status, &self.auth) {
            (401, Auth::User { name, .. }) => self.refused(
                format!("user '{name}' and its password"),
                "compare --rpc-user and the password file with rpcauth or rpcuser in bitcoin.conf",
            ),
            (401, Auth::Cookie(path)) => {
                self.forget_cookie(sent);
                let path = path.display();
                Err(CallError::Retry(Transient::Cookie(match sent {
                    Some(_) => format!(
                        "it refuses the cookie in {path}, which may be another node's or an old one: set --bitcoin-datadir \
                         to the node's directory"
                    ),
                    None => format!(
                        "it needs a login and there is no cookie at {path}: set --bitcoin-datadir to its directory, or \
                         --rpc-user and --rpc-password-file if it has rpcpassword or rpcauth"
                    ),
                })))
            }
            (403, _) if sent.is_some() => Err(CallError::Forbidden),
            (403, _) => self.refused("this program".into(), "see rpcallowip and rpcwhitelist in bitcoin.conf"),
            (429, _) => Err(CallError::Retry(Transient::Busy)),
            (500 | 503, _) if is_queue_full(body) => Err(CallError::Retry(Transient::Busy)),
            // While it shuts down, its HTTP server has a page of its own for that.
            (502..=504, _) if reply.html => {
                Err(CallError::Retry(Transient::Starting(format!("HTTP status {}", reply.status))))
            }
            (502..=504, _) => Err(CallError::Retry(Transient::Starting(excerpt(body, reply)))),
            _ => Ok(()),
        }
    }

    fn refused(&self, credentials: String, advice: &str) -> Result<(), CallError> {
        let error = NodeError::Unauthorized { url: self.url.clone(), credentials, advice: advice.into() };
        Err(CallError::Fatal(error))
    }

    /// Makes the next request read the cookie file again, unless another thread has read a new cookie already.
    fn forget_cookie(&self, sent: Option<&Secret>) {
        let mut cookie = lock(&self.cookie);
        if cookie.as_ref() == sent {
            *cookie = None;
        }
    }
}

/// Whether the node refused a request as its work queue is full (Core's `httpserver.cpp`).
fn is_queue_full(body: &[u8]) -> bool {
    String::from_utf8_lossy(&body[..body.len().min(200)]).contains("Work queue depth exceeded")
}

/// The beginning of an answer as one line of plain text, for messages.
pub(super) fn excerpt(body: &[u8], reply: Reply) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    match (reply.html, text.trim()) {
        (_, "") => format!("HTTP status {}", reply.status),
        (true, _) => format!("HTTP status {} with a web page: is that port really bitcoind's?", reply.status),
        (false, text) => format!("HTTP status {}: {text}", reply.status),
    }
}

/// Why an answer's body could not be read.
enum BodyError {
    Io(io::Error),
    TooBig,
}

/// Reads a body of `length` bytes, or up to its end if the length is unknown, and at most `cap`, into `body`.
fn read_body(mut reader: impl Read, length: Option<u64>, cap: usize, body: &mut Vec<u8>) -> Result<(), BodyError> {
    let Some(length) = length else {
        body.clear();
        let most = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
        reader.take(most).read_to_end(body).map_err(BodyError::Io)?;
        return if body.len() > cap { Err(BodyError::TooBig) } else { Ok(()) };
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= cap).ok_or(BodyError::TooBig)?;
    body.truncate(length);
    body.reserve_exact(length - body.len());
    let mut at = 0;
    while at < length {
        if at == body.len() {
            // Zeroed piece by piece, so that each is still in the processor's cache when it is written to.
            body.resize(length.min(at + PIECE), 0);
        }
        at += match reader.read(&mut body[at..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Ok(0) => return Err(BodyError::Io(io::ErrorKind::UnexpectedEof.into())),
            read => read.map_err(BodyError::Io)?,
        };
    }
    // ureq keeps the connection only after the end was read.
    match reader.read(&mut [0]).map_err(BodyError::Io)? {
        0 => Ok(()),
        _ => Err(BodyError::TooBig),
    }
}

/// What a failed request means for its caller.
fn classify(error: ureq::Error, url: &str) -> CallError {
    use io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut, WouldBlock,
    };
    let failure = match error {
        ureq::Error::Timeout(_) => Transient::Timeout,
        ureq::Error::HostNotFound => Transient::Refused("its host name cannot be resolved".into()),
        ureq::Error::ConnectionFailed => Transient::Refused("no server answers".into()),
        ureq::Error::Io(error) => match error.kind() {
            ConnectionRefused | AddrNotAvailable | HostUnreachable | NetworkUnreachable => {
                Transient::Refused(error.to_string())
            }
            TimedOut | WouldBlock => Transient::Timeout,
            _ => Transient::Broken(error.to_string()),
        },
        ureq::Error::BodyStalled => Transient::Broken("the answer ends too early".into()),
        other => {
            return CallError::bad(
                format!("a request to {url}"),
                format!("the answer is not bitcoind's HTTP ({other})"),
            );
        }
    };
    CallError::Retry(failure)
}
