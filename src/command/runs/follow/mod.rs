//! `coinhound follow`: scans up to the node's tip and stays there, takes in lists that change, and prints events as they come.
//!
//! It is made of sessions. A session asks the node what it can do, and follows it until something fails; [`supervisor`] decides whether
//! another session begins. The index says what is waited for between sessions, and
//! `status` shows it.

mod screen;
mod supervisor;
mod watchers;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use super::start::{self, Contact};
use crate::chain::Height;
use crate::cli;
use crate::command::questions::events::Log;
use crate::command::{Context, signals};
use crate::error::{Error, Exit};
use crate::index::folder::{FolderState, folder_state};
use crate::index::meta::{self, Identity, Waiter, Waiting};
use crate::index::{IndexError, ReadRows, Writer};
use crate::lists::watch::{ListWatch, Terms};
use crate::node::{CallPolicy, NodeError};
use crate::output::OutputError;
use crate::query::events::last_seq;
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::plan::open::check_identity;
use crate::sync::plan::wanted::Wanted;
use crate::sync::sweep::sweeper::Sweeper;
use screen::Screen;
use supervisor::{Next, Phase, Trouble};
use watchers::{Bells, LOOK_EVERY};

/// How long calls to the node may fail in a row before that counts as a failure of the session.
const FAILING: Duration = Duration::from_secs(3);
/// A main sweep that is no further behind than this is at the tip as far as new entries are concerned.
const NEAR_TIP: Height = 100;

pub fn run(context: &Context, args: &cli::FollowArgs) -> Result<Exit, Error> {
    let stop = Stop::default();
    signals::listen(&stop)?;
    let mut follower = Follower {
        context,
        args,
        stop: &stop,
        reread: signals::listen_for_reread()?,
        hang_up: signals::HangUp::listen()?,
        policy: CallPolicy::failing_at_most(FAILING),
        bells: Bells::new(),
        wanted: None,
        writer: None,
        log: None,
        below: None,
        phase: Phase::Starting,
        caught_up: false,
        lane: None,
        outage: FailureStreak::default(),
    };
    let ended = follower.supervise();
    follower.outage.end(follower.writer.as_ref());
    ended?;
    if let Some(log) = follower.log {
        log.end()?;
    }
    Ok(Exit::Answered)
}

/// How a session ended without a failure.
enum SessionEnd {
    /// A stop was requested.
    Stopped,
    /// The node can do other things than before.
    NodeChanged,
}

/// What a `follow` keeps from one session to the next.
struct Follower<'a> {
    context: &'a Context,
    args: &'a cli::FollowArgs,
    stop: &'a Stop,
    /// Set by SIGHUP.
    reread: Arc<AtomicBool>,
    hang_up: signals::HangUp,
    policy: CallPolicy,
    bells: Bells,
    /// What the settings and their lists ask for, once the lists were read.
    wanted: Option<Wanted>,
    writer: Option<Writer>,
    log: Option<Log>,
    /// The failure of a sweep below the main one that ended the last session.
    below: Option<(Height, SyncError)>,
    phase: Phase,
    caught_up: bool,
    /// The lane of the last session.
    lane: Option<&'static str>,
    outage: FailureStreak,
}

