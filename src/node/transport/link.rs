//! What all threads share of one node: its HTTP client, the stop request, and whether the node is available. A [`Caller`] makes calls
//! by it, and makes them again, with back-off, as long as they fail for a passing reason. Each change of state is logged once.

use std::fmt::Display;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem::{Discriminant, discriminant};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::http::{Http, Reply, Request};
use crate::lock::lock;
use crate::node::access::NodeAccess;
use crate::node::error::{CallError, NodeError, Transient, version_text};
use crate::stop::Stop;

/// The deadline of one call. Core's slowest here, `getblock` verbosity 3 of a full block, takes a second or two.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// So that a call made at the very end of a limit still has a chance.
const SHORTEST_CALL: Duration = Duration::from_millis(10);
/// Before the second try: a full work queue or a closed connection has often passed by then.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// Between two tries after many failures: a node that is back is noticed within that time.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a block of the node's active chain may be missing. It is missing for hours while a node that was loaded from a UTXO snapshot
/// downloads its history.
const NOT_YET_LIMIT: Duration = Duration::from_secs(20);
/// How often a call is made whose answers can't be used.
const ODD_ANSWERS: u32 = 3;
/// Between two log lines about a node that is available, but fails some calls.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// The RPC calls that this program makes, by whatever command.
pub(in crate::node) const CALLS: [&str; 14] = [
    "getbestblockhash",
    "getblock",
    "getblockchaininfo",
    "getblockfilter",
    "getblockhash",
    "getblockheader",
    "getchainstates",
    "getchaintips",
    "getindexinfo",
    "getnetworkinfo",
    "getrawtransaction",
    "gettxout",
    "scantxoutset",
    "waitfornewblock",
];
/// The most bytes of the answer to [`Link::call_aside`], which says yes or no.
const ASIDE_CAP: usize = 1 << 16;

/// How long calls are made again.
#[derive(Clone, Copy, Debug)]
pub(in crate::node) struct Patience {
    /// The most that a single call may take.
    call: Duration,
    /// When to give up, and the limit from which that was computed.
    until: Option<(Instant, Duration)>,
    /// How long calls may fail one after the other.
    failing: Option<Duration>,
    /// The same for calls that fail since the node doesn't have a block yet.
    not_yet: Option<Duration>,
}

impl Patience {
    /// Until the node answers or a stop is requested.
    pub(in crate::node) const ENDLESS: Self = Self { call: CALL_LIMIT, until: None, failing: None, not_yet: None };

    /// No longer than `limit` from now.
    pub(in crate::node) fn within(limit: Duration) -> Self {
        Self { until: Some((Instant::now() + limit, limit)), ..Self::ENDLESS }
    }

    /// Until the node answers or a stop is requested, with `call` as the deadline of each call.
    pub(in crate::node) fn with_calls_of(call: Duration) -> Self {
        Self { call, ..Self::ENDLESS }
    }

    /// How long the next call may take.
    fn next_call(&self) -> Duration {
        let left = self.until.map_or(self.call, |(end, _)| end.saturating_duration_since(Instant::now()));
        self.call.min(left).max(SHORTEST_CALL)
    }

    /// The limit, if it has passed; the first of the failures in a row was at `since`, and the last one may be of a missing block.
    fn exceeded(&self, since: Instant, is_block_missing: bool) -> Option<Duration> {
        let now = Instant::now();
        let until = self.until.filter(|(end, _)| *end <= now).map(|(_, limit)| limit);
        let failing = if is_block_missing { self.not_yet } else { self.failing };
        until.or_else(|| failing.filter(|failing| now.saturating_duration_since(since) >= *failing))
    }
}

/// How a node is called where a call has no time limit of its own, and the state of the node as all handles with this policy see it.
#[derive(Clone, Default)]
pub struct CallPolicy {
    /// How long calls may fail one after the other before they end with an error; `None` for as long as it takes.
    failing: Option<Duration>,
    health: Arc<Health>,
}

impl CallPolicy {
    /// Calls that fail for this long end with [`NodeError::Unreachable`] or [`NodeError::NotYet`].
    pub fn failing_at_most(limit: Duration) -> Self {
        Self { failing: Some(limit), health: Arc::default() }
    }

