//! What all threads share of one node: its HTTP client, the request to stop, and whether it answers at present.
//! Calls that fail for a passing reason are made again here, with back-off; each change of state is told once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem::{Discriminant, discriminant};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::error::{NodeError, Problem, Trouble, version_text};
use super::http::{Ask, Http, Reply};
use crate::stop::Stop;

/// The deadline of one call. Core's slowest here, `getblock` verbosity 3 of a full block, takes a second or two.
const CALL: Duration = Duration::from_secs(60);
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// An answer on a connection of its own says yes or no.
const ASIDE_CAP: usize = 1 << 16;
/// Between two lines about a node that answers, but not everything.
const NOTICE_EVERY: Duration = Duration::from_secs(60);

/// How long to go on asking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    call: Duration,
    until: Option<(Instant, Duration)>,
}

impl Patience {
    /// Until the node answers or somebody asks to stop.
    pub(super) const ENDLESS: Self = Self { call: CALL, until: None };

    /// No longer than `limit` from now.
    pub(super) fn within(limit: Duration) -> Self {
        Self { call: CALL, until: Some((Instant::now() + limit, limit)) }
    }

    /// Until the node answers or somebody asks to stop; a call may take so long.
    pub(super) fn calls_of(call: Duration) -> Self {
        Self { call, until: None }
    }

    /// How long the next call may take.
    fn call(&self) -> Duration {
        let left = self.until.map_or(self.call, |(end, _)| end.saturating_duration_since(Instant::now()));
        self.call.min(left).max(Duration::from_millis(10))
    }

    /// The limit, once it has passed.
    fn over(&self) -> Option<Duration> {
        self.until.filter(|(end, _)| *end <= Instant::now()).map(|(_, limit)| limit)
    }
}

/// One node, as seen by all threads of this program.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) stop: Stop,
    http: Http,
    /// Of the node, once it was told; 0 before.
    version: AtomicU64,
    /// Whether `watch` holds a node that is down: spares the lock while all is well.
    down: AtomicBool,
    watch: Mutex<Watch>,
}

impl Link {
    pub(super) fn new(connection: Connection, stop: Stop) -> Self {
        let http = Http::new(&connection);
        let watch = Mutex::new(Watch::default());
        Self { connection, stop, http, version: AtomicU64::new(0), down: AtomicBool::new(false), watch }
    }

    pub(super) fn hang_up(&self) {
        self.http.hang_up();
    }

    pub(super) fn learn_version(&self, version: u64) {
        self.version.store(version, Ordering::Relaxed);
    }

    /// One request, once.
    pub(super) fn exchange(
        &self,
        patience: Patience,
        ask: Ask<'_>,
        cap: usize,
        body: &mut Vec<u8>,
    ) -> Result<Reply, Problem> {
        self.http.exchange(self.connection.auth(), ask, cap, patience.call(), body)
    }

    /// One JSON-RPC request on a connection that `hang_up` doesn't reach, for what the node must be told at the end; `None` where
    /// no answer came in time.
    pub(super) fn aside(&self, json: &str, limit: Duration) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let ask = Ask::Post(json.as_bytes());
        let reply = Http::new(&self.connection).exchange(self.connection.auth(), ask, ASIDE_CAP, limit, &mut body);
        reply.is_ok().then_some(body)
    }

    /// Asks until there is an answer, the trouble is no passing one, `patience` ends, or somebody asks to stop.
    pub(super) fn persist<T>(
        &self,
        patience: Patience,
        what: impl Fn() -> String,
        mut ask: impl FnMut() -> Result<T, Problem>,
    ) -> Result<T, NodeError> {
        let mut failures = 0;
        loop {
            if self.stop.requested() {
                return Err(NodeError::Stopped);
            }
            let began = Instant::now();
            let trouble = match ask() {
                Ok(answer) => {
                    self.answered(began);
                    return Ok(answer);
                }
                Err(Problem::Wait(trouble)) => trouble,
                Err(problem) => {
                    self.answered(began);
                    return Err(self.explain(problem, &what));
                }
            };
            failures += 1;
            if let Some(waited) = patience.over() {
                return Err(self.give_up(trouble, waited));
            }
            self.failed(&trouble, failures);
            let mut pause = back_off(failures, RandomState::new().build_hasher().finish());
            if let Some((end, _)) = patience.until {
                pause = pause.min(end.saturating_duration_since(Instant::now()));
            }
            if self.stop.wait(pause) {
                return Err(NodeError::Stopped);
            }
        }
    }

    fn explain(&self, problem: Problem, what: &impl Fn() -> String) -> NodeError {
        let error = match problem {
            Problem::Said { code, message } => NodeError::bad(what(), format!("{message} (error {code})")),
            Problem::Wait(trouble) => NodeError::bad(what(), trouble),
            Problem::Fatal(error) => error,
        };
        match (error, self.version.load(Ordering::Relaxed)) {
            // An answer of a newer version may have changed its form: then the version is what to report.
            (NodeError::BadAnswer { what, detail }, version) if version > 0 => {
                NodeError::BadAnswer { what, detail: format!("{detail} (node version {})", version_text(version)) }
            }
            (error, _) => error,
        }
    }

    fn give_up(&self, trouble: Trouble, waited: Duration) -> NodeError {
        let url = self.connection.url();
        match trouble {
            Trouble::Cookie(advice) => {
                NodeError::Unauthorized { url, credentials: "this program's login".into(), advice }
            }
            trouble => NodeError::Unreachable { url, waited, why: trouble.to_string() },
        }
    }

    fn failed(&self, trouble: &Trouble, failures: u32) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let line = watch.failed(trouble, failures, Instant::now());
        self.down.store(watch.down.is_some(), Ordering::Release);
        if let Some(line) = line {
            tracing::warn!("node at {}: {line}", self.connection.url());
        }
    }

    fn answered(&self, began: Instant) {
        if !self.down.load(Ordering::Acquire) {
            return;
        }
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = watch.answered(began, Instant::now()) {
            self.down.store(false, Ordering::Release);
            tracing::warn!("node at {}: {line}", self.connection.url());
        }
    }
}