impl Follower<'_> {
    /// Runs sessions until a stop is requested, or one fails for good.
    fn supervise(&mut self) -> Result<(), Error> {
        loop {
            let error = match self.session() {
                Ok(SessionEnd::Stopped) => return Ok(()),
                Ok(SessionEnd::NodeChanged) => continue,
                Err(_) if self.stop.requested() => return Ok(()),
                Err(error) => error,
            };
            let trouble = Trouble::of(&error);
            let random = RandomState::new().build_hasher().finish();
            let pause = match supervisor::next(trouble, self.phase, self.outage.failures + 1, random) {
                Next::End => return Err(final_error(error)),
                Next::Retry(pause) => {
                    self.outage.note(trouble, &error, self.writer.as_ref());
                    pause
                }
                Next::Reopen(pause) => {
                    self.outage.note(trouble, &error, self.writer.as_ref());
                    self.writer = None;
                    pause
                }
            };
            if let Error::Sync(SyncError::Below { from, source }) = error {
                self.below = Some((from, *source));
            }
            if self.stop.wait(pause) {
                return Ok(());
            }
        }
    }

    /// Reaches the node and follows it until something fails.
    fn session(&mut self) -> Result<SessionEnd, Error> {
        let settings = &self.context.settings;
        let state = if self.writer.is_none() { folder_state(&settings.index)? } else { FolderState::Absent };
        if self.writer.is_none() && self.phase == Phase::Running && state == FolderState::Absent {
            return Err(IndexError::Missing { path: settings.index.clone() }.into());
        }
        if state == FolderState::Index {
            // Before the node is asked, so that the index can say that the node is waited for.
            self.writer = Some(Writer::open(&settings.index)?);
            self.outage.write(self.writer.as_ref());
        }
        self.read_lists()?;
        let breaks = self.policy.breaks();
        let contact = Contact::by_policy(settings, self.stop, &self.policy, &self.hang_up);
        let Some(contact) = contact.map_err(|error| self.of_other_chain(error))? else {
            return Ok(SessionEnd::Stopped);
        };
        self.open(&contact)?;
        let lane = contact.lane.name();
        if self.lane.replace(lane).is_some_and(|before| before != lane) {
            tracing::info!("the node has changed: reading blocks over lane {lane}");
        }
        self.bells.watch_tip(&contact.node, self.stop)?;
        self.follow(contact, breaks).map_err(|error| self.of_other_chain(error))
    }

    /// Reads the lists, once; from then on they are watched.
    fn read_lists(&mut self) -> Result<(), Error> {
        if self.wanted.is_some() {
            return Ok(());
        }
        let settings = &self.context.settings;
        let mut wanted = start::wanted_without_lists(settings)?;
        if !settings.watch.is_empty() {
            let terms = Terms {
                chain: settings.node.chain.value,
                from: self.args.entries.from.unwrap_or(0),
                accept_quarantined: self.args.entries.accept_quarantined,
                accept_shrink: false,
            };
            let (watch, lists) = ListWatch::new(&settings.watch, terms, Instant::now())?;
            wanted.lists = Some(lists);
            self.bells.watch_lists(watch, Arc::clone(&self.reread), self.stop)?;
        }
        self.wanted = Some(wanted);
        Ok(())
    }

    /// Takes lists and settings into the index, which is made if there is none; after the first time makes sure that it is of the node's
    /// chain.
    fn open(&mut self, contact: &Contact) -> Result<(), Error> {
        if let (Phase::Running, Some(writer)) = (self.phase, &self.writer) {
            return Ok(check_identity(writer, &contact.identity())?);
        }
        let settings = &self.context.settings;
        let wanted = self.wanted.get_or_insert_with(Wanted::default);
        if let Some(lists) = self.bells.take_changed() {
            wanted.lists = Some(lists);
        }
        if let Some(writer) = &self.writer {
            check_identity(writer, &contact.identity())?;
            wanted.at_once = is_near_tip(writer, contact)?;
        }
        let opened = match self.writer.take() {
            // Opened again, since a failure would drop it.
            Some(writer) => match contact.open_known(settings, wanted, Some(writer)) {
                Err(Error::Sync(error @ SyncError::ListShrank { .. })) => {
                    tracing::warn!("{error}. Following with the entries of the index");
                    wanted.lists = None;
                    contact.open(settings, wanted)
                }
                opened => opened,
            },
            None => contact.open_known(settings, wanted, None),
        };
        let writer = opened?;
        if self.log.is_none() {
            let network = settings.node.chain.value.network();
            self.log = Some(Log::new(self.context.format, network, last_seq(&writer)?)?);
        }
        self.writer = Some(writer);
        // Long lists take much memory, and the index has them now.
        wanted.lists = None;
        self.phase = Phase::Running;
        Ok(())
    }

    /// Follows a node.
    fn follow(&mut self, mut contact: Contact, mut breaks: u64) -> Result<SessionEnd, Error> {
        let (Some(writer), Some(log), Some(wanted)) = (&self.writer, &mut self.log, &self.wanted) else {
            return Ok(SessionEnd::NodeChanged);
        };
        let settings = &self.context.settings;
        let interrupts = self.bells.interrupts.clone();
        let mut screen = Screen::new(self.context.quiet, writer, log, self.stop, Arc::clone(&interrupts.pause));
        let mut sweeper = Sweeper::new(writer, contact.source(), start::pace(settings), self.stop);
        sweeper.listen(interrupts.clone());
        if self.caught_up {
            sweeper.at_tip();
        }
        if let Some((from, why)) = self.below.take() {
            sweeper.hold(from, &why)?;
        }
        loop {
            interrupts.pause.store(false, Ordering::SeqCst);
            if take_in_changed(writer, &self.bells, wanted, &contact)? {
                sweeper.reload_entries();
            }
            let outcome = sweeper.run(None, &mut screen);
            screen.print()?;
            let outcome = outcome?;
            if self.stop.requested() {
                return Ok(SessionEnd::Stopped);
            }
            if outcome.stopped {
                return Ok(SessionEnd::NodeChanged);
            }
            self.outage.end(Some(writer));
            if interrupts.pause.load(Ordering::SeqCst) {
                continue;
            }
            if !self.caught_up {
                tracing::info!("caught up: following the node's tip");
                self.caught_up = true;
                sweeper.at_tip();
            }
            sweeper.preload()?;
            if !wait(&self.bells, self.stop, &mut screen, sweeper.held_until(), || self.policy.breaks() != breaks)? {
                return Ok(SessionEnd::Stopped);
            }
            if self.policy.breaks() == breaks {
                continue;
            }
            // It may have been restarted with other settings, or another node may have taken its place.
            breaks = self.policy.breaks();
            let again = Contact::by_policy(settings, self.stop, &self.policy, &self.hang_up)?;
            let Some(again) = again else { return Ok(SessionEnd::Stopped) };
            check_identity(writer, &again.identity())?;
            if !again.can_do_the_same(&contact) {
                return Ok(SessionEnd::NodeChanged);
            }
            self.bells.watch_tip(&contact.node, self.stop)?;
            self.hang_up.on(&contact.node, self.stop);
            contact.info = again.info;
        }
    }

    /// A node that was on the index's chain, and is on another now, makes the index one of another chain.
    fn of_other_chain(&self, error: Error) -> Error {
        match (error, self.phase) {
            (
                Error::Node(NodeError::WrongChain { found, expected, .. })
                | Error::Sync(SyncError::Node(NodeError::WrongChain { found, expected, .. })),
                Phase::Running,
            ) => {
                let path = self.context.settings.index.clone();
                let ours = self.writer.as_ref().and_then(|writer| Identity::read(writer).ok());
                let ours = ours.map_or_else(|| expected.to_string(), |ours| ours.describe());
                IndexError::OtherChain { path, found: ours, expected: found }.into()
            }
            (error, _) => error,
        }
    }
}