    /// Counts the calls that found the node down or restarting: while this stays the same, so does what the node can do.
    pub fn breaks(&self) -> u64 {
        self.health.breaks.load(Ordering::Acquire)
    }

    fn patience(&self) -> Patience {
        let not_yet = Some(self.failing.unwrap_or(NOT_YET_LIMIT));
        Patience { failing: self.failing, not_yet, ..Patience::ENDLESS }
    }
}

/// Whether the node is available.
#[derive(Default)]
struct Health {
    breaks: AtomicU64,
    /// Whether `availability` has an outage: spares the lock while all is well.
    down: AtomicBool,
    availability: Mutex<Availability>,
}

/// One node, as seen by all threads of this program.
pub(in crate::node) struct Link {
    pub(in crate::node) access: NodeAccess,
    pub(in crate::node) stop: Stop,
    http: Http,
    /// The node's version, for messages; 0 until it is known.
    version: AtomicU64,
    /// For calls that have no time limit of their own.
    pub(in crate::node) patience: Patience,
    health: Arc<Health>,
}

impl Link {
    pub(in crate::node) fn new(access: NodeAccess, stop: Stop, policy: &CallPolicy) -> Self {
        let http = Http::new(&access);
        let (patience, health) = (policy.patience(), Arc::clone(&policy.health));
        Self { access, stop, http, version: AtomicU64::new(0), patience, health }
    }

    pub(in crate::node) fn hang_up(&self) {
        self.http.hang_up();
    }

    /// Remembers the node's version, which is added to messages about answers that can't be parsed.
    pub(in crate::node) fn set_version(&self, version: u64) {
        self.version.store(version, Ordering::Relaxed);
    }

    /// Makes one JSON-RPC call on a connection that [`Link::hang_up`] does not break, for what the node must hear after it; `None` if
    /// there is no answer in time.
    pub(in crate::node) fn call_aside(&self, json: &str, limit: Duration) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let reply = Http::new(&self.access).exchange(Request::Post(json.as_bytes()), ASIDE_CAP, limit, &mut body);
        reply.is_ok().then_some(body)
    }

    fn explain(&self, error: CallError, what: &impl Display) -> NodeError {
        let error = match error {
            CallError::Rpc { code, message } => NodeError::bad(what.to_string(), format!("{message} (error {code})")),
            CallError::Retry(failure) => NodeError::bad(what.to_string(), failure),
            CallError::Forbidden => self.refusal(what.to_string()),
            CallError::Fatal(error) => error,
        };
        match (error, self.version.load(Ordering::Relaxed)) {
            // A newer version may have changed the form of its answer; then the version is what to report.
            (NodeError::BadAnswer { what, detail }, version) if version > 0 => {
                NodeError::BadAnswer { what, detail: format!("{detail} (node version {})", version_text(version)) }
            }
            (error, _) => error,
        }
    }

    /// The error for a call that the node refuses to this user.
    pub(in crate::node) fn refusal(&self, call: String) -> NodeError {
        let user = self.access.auth().user();
        let line = format!("rpcwhitelist={user}:{}", CALLS.join(","));
        NodeError::CallRefused { url: self.access.url(), call, user: user.to_owned(), line }
    }

    fn give_up(&self, failure: Transient, waited: Duration) -> NodeError {
        let url = self.access.url();
        match failure {
            Transient::Cookie(advice) => {
                NodeError::Unauthorized { url, credentials: "this program's login".into(), advice }
            }
            Transient::NotYet(why) => NodeError::NotYet { why },
            failure => NodeError::Unreachable { url, waited, why: failure.to_string() },
        }
    }

    fn note_failure(&self, failure: &Transient, failures: u32) {
        let mut availability = lock(&self.health.availability);
        let line = availability.note_failure(failure, failures, Instant::now());
        self.health.down.store(availability.outage.is_some(), Ordering::Release);
        if failure.means_down() {
            self.health.breaks.fetch_add(1, Ordering::AcqRel);
        }
        if let Some(line) = line {
            tracing::warn!("node at {}: {line}", self.access.url());
        }
    }

    fn note_answer(&self, began: Instant) {
        if !self.health.down.load(Ordering::Acquire) {
            return;
        }
        if let Some(line) = lock(&self.health.availability).note_answer(began, Instant::now()) {
            self.health.down.store(false, Ordering::Release);
            tracing::warn!("node at {}: {line}", self.access.url());
        }
    }

    fn note_odd_answer(&self, error: &CallError, what: &impl Display) {
        let (what, why) = match error {
            CallError::Rpc { code, message } => (what.to_string(), format!("{message} (error {code})")),
            CallError::Fatal(NodeError::BadAnswer { what, detail }) => (what.clone(), detail.clone()),
            CallError::Fatal(error) => (what.to_string(), error.to_string()),
            CallError::Retry(_) | CallError::Forbidden => return,
        };
        if lock(&self.health.availability).logs_again(Instant::now()) {
            tracing::warn!("node at {}: its answer to {what} can't be used ({why}); asking again", self.access.url());
        }
    }
}

