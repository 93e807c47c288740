//! The threads beside the one that writes the index: one waits for the node's next tip, one looks at the lists' files. Both ring.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::chain::Height;
use crate::error::Error;
use crate::lists::watch::ListWatch;
use crate::lock::lock;
use crate::node::Node;
use crate::stop::Stop;
use crate::sync::plan::wanted::Lists;
use crate::sync::sweep::run::Interrupts;

/// Deadline of one request that waits for a new tip.
const TIP_WAIT: Duration = Duration::from_secs(25);
/// Pause after a failure of that, whose cause the thread that reads blocks meets too.
const FAILED_WAIT: Duration = Duration::from_secs(1);
/// Heights that a sweep below the tip passes between two new blocks, however fast these come.
const LEAST_HEIGHTS: Height = 100;
/// Between two looks at the lists' files.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the threads share with the one that writes.
pub struct Bells {
    /// Interrupt a sweep.
    pub interrupts: Interrupts,
    /// Wakes the thread that writes while it waits.
    pub rung: Receiver<()>,
    rings: Sender<()>,
    /// The lists, if their content has changed since they were last taken in.
    changed: Arc<Mutex<Option<Lists>>>,
    node: Arc<Mutex<Option<Node>>>,
}

impl Bells {
    /// No thread runs yet.
    pub fn new() -> Self {
        let (rings, rung) = bounded(1);
        let tip = Some(Arc::default());
        let interrupts = Interrupts { tip, least_heights: LEAST_HEIGHTS, ..Interrupts::default() };
        Self { interrupts, rung, rings, changed: Arc::default(), node: Arc::default() }
    }

    /// Rings from now on when this node has another tip, instead of the one before.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn watch_tip(&self, node: &Node, stop: &Stop) -> Result<(), Error> {
        let before = lock(&self.node).replace(node.clone());
        if before.is_some() {
            return Ok(());
        }
        let (current, rings, stop) = (Arc::clone(&self.node), self.rings.clone(), stop.clone());
        let tip = self.interrupts.tip.clone().unwrap_or_default();
        let mut known = bitcoin::hashes::Hash::all_zeros();
        spawn("tip", move || {
            while !stop.requested() {
                let Some(node) = lock(&current).clone() else { break };
                match node.wait_for_tip(known, TIP_WAIT) {
                    Ok(now) if now != known => {
                        known = now;
                        ring(&tip, &rings);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!("waiting for the node's tip: {error}");
                        stop.wait(FAILED_WAIT);
                        // Wakes the thread that writes, which meets the failure itself; a sweep under way isn't interrupted for it.
                        let _ = rings.try_send(());
                    }
                }
            }
        })
    }

    /// Rings whenever the lists' content changes. SIGHUP, which sets `reread`, has them all read again.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn watch_lists(&self, mut lists: ListWatch, reread: Arc<AtomicBool>, stop: &Stop) -> Result<(), Error> {
        let (pause, changed) = (Arc::clone(&self.interrupts.pause), Arc::clone(&self.changed));
        let (rings, stop) = (self.rings.clone(), stop.clone());
        spawn("lists", move || {
            while !stop.wait(LOOK_EVERY) {
                if reread.swap(false, Ordering::SeqCst) {
                    tracing::info!("SIGHUP: reading the lists again");
                    lists.reread();
                }
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

    /// The lists, if their content has changed.
    pub fn take_changed(&self) -> Option<Lists> {
        lock(&self.changed).take()
    }

    /// Keeps lists that could not be taken in now, unless they have changed again.
    pub fn keep_changed(&self, lists: Lists) {
        lock(&self.changed).get_or_insert(lists);
    }
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