/// A reader that has gone is a failure here, unlike in a command that ends by itself: the events are lost without a word.
fn final_error(error: Error) -> Error {
    match error {
        Error::Output(OutputError::Closed) => {
            let source = std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the reader of the output has gone");
            Error::System { what: "printing events", source }
        }
        error => error,
    }
}

/// Whether the main sweep is so near the node's tip that new entries are best searched for in new blocks at once.
fn is_near_tip(writer: &Writer, contact: &Contact) -> Result<bool, Error> {
    Ok(contact.info.blocks.saturating_sub(writer.sweeps()?.main()) <= NEAR_TIP)
}

/// Takes in lists that changed; returns whether there were any. A running program never forgets an entry and never follows coins less
/// far: that is refused with a warning, and the index stays as it is. Where the index can't be written now, they are kept.
fn take_in_changed(writer: &Writer, bells: &Bells, known: &Wanted, contact: &Contact) -> Result<bool, Error> {
    let Some(lists) = bells.take_changed() else { return Ok(false) };
    let mut wanted = Wanted { lists: Some(lists), trace: known.trace.clone(), ..Wanted::default() };
    wanted.served_from = contact.info.prune_height.unwrap_or(0);
    wanted.at_once = is_near_tip(writer, contact)?;
    match start::take_in(writer, &wanted, &contact.info) {
        Ok(()) => Ok(true),
        Err(Error::Sync(error @ (SyncError::ListShrank { .. } | SyncError::Narrower { .. }))) => {
            tracing::warn!("the changed lists were not taken in: {error}");
            Ok(false)
        }
        Err(error) => {
            wanted.lists.into_iter().for_each(|lists| bells.keep_changed(lists));
            Err(error)
        }
    }
}

