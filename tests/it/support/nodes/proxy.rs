//! A proxy to two nodes, with a cookie of its own, that lets the faults of a plan happen: each once, to a random call. The HTTP is
//! here, good and bad; the faulty answers are in `faults`.

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::bitcoind::Bitcoind;
use crate::support::chain_facts::ChainFacts;
use crate::support::faults::Fault;
use crate::support::node_call::{Delivery, NodeAnswer, NodeCall};
use crate::support::random::Rng;

/// Pause between two pieces of an answer that is sent in pieces.
const DRIP: Duration = Duration::from_millis(10);
/// Bytes of an endless answer, more than a client may read; then the connection ends, which would be another error.
const ENDLESS: usize = 64 << 20;

/// The beginning of every cookie's secret, which no output may show.
pub const CANARY: &str = "canary";

/// A fault that happened.
#[derive(Clone, Debug)]
pub struct InjectedFault {
    /// The kind of fault.
    pub kind: Fault,
    /// Name of the call that it happened to.
    pub call: String,
    /// Whether that was the run's last call, which it makes when all is scanned, to see how far the node is.
    pub is_last: bool,
    /// Number of the call in the run.
    number: u64,
}

impl InjectedFault {
    fn new(kind: Fault, call: &NodeCall, number: u64) -> Self {
        Self { kind, call: call.name(), is_last: false, number }
    }
}

impl fmt::Display for InjectedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.kind, self.call)
    }
}

/// A local port that forwards to the first of two nodes, and at times to the second.
pub struct Proxy {
    port: u16,
    state: Arc<ProxyState>,
}

struct ProxyState {
    nodes: [Upstream; 2],
    agent: ureq::Agent,
    dir: TempDir,
    plan: Mutex<Plan>,
    spoilt: Mutex<Option<Spoilt>>,
}

/// Answers that a test spoils itself.
struct Spoilt {
    left: usize,
    concerns: Box<dyn Fn(&NodeCall) -> bool + Send>,
    spoil: Box<dyn Fn(NodeAnswer) -> NodeAnswer + Send>,
}

struct Upstream {
    url: String,
    cookie_file: PathBuf,
}

/// The faults that are still to happen, and those that did.
struct Plan {
    rng: Rng,
    chain_facts: Arc<ChainFacts>,
    pending: Vec<Fault>,
    /// Whether each happens at the first call that it can happen to.
    eager: bool,
    /// Number of calls that the second node still answers.
    elsewhere: u64,
    cookie: String,
    done: Vec<InjectedFault>,
    /// Number of calls of the run so far.
    calls: u64,
}

/// A request. Its last byte stays unread until it is answered, since closing a connection with unread bytes makes the system send a
/// reset.
struct ReceivedCall {
    call: NodeCall,
    login: Option<String>,
}

impl Proxy {
    /// A proxy to these nodes, which outlive it.
    pub fn before(nodes: [&Bitcoind; 2]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let upstream = |node: &Bitcoind| Upstream { url: node.rpc_url(), cookie_file: node.cookie_file() };
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_idle_age(Duration::from_secs(10));
        let plan = Plan {
            rng: Rng::new(u64::from(port)),
            chain_facts: Arc::default(),
            pending: Vec::new(),
            eager: false,
            elsewhere: 0,
            cookie: String::new(),
            done: Vec::new(),
            calls: 0,
        };
        let state = Arc::new(ProxyState {
            nodes: nodes.map(upstream),
            agent: config.build().into(),
            dir: tempfile::tempdir().expect("a folder for the cookie"),
            plan: Mutex::new(plan),
            spoilt: Mutex::default(),
        });
        state.renew_cookie(&mut state.plan());
        let shared = Arc::clone(&state);
        // Threads and sockets end with the process, or when the client hangs up.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.serve(client));
            }
        });
        Self { port, state }
    }

    /// The URL of the node behind the proxy.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Path of its cookie file.
    pub fn cookie_file(&self) -> PathBuf {
        self.state.cookie_file()
    }

    /// Plans these faults, at calls that are drawn from the seed; `chain_facts` are about the nodes' blocks.
    pub fn plan(&self, seed: u64, faults: &[Fault], chain_facts: &Arc<ChainFacts>) {
        let mut plan = self.state.plan();
        (plan.rng, plan.chain_facts, plan.pending) = (Rng::new(seed), Arc::clone(chain_facts), faults.to_vec());
        (plan.eager, plan.elsewhere) = (false, 0);
        plan.done.clear();
        plan.calls = 0;
    }

    /// Spoils the next `times` answers to the calls that `concerns` fits.
    pub fn spoil(
        &self,
        times: usize,
        concerns: impl Fn(&NodeCall) -> bool + Send + 'static,
        spoil: impl Fn(NodeAnswer) -> NodeAnswer + Send + 'static,
    ) {
        let spoilt = Spoilt { left: times, concerns: Box::new(concerns), spoil: Box::new(spoil) };
        *self.state.spoilt.lock().unwrap_or_else(PoisonError::into_inner) = Some(spoilt);
    }

    /// How many answers are still to be spoilt.
    pub fn unspoilt(&self) -> usize {
        let spoilt = self.state.spoilt.lock().unwrap_or_else(PoisonError::into_inner);
        spoilt.as_ref().map_or(0, |spoilt| spoilt.left)
    }

    /// Has the second node answer from now on, as if it had taken the place of the first.
    pub fn switch_to_second(&self) {
        self.state.plan().elsewhere = u64::MAX;
    }

    /// Lets each of the remaining faults happen at the first call possible; returns their number.
    pub fn hurry(&self) -> usize {
        let mut plan = self.state.plan();
        plan.eager = true;
        plan.pending.len()
    }

    /// The faults that happened since the last call, to a run that has ended: the next run begins with the first node.
    pub fn done(&self) -> Vec<InjectedFault> {
        let mut plan = self.state.plan();
        plan.elsewhere = 0;
        let calls = std::mem::take(&mut plan.calls);
        let mut done = std::mem::take(&mut plan.done);
        done.iter_mut().for_each(|fault| fault.is_last = fault.number == calls);
        done
    }
}