/// Whether the node answers, and what was last said of it. Returns the line to log, if the state changed.
#[derive(Debug, Default)]
struct Watch {
    down: Option<Down>,
    noticed: Option<Instant>,
}

#[derive(Debug)]
struct Down {
    since: Instant,
    last: Instant,
    why: Discriminant<Trouble>,
}

impl Watch {
    fn failed(&mut self, trouble: &Trouble, failures: u32, now: Instant) -> Option<String> {
        let why = discriminant(trouble);
        if let Some(down) = self.down.as_mut().filter(|_| trouble.means_down()) {
            down.last = now;
            if down.why == why || failures < trouble.patience() {
                return None;
            }
            down.why = why;
            return Some(format!("still waiting for it: {trouble}"));
        }
        if failures < trouble.patience() {
            return None;
        }
        if trouble.means_down() {
            self.down = Some(Down { since: now, last: now, why });
            return Some(format!("waiting for it: {trouble}"));
        }
        if self.noticed.is_some_and(|last| now.saturating_duration_since(last) < NOTICE_EVERY) {
            return None;
        }
        self.noticed = Some(now);
        Some(format!("it answers, but {trouble}; trying again"))
    }

    /// `began`: when the call that was answered was made. One made before the last failure proves nothing.
    fn answered(&mut self, began: Instant, now: Instant) -> Option<String> {
        let down = self.down.take_if(|down| began >= down.last)?;
        Some(format!("it answers again, after {:.1} s", now.saturating_duration_since(down.since).as_secs_f64()))
    }
}

/// How long to wait after so many failures: doubling, capped, and spread so that threads don't return all at once.
fn back_off(failures: u32, random: u64) -> Duration {
    let full = SHORTEST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_WAIT);
    let half = full / 2;
    let part = u32::try_from(random % 1024).unwrap_or(0);
    half + half * part / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Trouble {
        Trouble::Refused("refused".into())
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
    fn each_change_of_state_is_told_once_however_many_threads_meet_it() {
        let mut watch = Watch::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(watch.failed(&refused(), 1, at(0)).unwrap().contains("refused"));
        for ms in 1..50 {
            assert_eq!(watch.failed(&refused(), 1, at(ms)), None);
        }
        let starting = Trouble::Starting("Loading block index".into());
        assert!(watch.failed(&starting, 9, at(50)).unwrap().contains("Loading block index"));
        assert_eq!(watch.failed(&Trouble::Starting("Verifying blocks".into()), 10, at(51)), None);
        assert!(watch.answered(at(60), at(2060)).unwrap().contains("after 2.1 s"));
        assert_eq!(watch.answered(at(61), at(61)), None);
    }

    #[test]
    fn an_answer_to_a_call_from_before_the_failure_does_not_mean_the_node_is_back() {
        let mut watch = Watch::default();
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        watch.failed(&refused(), 1, later);
        assert_eq!(watch.answered(start, later), None);
        assert!(watch.answered(later, later).is_some());
    }

    #[test]
    fn a_single_broken_connection_or_a_short_queue_is_not_worth_a_line() {
        let mut watch = Watch::default();
        let now = Instant::now();
        assert_eq!(watch.failed(&Trouble::Broken("reset".into()), 1, now), None);
        assert_eq!(watch.failed(&Trouble::Busy, 3, now), None);
        assert!(watch.failed(&Trouble::Busy, 8, now).is_some());
        assert_eq!(watch.failed(&Trouble::Busy, 9, now + Duration::from_secs(5)), None, "told a moment ago");
        assert!(watch.down.is_none(), "a busy node is not a node that is away");
        assert!(watch.failed(&Trouble::Broken("reset".into()), 2, now).is_some());
    }
}
