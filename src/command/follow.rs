//! `coinhound follow`: scans up to the node's tip and stays there, takes in lists that change, and prints events as they come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::events::Log;
use super::start::{self, Contact};
use super::{Context, signals};
use crate::chain::Height;
use crate::cli;
use crate::config::Settings;
use crate::error::{Error, Exit};
use crate::index::Writer;
use crate::lists::watch::{ListWatch, Terms};
use crate::lock::lock;
use crate::node::{Node, NodeError};
use crate::output::progress::Progress;
use crate::query::events::last_seq;
use crate::stop::Stop;
use crate::sync::SyncError;
use crate::sync::apply::batch::Tally;
use crate::sync::plan::change::plan;
use crate::sync::plan::wanted::{Lists, Wanted, WantedTrace};
use crate::sync::sweep::run::{Interrupts, Observer};
use crate::sync::sweep::sweeper::Sweeper;

/// Deadline of one request that waits for a new tip.
const TIP_WAIT: Duration = Duration::from_secs(25);
/// Pause before asking again a node whose chain kept changing while it was read.
const UNSTEADY_WAIT: Duration = Duration::from_secs(10);
/// Between two looks at the lists' files; also the longest time until an idle run notices a stop.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two prints of new events while a sweep runs.
const PRINT_EVERY: Duration = Duration::from_millis(100);

pub fn run(context: &Context, args: &cli::FollowArgs) -> Result<Exit, Error> {
    let settings = &context.settings;
    let stop = Stop::default();
    signals::listen(&stop)?;
    let mut wanted = start::wanted_without_lists(settings)?;
    let lists = start_list_watch(settings, args, &mut wanted)?;
    let Some(contact) = Contact::new(settings, &stop)? else { return Ok(Exit::Answered) };
    let writer = contact.open(settings, &wanted)?;
    // Long lists take much memory, and the index has them now.
    wanted.lists = None;
    let log = Log::new(context.format, settings.node.chain.value.network(), last_seq(&writer)?)?;
    let mut screen = Screen {
        progress: Progress::new(context.quiet),
        writer: &writer,
        log,
        stop: &stop,
        printed: Instant::now(),
        failed: None,
    };
    let (rings, rung) = bounded(1);
    let interrupts = Interrupts { tip: Some(Arc::default()), ..Interrupts::default() };
    let changed = Arc::new(Mutex::new(None));
    watch_tip(contact.node.clone(), &interrupts, rings.clone(), &stop)?;
    if let Some(lists) = lists {
        watch_lists(lists, &interrupts, rings, &changed, &stop)?;
    }
    let source = contact.source(&stop);
    let mut sweeper = Sweeper::new(&writer, source, start::pace(settings), &stop);
    sweeper.listen(interrupts.clone());
    let mut caught_up = false;
    loop {
        interrupts.pause.store(false, Ordering::SeqCst);
        if let Some(lists) = lock(&changed).take() {
            take_in(&writer, lists, &wanted.trace);
            sweeper.reload_entries();
        }
        let outcome = match sweeper.run(None, &mut screen) {
            Err(error @ SyncError::Unsteady { .. }) => {
                // A backfill gives up here; a program that runs for months waits until it passes.
                tracing::warn!("{error}; trying again");
                stop.wait(UNSTEADY_WAIT);
                continue;
            }
            outcome => outcome?,
        };
        screen.print()?;
        if outcome.stopped || stop.requested() {
            break;
        }
        if interrupts.pause.load(Ordering::SeqCst) {
            continue;
        }
        if !caught_up {
            tracing::info!("caught up: following the node's tip");
            caught_up = true;
            sweeper.at_tip();
        }
        sweeper.preload()?;
        if !wait(&rung, &stop, &mut screen)? {
            break;
        }
    }
    drop(sweeper);
    screen.log.end()?;
    Ok(Exit::Answered)
}

/// Waits for a new tip or changed lists; `false` for a stop.
fn wait(rung: &Receiver<()>, stop: &Stop, screen: &mut Screen<'_>) -> Result<bool, Error> {
    while !stop.requested() {
        match rung.recv_timeout(LOOK_EVERY) {
            Ok(()) => return Ok(!stop.requested()),
            Err(RecvTimeoutError::Timeout) => screen.log.pause()?,
            // The watching threads end on the same signal, and may see it first.
            Err(RecvTimeoutError::Disconnected) if stop.requested() => break,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::System {
                    what: "waiting for the node's tip",
                    source: std::io::Error::other("the waiting thread has ended"),
                });
            }
        }
    }
    Ok(false)
}

