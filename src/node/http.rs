//! One HTTP request to the node over a kept connection, with a deadline and a cap, and its failures told apart.
//! Which requests to make, and whether to make one again, is for others.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;

use super::connection::{Auth, Connection};
use super::error::{NodeError, Problem, Trouble};
use super::resolve::Resolve;
use super::secret::{Secret, read_cookie};

/// One connection a thread, as many threads as a machine may have.
const IDLE_CONNECTIONS: usize = 256;

/// Bytes of an answer made room for at a time.
const PIECE: usize = 1 << 16;

/// What to ask.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    /// A REST path, from its first slash on. Goes without credentials: REST has none.
    Get(&'a str),
    /// A JSON-RPC body.
    Post(&'a [u8]),
}

/// What came, less its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Whether it calls itself a web page.
    pub(super) html: bool,
}

/// The HTTP client of one node, for all its threads.
pub(super) struct Http {
    agent: Agent,
    url: String,
    /// The cookie last read; the file is the truth.
    cookie: Mutex<Option<Secret>>,
}

impl Http {
    pub(super) fn new(connection: &Connection) -> Self {
        let config = Agent::config_builder()
            // The node's cookie must not wander off to where the environment or an answer points.
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
        let agent = Agent::with_parts(config, DefaultConnector::default(), Resolve::default());
        Self { agent, url: connection.url(), cookie: Mutex::new(None) }
    }

    /// Breaks off every request under way and refuses new ones: for the end of the program.
    pub(super) fn hang_up(&self) {
        self.agent.clone().shutdown();
    }

    /// Asks, and reads the whole answer into `body` (what it holds is overwritten), of at most `cap` bytes, within `limit`.
    /// Answers that mean "later" or "not you" are [`Problem`]s; any other status is the caller's to judge.
    pub(super) fn exchange(
        &self,
        auth: &Auth,
        ask: Ask<'_>,
        cap: usize,
        limit: Duration,
        body: &mut Vec<u8>,
    ) -> Result<Reply, Problem> {
        let mut sent = None;
        let response = match ask {
            Ask::Get(path) => {
                let request = self.agent.get(format!("{}{path}", self.url));
                request.config().timeout_global(Some(limit)).build().call()
            }
            Ask::Post(json) => {
                let mut request = self.agent.post(&self.url).content_type("application/json");
                sent = self.credentials(auth)?;
                if let Some(secret) = &sent {
                    let value = format!("Basic {}", STANDARD.encode(secret.expose()));
                    request = request.header("Authorization", value);
                }
                request.config().timeout_global(Some(limit)).build().send(json)
            }
        };
        let response = response.map_err(|error| trouble(error, &self.url))?;
        let reply = Reply {
            status: response.status().as_u16(),
            html: response.body().mime_type().is_some_and(|mime| mime.eq_ignore_ascii_case("text/html")),
        };
        let length = response.body().content_length();
        read_body(response.into_body().into_reader(), length, cap, body).map_err(|error| match error {
            Unread::Io(error) => trouble(error.into(), &self.url),
            Unread::TooBig => Problem::bad("a request", format!("it has more than the {cap} bytes that it may have")),
        })?;
        self.judge(auth, reply, body, sent.as_ref())?;
        Ok(reply)
    }

    /// What to log in with; `None` while the node has written no cookie.
    fn credentials(&self, auth: &Auth) -> Result<Option<Secret>, Problem> {
        match auth {
            Auth::User { name, password } => Ok(Some(Secret::new(format!("{name}:{}", password.expose())))),
            Auth::Cookie(path) => {
                let mut cookie = self.cookie.lock().unwrap_or_else(PoisonError::into_inner);
                if cookie.is_none() {
                    *cookie = read_cookie(path)?;
                }
                Ok(cookie.clone())
            }
        }
    }