/// Makes calls to the node with a given patience; [`Rpc`](super::rpc::Rpc) and [`Rest`](super::rest::Rest) use it.
#[derive(Clone)]
pub(in crate::node) struct Caller {
    link: Arc<Link>,
    patience: Patience,
}

impl Caller {
    pub(in crate::node) fn new(link: &Arc<Link>, patience: Patience) -> Self {
        Self { link: Arc::clone(link), patience }
    }

    pub(in crate::node) fn url(&self) -> String {
        self.link.access.url()
    }

    /// The error for a call that the node refuses to this user.
    pub(in crate::node) fn refusal(&self, call: &str) -> NodeError {
        self.link.refusal(call.to_owned())
    }

    /// Makes one request, once; see [`Http::exchange`].
    pub(super) fn exchange(&self, request: Request<'_>, cap: usize, body: &mut Vec<u8>) -> Result<Reply, CallError> {
        self.link.http.exchange(request, cap, self.patience.next_call(), body)
    }

    /// Makes `call` until it is answered, fails for good, patience ends, or a stop is requested. `what` names it in messages.
    pub(in crate::node) fn persist<T>(
        &self,
        what: impl Display,
        mut call: impl FnMut() -> Result<T, CallError>,
    ) -> Result<T, NodeError> {
        let link = &self.link;
        let (mut failures, mut odd, mut since, mut before) = (0, 0, None, None);
        loop {
            if link.stop.requested() {
                return Err(NodeError::Stopped);
            }
            let began = Instant::now();
            let failure = match call() {
                Ok(answer) => {
                    link.note_answer(began);
                    return Ok(answer);
                }
                Err(CallError::Retry(failure)) => failure,
                Err(error) => {
                    // An answer all the same: the node is available.
                    link.note_answer(began);
                    odd += 1;
                    if !error.is_doubtful() || odd >= ODD_ANSWERS || self.patience.exceeded(began, false).is_some() {
                        return Err(link.explain(error, &what));
                    }
                    link.note_odd_answer(&error, &what);
                    if link.stop.wait(back_off(odd, RandomState::new().build_hasher().finish())) {
                        return Err(NodeError::Stopped);
                    }
                    continue;
                }
            };
            failures += 1;
            if let Some(waited) =
                self.patience.exceeded(*since.get_or_insert(began), matches!(failure, Transient::NotYet(_)))
            {
                // The limit cuts the last call short: what the node answered before that says more.
                let is_cut = self.patience.until.is_some() && matches!(failure, Transient::Timeout);
                let failure = before.filter(|_| is_cut).unwrap_or(failure);
                return Err(link.give_up(failure, waited));
            }
            link.note_failure(&failure, failures);
            before = Some(failure);
            let mut pause = back_off(failures, RandomState::new().build_hasher().finish());
            if let Some((end, _)) = self.patience.until {
                pause = pause.min(end.saturating_duration_since(Instant::now()));
            }
            if link.stop.wait(pause) {
                return Err(NodeError::Stopped);
            }
        }
    }
}

/// Whether the node is available, and what was last logged about it. Its methods return the line to log, if there is one.
#[derive(Debug, Default)]
struct Availability {
    outage: Option<Outage>,
    /// When a failure of an available node was last logged.
    logged: Option<Instant>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    last_failure: Instant,
    /// The kind of failure that was last logged.
    kind: Discriminant<Transient>,
}

