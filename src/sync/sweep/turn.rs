//! The turn of a sweep below the main one. It ends when the node has a new block, which comes first; but not before the sweep has made
//! some way, or blocks that come fast would bring it to a standstill.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::run::Interrupts;
use super::tip::Goal;
use crate::chain::Height;
use crate::sync::fetch::source::BlockSource;
use crate::sync::interrupt::{Flow, Interrupt};

/// After this time a turn may end, however few heights were passed.
const LONG_ENOUGH: Duration = Duration::from_secs(1);
/// How often the node is asked for new blocks where no other thread waits for them.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A turn that has begun.
pub struct Turn<'a> {
    interrupts: &'a Interrupts,
    source: &'a dyn BlockSource,
    /// The goal when it began.
    goal: Goal,
    began: Instant,
    asked: Cell<Instant>,
    passed: Cell<Height>,
}

impl<'a> Turn<'a> {
    /// Begins now.
    pub fn new(interrupts: &'a Interrupts, source: &'a dyn BlockSource, goal: Goal) -> Self {
        let now = Instant::now();
        Self { interrupts, source, goal, began: now, asked: Cell::new(now), passed: Cell::new(0) }
    }

    /// Called before each height: ends the turn if something else comes first.
    ///
    /// # Errors
    /// [`Interrupt::Paused`], [`Interrupt::NewBlock`].
    pub fn check(&self) -> Flow<()> {
        self.interrupts.check_pause()?;
        let passed = self.passed.replace(self.passed.get() + 1);
        let may_end = passed >= self.interrupts.least_heights || self.began.elapsed() >= LONG_ENOUGH;
        if may_end && self.is_block_new() { Err(Interrupt::NewBlock.into()) } else { Ok(()) }
    }

    fn is_block_new(&self) -> bool {
        match &self.interrupts.tip {
            Some(tip) => tip.load(Ordering::SeqCst),
            None if self.goal.to.is_some() || self.asked.get().elapsed() < ASK_EVERY => false,
            None => {
                self.asked.set(Instant::now());
                self.source.height().is_ok_and(|now| now != self.goal.node)
            }
        }
    }
}