    fn judge(&self, auth: &Auth, reply: Reply, body: &[u8], sent: Option<&Secret>) -> Result<(), Problem> {
        let refused = |credentials: String, advice: &str| {
            let error = NodeError::Unauthorized { url: self.url.clone(), credentials, advice: advice.into() };
            Err(Problem::Fatal(error))
        };
        let busy = || String::from_utf8_lossy(&body[..body.len().min(200)]).contains("Work queue depth exceeded");
        match (reply.status, auth) {
            (401, Auth::User { name, .. }) => refused(
                format!("user '{name}' and its password"),
                "compare --rpc-user and the password file with rpcauth or rpcuser in bitcoin.conf",
            ),
            (401, Auth::Cookie(path)) => {
                self.forget(sent);
                let path = path.display();
                Err(Problem::Wait(Trouble::Cookie(match sent {
                    Some(_) => format!(
                        "it refuses the cookie in {path}: is that another node's directory, or one that was not cleaned up?"
                    ),
                    None => format!(
                        "it asks for a login and there is no cookie at {path}: set --bitcoin-datadir to its directory, or \
                         --rpc-user and --rpc-password-file where it has rpcpassword or rpcauth"
                    ),
                })))
            }
            (403, _) => refused("this program".into(), "see rpcallowip and rpcwhitelist in bitcoin.conf"),
            (429, _) => Err(Problem::Wait(Trouble::Busy)),
            (500 | 503, _) if busy() => Err(Problem::Wait(Trouble::Busy)),
            (502..=504, _) => Err(Problem::Wait(Trouble::Starting(excerpt(body, reply)))),
            _ => Ok(()),
        }
    }

    /// Lets the next request read the cookie file again, unless somebody already has.
    fn forget(&self, sent: Option<&Secret>) {
        let mut cookie = self.cookie.lock().unwrap_or_else(PoisonError::into_inner);
        if cookie.as_ref() == sent {
            *cookie = None;
        }
    }
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

enum Unread {
    Io(io::Error),
    TooBig,
}

fn read_body(mut reader: impl Read, length: Option<u64>, cap: usize, body: &mut Vec<u8>) -> Result<(), Unread> {
    let Some(length) = length else {
        body.clear();
        let most = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
        reader.take(most).read_to_end(body).map_err(Unread::Io)?;
        return if body.len() > cap { Err(Unread::TooBig) } else { Ok(()) };
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= cap).ok_or(Unread::TooBig)?;
    body.truncate(length);
    body.reserve_exact(length - body.len());
    let mut at = 0;
    while at < length {
        if at == body.len() {
            // Zeroed piece by piece, so that it is still in the processor's cache when it is written to.
            body.resize(length.min(at + PIECE), 0);
        }
        at += match reader.read(&mut body[at..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Ok(0) => return Err(Unread::Io(io::ErrorKind::UnexpectedEof.into())),
            read => read.map_err(Unread::Io)?,
        };
    }
    // The end must be seen for the connection to be kept.
    match reader.read(&mut [0]).map_err(Unread::Io)? {
        0 => Ok(()),
        _ => Err(Unread::TooBig),
    }
}

fn trouble(error: ureq::Error, url: &str) -> Problem {
    use io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut, WouldBlock,
    };
    let trouble = match error {
        ureq::Error::Timeout(_) => Trouble::Timeout,
        ureq::Error::HostNotFound => Trouble::Refused("its host name cannot be resolved".into()),
        ureq::Error::ConnectionFailed => Trouble::Refused("nothing answers".into()),
        ureq::Error::Io(error) => match error.kind() {
            ConnectionRefused | AddrNotAvailable | HostUnreachable | NetworkUnreachable => {
                Trouble::Refused(error.to_string())
            }
            TimedOut | WouldBlock => Trouble::Timeout,
            _ => Trouble::Broken(error.to_string()),
        },
        ureq::Error::BodyStalled => Trouble::Broken("the answer ends too early".into()),
        other => return Problem::bad(format!("a request to {url}"), format!("it is no HTTP of bitcoind's ({other})")),
    };
    Problem::Wait(trouble)
}