impl Availability {
    fn note_failure(&mut self, failure: &Transient, failures: u32, now: Instant) -> Option<String> {
        let kind = discriminant(failure);
        if let Some(outage) = self.outage.as_mut().filter(|_| failure.means_down()) {
            outage.last_failure = now;
            if outage.kind == kind || failures < failure.log_after() {
                return None;
            }
            outage.kind = kind;
            return Some(format!("still waiting for it: {failure}"));
        }
        if failures < failure.log_after() {
            return None;
        }
        if failure.means_down() {
            self.outage = Some(Outage { since: now, last_failure: now, kind });
            return Some(format!("waiting for it: {failure}"));
        }
        self.logs_again(now).then(|| format!("it answers, but {failure}; trying again"))
    }

    /// Whether a failure of an available node is logged now.
    fn logs_again(&mut self, now: Instant) -> bool {
        let again = self.logged.is_none_or(|last| now.saturating_duration_since(last) >= LOG_EVERY);
        if again {
            self.logged = Some(now);
        }
        again
    }

    /// `began` is when the answered call was made: the answer to one made before the last failure doesn't end the outage.
    fn note_answer(&mut self, began: Instant, now: Instant) -> Option<String> {
        let outage = self.outage.take_if(|outage| began >= outage.last_failure)?;
        Some(format!("it answers again, after {:.1} s", now.saturating_duration_since(outage.since).as_secs_f64()))
    }
}

/// The wait after `failures` failures in a row: doubling, capped, and spread at random so that threads don't all return at once.
fn back_off(failures: u32, random: u64) -> Duration {
    // The longest wait is reached long before the tenth doubling.
    let full = SHORTEST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_WAIT);
    let half = full / 2;
    let part = u32::try_from(random % 1024).unwrap_or(0);
    half + half * part / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Transient {
        Transient::Refused("refused".into())
    }

    #[test]
    fn waits_grow_from_50_ms_to_5_s_and_are_spread() {
        for (failures, most) in [(1, 50), (2, 100), (5, 800), (8, 5000), (9, 5000), (u32::MAX, 5000)] {
            for random in [0, 1, 511, 1023, u64::MAX] {
                let wait = back_off(failures, random).as_millis();
                assert!(wait >= most / 2 && wait <= most, "{failures} {random}: {wait}");
            }
        }
        assert!(back_off(3, 0) < back_off(3, 1023));
    }

    #[test]
    fn each_change_of_state_is_logged_once_however_many_threads_meet_it() {
        let mut availability = Availability::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(availability.note_failure(&refused(), 1, at(0)).unwrap().contains("refused"));
        for ms in 1..50 {
            assert_eq!(availability.note_failure(&refused(), 1, at(ms)), None);
        }
        let starting = Transient::Starting("Loading block index".into());
        assert!(availability.note_failure(&starting, 9, at(50)).unwrap().contains("Loading block index"));
        assert_eq!(availability.note_failure(&Transient::Starting("Verifying blocks".into()), 10, at(51)), None);
        assert!(availability.note_answer(at(60), at(2060)).unwrap().contains("after 2.1 s"));
        assert_eq!(availability.note_answer(at(61), at(61)), None);
    }

    #[test]
    fn the_answer_to_a_call_made_before_the_failure_does_not_end_the_outage() {
        let mut availability = Availability::default();
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        availability.note_failure(&refused(), 1, later);
        assert_eq!(availability.note_answer(start, later), None);
        assert!(availability.note_answer(later, later).is_some());
    }

    #[test]
    fn a_single_broken_connection_or_a_full_queue_is_not_logged() {
        let mut availability = Availability::default();
        let now = Instant::now();
        assert_eq!(availability.note_failure(&Transient::Broken("reset".into()), 1, now), None);
        assert_eq!(availability.note_failure(&Transient::Busy, 3, now), None);
        assert!(availability.note_failure(&Transient::Busy, 8, now).is_some());
        assert_eq!(
            availability.note_failure(&Transient::Busy, 9, now + Duration::from_secs(5)),
            None,
            "logged a moment ago"
        );
        assert!(availability.outage.is_none(), "a busy node is available");
        assert!(availability.note_failure(&Transient::Broken("reset".into()), 2, now).is_some());
    }
}