/// Waits for a new tip, changed lists, a node that was away, or the moment `until`; `false` for a stop.
fn wait(
    bells: &Bells,
    stop: &Stop,
    screen: &mut Screen<'_>,
    until: Option<Instant>,
    was_away: impl Fn() -> bool,
) -> Result<bool, Error> {
    while !stop.requested() {
        match bells.rung.recv_timeout(LOOK_EVERY) {
            Ok(()) => return Ok(!stop.requested()),
            Err(RecvTimeoutError::Timeout) if until.is_some_and(|until| until <= Instant::now()) || was_away() => {
                return Ok(true);
            }
            Err(RecvTimeoutError::Timeout) => screen.check()?,
            // Not before the end of the program, as this thread has a sender too.
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(false)
}

/// Failures in a row: logged when they begin, when their kind changes, and when they end; written into the index meanwhile.
#[derive(Default)]
struct FailureStreak {
    failures: u32,
    current: Option<(Trouble, Waiting)>,
    began: Option<Instant>,
}

impl FailureStreak {
    fn note(&mut self, trouble: Trouble, error: &Error, writer: Option<&Writer>) {
        if trouble == Trouble::Below {
            // The main sweep continues, and the sweeper says what the other one waits for.
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.began.get_or_insert_with(Instant::now);
        let mut waiting = Waiting::now(trouble.awaited(), error);
        let known = self.current.as_ref().map(|(known, _)| *known);
        if let Some((_, known)) = &self.current {
            waiting.since = known.since;
        }
        // The node layer has logged that the node is away.
        let is_logged = matches!(error, Error::Node(NodeError::Unreachable { .. }))
            || matches!(error, Error::Sync(SyncError::Node(NodeError::Unreachable { .. })));
        if known != Some(trouble) && !is_logged {
            tracing::warn!("waiting for {}: {error}", waiting.what);
        }
        self.current = Some((trouble, waiting));
        self.write(writer);
    }

    /// Writes what is waited for into the index, as far as that can be written.
    fn write(&self, writer: Option<&Writer>) {
        let Some(((_, waiting), writer)) = self.current.as_ref().zip(writer) else { return };
        let mut step = writer.step();
        meta::put_waiting(&mut step, Waiter::Run, Some(waiting));
        if let Err(error) = step.commit(false) {
            tracing::debug!("the index can't say what is waited for: {error}");
        }
    }

    /// Notes that it works again.
    fn end(&mut self, writer: Option<&Writer>) {
        let Some((_, waiting)) = self.current.take() else { return };
        let seconds = self.began.take().map_or(0.0, |began| began.elapsed().as_secs_f64());
        self.failures = 0;
        tracing::warn!("no longer waiting for {}, after {seconds:.1} s", waiting.what);
        let Some(writer) = writer else { return };
        let mut step = writer.step();
        meta::put_waiting(&mut step, Waiter::Run, None);
        if let Err(error) = step.commit(false) {
            tracing::debug!("the index can't say that nothing is waited for: {error}");
        }
    }
}