impl ProxyState {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cookie_file(&self) -> PathBuf {
        self.dir.path().join("cookie")
    }

    /// Replaces the cookie, like a node that restarts.
    fn renew_cookie(&self, plan: &mut Plan) {
        plan.cookie = format!("__cookie__:{CANARY}{:016x}", plan.rng.bits());
        // Atomically, since the client may be reading it.
        let next = self.dir.path().join("next");
        std::fs::write(&next, &plan.cookie).expect("a file of the test");
        std::fs::rename(&next, self.cookie_file()).expect("a file of the test");
    }

    fn serve(&self, mut client: TcpStream) {
        client.set_nodelay(true).ok();
        while let Some(asked) = read_request(&mut client) {
            let answer = self.answer(&asked);
            if !deliver(&mut client, &answer) || client.read_exact(&mut [0]).is_err() {
                return;
            }
        }
    }

    fn answer(&self, asked: &ReceivedCall) -> NodeAnswer {
        let number;
        let (fault, chain_facts, upstream, mut rng) = {
            let mut plan = self.plan();
            // REST needs no login, as at the node.
            if !matches!(asked.call, NodeCall::Get(_)) && asked.login != Some(basic(&plan.cookie)) {
                return NodeAnswer::of(401, "text/html", Vec::new());
            }
            plan.calls += 1;
            number = plan.calls;
            let fault = plan.draw(&asked.call);
            match fault {
                Some(Fault::Elsewhere) => plan.elsewhere = 1 + plan.rng.below(60),
                Some(Fault::NewCookie) => {
                    self.renew_cookie(&mut plan);
                    plan.done.push(InjectedFault::new(Fault::NewCookie, &asked.call, number));
                    return NodeAnswer::of(401, "text/html", Vec::new());
                }
                _ => {}
            }
            let upstream = usize::from(plan.elsewhere > 0);
            plan.elsewhere = plan.elsewhere.saturating_sub(1);
            (fault, Arc::clone(&plan.chain_facts), &self.nodes[upstream], Rng::new(plan.rng.bits()))
        };
        let mut ask = |call: &NodeCall| upstream.ask(&self.agent, call);
        let Some(kind) = fault else {
            let answer = ask(&asked.call);
            return match self.spoilt.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                Some(spoilt) if spoilt.left > 0 && (spoilt.concerns)(&asked.call) => {
                    spoilt.left -= 1;
                    (spoilt.spoil)(answer)
                }
                _ => answer,
            };
        };
        let changed = kind.answer(&asked.call, &chain_facts, &mut rng, &mut ask);
        let mut plan = self.plan();
        match changed {
            Some(answer) => {
                plan.done.push(InjectedFault::new(kind, &asked.call, number));
                answer
            }
            // It can't happen to this call, so it has to wait for another.
            None => {
                plan.pending.push(kind);
                drop(plan);
                ask(&asked.call)
            }
        }
    }
}