/// Reads the lists into `wanted`, and watches them from now on; `None` if no list is configured.
fn start_list_watch(
    settings: &Settings,
    args: &cli::FollowArgs,
    wanted: &mut Wanted,
) -> Result<Option<ListWatch>, Error> {
    if settings.watch.is_empty() {
        return Ok(None);
    }
    let terms = Terms {
        chain: settings.node.chain.value,
        from: args.entries.from.unwrap_or(0),
        accept_quarantined: args.entries.accept_quarantined,
        accept_shrink: false,
    };
    let (watch, lists) = ListWatch::new(&settings.watch, terms, Instant::now())?;
    wanted.lists = Some(lists);
    Ok(Some(watch))
}

/// Takes in lists that changed. A running program never forgets an entry and never follows coins less far: that is refused with a
/// warning, and the index stays as it is.
fn take_in(writer: &Writer, lists: Lists, trace: &WantedTrace) {
    let wanted = Wanted { lists: Some(lists), trace: trace.clone(), ..Wanted::default() };
    match plan(writer, &wanted).and_then(|plan| Ok(plan.apply(writer).map(|()| plan)?)) {
        Ok(plan) => start::log_changes(&plan),
        Err(error) => tracing::warn!("the changed lists were not taken in: {error}"),
    }
}

/// Rings whenever the node has another tip.
fn watch_tip(node: Node, interrupts: &Interrupts, rings: Sender<()>, stop: &Stop) -> Result<(), Error> {
    let (tip, stop) = (interrupts.tip.clone().unwrap_or_default(), stop.clone());
    let mut known = bitcoin::hashes::Hash::all_zeros();
    spawn("tip", move || {
        while !stop.requested() {
            match node.wait_for_tip(known, TIP_WAIT) {
                Ok(now) if now != known => {
                    known = now;
                    ring(&tip, &rings);
                }
                Ok(_) => {}
                Err(NodeError::Stopped) => break,
                Err(error) => {
                    // The thread that reads blocks meets the same trouble and logs it as a warning.
                    tracing::debug!("waiting for the node's tip: {error}");
                    stop.wait(Duration::from_secs(1));
                    let _ = rings.try_send(());
                }
            }
        }
    })
}

/// Rings whenever the lists' content changes, and puts the new content into `changed`.
fn watch_lists(
    mut lists: ListWatch,
    interrupts: &Interrupts,
    rings: Sender<()>,
    changed: &Arc<Mutex<Option<Lists>>>,
    stop: &Stop,
) -> Result<(), Error> {
    let (pause, changed, stop) = (Arc::clone(&interrupts.pause), Arc::clone(changed), stop.clone());
    spawn("lists", move || {
        while !stop.wait(LOOK_EVERY) {
            match lists.poll(Instant::now()) {
                Ok(Some(now)) => {
                    *lock(&changed) = Some(now);
                    ring(&pause, &rings);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!("keeping the previous lists: {error}"),
            }
        }
    })
}

fn ring(bell: &AtomicBool, rings: &Sender<()>) {
    bell.store(true, Ordering::SeqCst);
    // A full channel is fine: the ring that waits in it serves this one too.
    let _ = rings.try_send(());
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(work);
    spawned.map(drop).map_err(|source| Error::System { what: "starting a thread", source })
}

/// Shows progress and prints events, both on the thread that writes the index.
struct Screen<'a> {
    progress: Progress,
    writer: &'a Writer,
    log: Log,
    stop: &'a Stop,
    printed: Instant,
    /// The error that ended printing.
    failed: Option<Error>,
}

impl Screen<'_> {
    fn print(&mut self) -> Result<(), Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.printed = Instant::now();
        self.log.print(self.writer, self.stop)?;
        self.log.pause()
    }

    /// Prints while a sweep runs; an error ends the sweep.
    fn show(&mut self) {
        if self.failed.is_none()
            && let Err(error) = self.print()
        {
            // The reader has gone, so there is no use in scanning on.
            self.failed = Some(error);
            self.stop.request();
        }
    }
}

impl Observer for Screen<'_> {
    fn begin(&mut self, first: Height, last: Height, tally: &Tally) {
        self.progress.begin(first, last, tally);
    }

    fn passed(&mut self, height: Height, tally: &Tally) {
        self.progress.passed(height, tally);
        if self.printed.elapsed() >= PRINT_EVERY {
            self.show();
        }
    }

    fn end(&mut self) {
        self.progress.end();
        // Now, since the next request may wait for a node that is down.
        self.show();
    }
}