impl Plan {
    /// The fault that happens to a call, if one does. Frequent calls have a small chance, so that the fault may come anywhere in a run;
    /// the few others have a large one.
    fn draw(&mut self, call: &NodeCall) -> Option<Fault> {
        let at = self.pending.iter().position(|kind| kind.concerns(call))?;
        let happens = self.eager || self.rng.once_in(if call.is_frequent() { 40 } else { 3 });
        happens.then(|| self.pending.remove(at))
    }
}

impl Upstream {
    fn ask(&self, agent: &ureq::Agent, call: &NodeCall) -> NodeAnswer {
        let cookie = std::fs::read_to_string(&self.cookie_file).unwrap_or_default();
        let sent = match call {
            NodeCall::Get(path) => agent.get(format!("{}{path}", self.url)).call(),
            NodeCall::One(_) | NodeCall::Many(_) => {
                let post = agent.post(&self.url).header("authorization", basic(&cookie));
                post.header("content-type", "application/json").send(call.body())
            }
        };
        let Ok(mut response) = sent else { return NodeAnswer::of(502, "text/plain", b"the node is away".to_vec()) };
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("").to_owned();
        match response.body_mut().with_config().limit(u64::MAX).read_to_vec() {
            Ok(body) => NodeAnswer::of(status, &kind, body),
            Err(_) => NodeAnswer::of(502, "text/plain", b"the node hung up".to_vec()),
        }
    }
}

fn basic(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

/// Reads all of a request but its last byte; `None` if the client hung up.
fn read_request(client: &mut TcpStream) -> Option<ReceivedCall> {
    let mut seen = vec![0; 1 << 14];
    let end = loop {
        let length = client.peek(&mut seen).ok().filter(|length| *length > 0)?;
        match seen[..length].windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let head = String::from_utf8_lossy(&seen[..end]).into_owned();
    let field = |name: &str| {
        let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length: usize = field("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut request = vec![0; end + length - 1];
    client.read_exact(&mut request).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let call = if length == 0 {
        NodeCall::Get(path)
    } else {
        // The unread byte closes the object or the list.
        let mut body = request.split_off(end);
        body.push(if body.first() == Some(&b'[') { b']' } else { b'}' });
        match serde_json::from_slice(&body).ok()? {
            Value::Array(calls) => NodeCall::Many(calls),
            one => NodeCall::One(one),
        }
    };
    Some(ReceivedCall { call, login: field("authorization") })
}

/// Sends an answer as its delivery says; returns whether the connection can be used again.
fn deliver(client: &mut TcpStream, answer: &NodeAnswer) -> bool {
    let NodeAnswer { status, kind, body, encoding, delivery } = answer;
    let encoding = encoding.map_or_else(String::new, |encoding| format!("Content-Encoding: {encoding}\r\n"));
    let head = |framing: String| {
        format!("HTTP/1.1 {status} Something\r\nContent-Type: {kind}\r\n{encoding}{framing}\r\n\r\n").into_bytes()
    };
    // With everything read, the connection ends without a reset.
    if !matches!(delivery, Delivery::Whole | Delivery::Drip | Delivery::Reset(_)) {
        client.read_exact(&mut [0]).ok();
    }
    let whole = [head(format!("Content-Length: {}", body.len())), body.clone()].concat();
    match delivery {
        Delivery::Whole => client.write_all(&whole).is_ok(),
        Delivery::Drip => whole.chunks(whole.len() / 12 + 1).all(|piece| {
            std::thread::sleep(DRIP);
            client.write_all(piece).is_ok()
        }),
        Delivery::Cut(left) => {
            client.write_all(&whole[..whole.len() - left.min(&body.len())]).ok();
            false
        }
        Delivery::Reset(sent) => {
            client.write_all(&whole[..*sent.min(&whole.len())]).ok();
            false
        }
        Delivery::Claim(length) => {
            client.write_all(&[head(format!("Content-Length: {length}")), body.clone()].concat()).ok();
            false
        }
        Delivery::Endless => {
            let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 1 << 16], b"\r\n".to_vec()].concat();
            let mut sent = client.write_all(&head("Transfer-Encoding: chunked".into()));
            for _ in 0..ENDLESS / chunk.len() {
                sent = sent.and_then(|()| client.write_all(&chunk));
            }
            false
        }
        Delivery::Never => {
            // This returns when the client hangs up.
            client.read_exact(&mut [0]).ok();
            false
        }
        Delivery::NoHttp => {
            client.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").ok();
            false
        }
    }
}
