//! Compares lists and settings with the index: decides which entries and parameters change, and where a sweep has to begin for it.
//!
//! A change *grows* the index (a new flagged entry, a lower `from`, wider gates, a service gone) or *shrinks* it (an entry forgotten,
//! tighter gates, a new service). Either way one sweep begins at the lowest height where it can matter, and goes over the records
//! from there and over the blocks that new entries need. What shrinks the index needs the user's word.

use super::wanted::{Entries, Lists, Wanted};
use crate::chain::{Height, ScriptHash};
use crate::index::entries::{EntryRow, Lowered, UNSERVED};
use crate::index::keys::TxPosition;
use crate::index::meta::{self, TakenLists, TraceParameters};
use crate::index::sweeps::{MAIN_SWEEP, Sweep, Sweeps};
use crate::index::values::Record;
use crate::index::{IndexError, ReadRows, Result, ScriptCoin, Touch, View, Writer};
use crate::sync::SyncError;
use crate::watchlist::entries::Entry;
use crate::watchlist::{Label, Role};

/// What happens to one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new, or was a service only and is flagged now.
    New,
    /// It becomes a service.
    NewService,
    /// It is flagged from a lower height on.
    Lowered {
        /// The height from which it was flagged.
        from: Height,
    },
    /// A list gives it a higher height, which changes nothing.
    RaiseIgnored {
        /// The height that the list gives.
        to: Height,
    },
    /// The lists no longer name it, or one of its roles; it stays.
    Kept,
    /// It is dropped, or one of its roles is.
    Forgotten,
    /// Only its labels change.
    Relabelled,
}

/// An entry that changes.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The hash of its script.
    pub script: ScriptHash,
    /// How it changes.
    pub what: Change,
    /// The entry as it will be, or as it was if it is dropped.
    pub entry: EntryRow,
    /// Whether its row is written.
    write: bool,
    /// Whether its row is deleted.
    delete: bool,
}

impl Changed {
    /// The height from which a sweep has to search for the entry, if it has to.
    fn searched_from(&self) -> Option<Height> {
        match self.what {
            Change::New => Some(self.entry.lowered.map_or(self.entry.from, |lowered| lowered.from)),
            Change::Lowered { .. } => Some(self.entry.lowered.map_or(self.entry.from, |lowered| lowered.from)),
            _ => None,
        }
    }
}

/// What changes in the index.
#[derive(Clone, Debug)]
pub struct ChangePlan {
    /// The entries that change, by script hash.
    pub changed: Vec<Changed>,
    /// The parameters from now on.
    pub parameters: TraceParameters,
    /// Whether they differ from those before.
    pub parameters_changed: bool,
    /// The lists taken in, if they differ from those before.
    taken: Option<TakenLists>,
    /// The height at which a new sweep begins, if one does.
    pub start: Option<Height>,
    /// The id that the new sweep gets.
    id: u32,
    /// As in [`ChangePlan::unserved`].
    unserved: Option<(u64, Height)>,
}

impl ChangePlan {
    /// How many entries change in some way.
    pub fn count(&self, is: impl Fn(&Change) -> bool) -> usize {
        self.changed.iter().filter(|changed| is(&changed.what)).count()
    }

    /// The height of the first block that new entries need. Which blocks coins need that become followed shows only in the sweep.
    pub fn first_block(&self) -> Option<Height> {
        self.changed.iter().filter_map(Changed::searched_from).min()
    }

    /// How many entries have heights below them that no sweep covers, since the node lacks the blocks; and the lowest such height.
    pub fn unserved(&self) -> Option<(u64, Height)> {
        self.unserved
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        !self.changed.iter().any(|changed| changed.write || changed.delete)
            && !self.parameters_changed
            && self.taken.is_none()
    }

    /// Writes it in one batch.
    ///
    /// # Errors
    /// What the index reports; then nothing is written.
    pub fn apply(&self, writer: &Writer) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        // In one batch, so that no entry names a sweep that isn't there, and no parameters are in force without their sweep.
        let mut step = writer.step();
        for changed in &self.changed {
            match (changed.write, changed.delete) {
                (_, true) => step.delete_entry(changed.script, &changed.entry.script),
                (true, false) => step.put_entry(changed.script, &changed.entry),
                (false, false) => {}
            }
        }
        if let Some(next) = self.start {
            step.put(&self.id, &Sweep::Side { next, blocks_from: None });
        }
        if self.parameters_changed {
            meta::put_trace(&mut step, &self.parameters);
        }
        if let Some(taken) = &self.taken {
            meta::put_lists(&mut step, taken);
        }
        if self.start.is_some() || self.count(|what| matches!(what, Change::New | Change::Lowered { .. })) > 0 {
            meta::forget_caught_up(&mut step);
        }
        step.commit(true)
    }
}

/// The row of an entry that the main sweep searches for from its start.
pub fn row(entry: &Entry) -> EntryRow {
    EntryRow {
        script: entry.script.clone(),
        flagged: entry.is(Role::Flagged),
        service: entry.is(Role::Service),
        from: entry.from,
        sweep: MAIN_SWEEP,
        lowered: None,
        labels: entry.labels.clone(),
    }
}

/// Decides what `wanted` changes. Reads only.
///
/// # Errors
/// [`SyncError::ListShrank`], [`SyncError::Narrower`]; as all reads.
pub fn plan(view: &View, wanted: &Wanted) -> Result<ChangePlan, SyncError> {
    let known = meta::trace(view)?;
    let parameters = wanted.trace.over(&known);
    if let Some(what) = narrower(&known, &parameters).filter(|_| !wanted.accept_shrink) {
        return Err(SyncError::Narrower { what });
    }
    let mut planner = Planner {
        view,
        sweeps: view.sweeps()?,
        forget: wanted.forget,
        served_from: wanted.served_from,
        at_once: wanted.at_once,
        changed: Vec::new(),
        start: None,
        unserved: None,
    };
    let mut taken = None;
    if let Some(Lists { entries, taken: lists }) = &wanted.lists {
        let before = meta::lists(view)?;
        if !wanted.accept_shrink {
            before.check_shrink(lists).map_err(|(path, before, now)| SyncError::ListShrank { path, before, now })?;
        }
        planner.compare(entries)?;
        let lists = lists.clone().keeping(&before).counted_from(&before, planner.unserved.is_some());
        taken = (lists != before).then_some(lists);
    }
    let parameters_changed = parameters != known;
    if parameters_changed && let Some(first) = view.first_key::<Record>(TxPosition::first(0)..)? {
        planner.recompute(first.height);
    }
    let id = planner.sweeps.fresh();
    let Planner { changed, start, unserved, .. } = planner;
    Ok(ChangePlan { changed, parameters, parameters_changed, taken, start, id, unserved })
}

/// In which ways new parameters are tighter than before, in words.
fn narrower(old: &TraceParameters, new: &TraceParameters) -> Option<String> {
    let mut words = Vec::new();
    let dropped: Vec<_> = old.rules.iter().filter(|rule| !new.rules.contains(rule)).map(|rule| rule.name()).collect();
    if !dropped.is_empty() {
        words.push(format!("without {}", dropped.join(" and ")));
    }
    if new.min_taint_sat > old.min_taint_sat {
        words.push(format!("min-taint {} instead of {}", new.min_taint_sat, old.min_taint_sat));
    }
    if new.max_hops.unwrap_or(u32::MAX) < old.max_hops.unwrap_or(u32::MAX) {
        words.push(format!("max-hops {} instead of {}", hops_text(new.max_hops), hops_text(old.max_hops)));
    }
    (!words.is_empty()).then(|| words.join(", "))
}

fn hops_text(hops: Option<u32>) -> String {
    hops.map_or("no limit".to_owned(), |hops| hops.to_string())
}

/// Whether a flagged label gives no height.
fn lacks_height(labels: &[Label]) -> bool {
    labels.iter().any(|label| label.role == Role::Flagged && label.from.is_none())
}

struct Planner<'a> {
    view: &'a View,
    sweeps: Sweeps,
    forget: bool,
    /// As in [`Wanted`].
    served_from: Height,
    /// As in [`Wanted`].
    at_once: bool,
    changed: Vec<Changed>,
    start: Option<Height>,
    /// As in [`ChangePlan::unserved`].
    unserved: Option<(u64, Height)>,
}

impl Planner<'_> {
    /// Walks lists and entries side by side; both are in order of their script hashes.
    fn compare(&mut self, entries: &Entries) -> Result<(), IndexError> {
        let view = self.view;
        let mut wanted = entries.iter().peekable();
        for known in view.entries() {
            let (script, known) = known?;
            while let Some((new, entry)) = wanted.next_if(|(new, _)| **new < script) {
                self.add(*new, entry)?;
            }
            match wanted.next_if(|(same, _)| **same == script) {
                Some((_, entry)) => self.change(script, known, entry)?,
                None if self.forget => self.drop_entry(script, known)?,
                None => self.keep(script, known),
            }
        }
        for (new, entry) in wanted {
            self.add(*new, entry)?;
        }
        Ok(())
    }

    /// Keeps an entry that no list names. Heights that no sweep covers for it are no longer asked for.
    fn keep(&mut self, script: ScriptHash, known: EntryRow) {
        let kept = EntryRow { lowered: known.served_lowered(), ..known.clone() };
        let write = kept != known;
        self.note(script, Change::Kept, kept, write);
    }

    fn note(&mut self, script: ScriptHash, what: Change, entry: EntryRow, write: bool) {
        self.changed.push(Changed { script, what, entry, write, delete: false });
    }

    /// The sweep that can search for something from `height` on: of those that are not above it yet the highest, else a new one, which
    /// begins no higher.
    fn assign(&mut self, height: Height) -> u32 {
        let sides = self.sweeps.sides().into_iter().map(|side| (side.next, side.id));
        let candidates = sides.chain([(self.sweeps.main(), MAIN_SWEEP)]).filter(|(next, _)| *next <= height);
        if let Some((_, id)) = candidates.max_by_key(|(next, id)| (*next, *id == MAIN_SWEEP)) {
            return id;
        }
        self.start = Some(self.start.map_or(height, |start| start.min(height)));
        self.sweeps.fresh()
    }

    /// Has an entry flagged from a lower height on, as far as the node has the blocks.
    fn lowered(&mut self, from: Height) -> Lowered {
        if from >= self.served_from {
            return Lowered { from, sweep: self.assign(from) };
        }
        let (entries, lowest) = self.unserved.unwrap_or((0, from));
        self.unserved = Some((entries + 1, lowest.min(from)));
        Lowered { from, sweep: UNSERVED }
    }

    /// Has a new entry searched for: where the main sweep has passed its first height, in new blocks by that and in past ones by another,
    /// unless that other one is to bring the entry up to the main one first.
    fn search(&mut self, entry: &mut EntryRow) {
        let next = self.sweeps.main();
        if entry.from < next && (self.at_once || entry.from < self.served_from) {
            entry.lowered = Some(self.lowered(entry.from));
            (entry.from, entry.sweep) = (next, MAIN_SWEEP);
        } else {
            (entry.lowered, entry.sweep) = (None, self.assign(entry.from));
        }
    }

    /// Has the records from `height` on evaluated again.
    fn recompute(&mut self, height: Height) {
        if height < self.sweeps.settled() {
            self.start = Some(self.start.map_or(height, |start| start.min(height)));
        }
    }

    fn add(&mut self, script: ScriptHash, entry: &Entry) -> Result<(), IndexError> {
        let mut new = row(entry);
        if new.service {
            // Coins that were followed through it stop there now.
            self.recompute_coins_of(script)?;
        }
        if new.flagged {
            self.search(&mut new);
        }
        let what = if new.flagged { Change::New } else { Change::NewService };
        self.note(script, what, new, true);
        Ok(())
    }

    fn change(&mut self, script: ScriptHash, known: EntryRow, entry: &Entry) -> Result<(), IndexError> {
        let wish = known.lowered.map_or(known.from, |lowered| lowered.from);
        // A label without a height is new where every label had one before, and gets the height of new entries. Where there was one
        // before, it keeps the height that it was taken in with.
        let newly = lacks_height(&entry.labels) && !lacks_height(&known.labels);
        let asked = if newly { entry.from.min(wish) } else { entry.lowest_from(wish) };
        let mut now = EntryRow { labels: entry.labels.clone(), ..known.clone() };
        let (flagged, service) = (entry.is(Role::Flagged), entry.is(Role::Service));
        let lost = (known.flagged && !flagged) || (known.service && !service);
        if lost && !self.forget {
            now.labels.extend(known.labels.iter().filter(|label| !entry.is(label.role)).cloned());
            now.labels.sort_unstable();
            now.labels.dedup();
        }
        now.flagged = flagged || (known.flagged && !self.forget);
        now.service = service || (known.service && !self.forget);
        let mut what = (now.labels != known.labels).then_some(Change::Relabelled);
        if lost {
            what = Some(Change::Kept);
        }
        if now.service != known.service {
            what = Some(if now.service { Change::NewService } else { Change::Forgotten });
            self.recompute_coins_of(script)?;
        }
        if known.flagged && !now.flagged {
            what = Some(Change::Forgotten);
            now.lowered = None;
            self.recompute_touches_of(script)?;
        }
        if now.flagged && !known.flagged {
            what = Some(Change::New);
            now.from = entry.from;
            self.search(&mut now);
        } else if let Some(lowered) = known.lowered.filter(|lowered| now.flagged && lowered.sweep == UNSERVED) {
            // No sweep has begun for it, so its lists may raise the height too.
            let asked = if newly || entry.from > lowered.from { entry.from } else { asked };
            what = self.serve(&mut now, asked).or(what);
        } else if now.flagged && asked < wish {
            what = Some(Change::Lowered { from: wish });
            self.lower(&mut now, asked);
        } else if now.flagged && asked > wish && what.is_none() {
            what = Some(Change::RaiseIgnored { to: asked });
        } else if !now.flagged && entry.from != now.from {
            // No sweep searches for a service.
            now.from = entry.from;
            what = what.or(Some(Change::Relabelled));
        }
        if let Some(what) = what {
            let write = now != known;
            self.note(script, what, now, write);
        }
        Ok(())
    }

    /// Has the heights below an entry covered that no sweep covers yet, from `to` on, if the node has their blocks.
    fn serve(&mut self, entry: &mut EntryRow, to: Height) -> Option<Change> {
        let from = entry.from;
        if to >= from {
            entry.lowered = None;
            return Some(Change::Relabelled);
        }
        entry.lowered = Some(self.lowered(to));
        entry.served_lowered().map(|_| Change::Lowered { from })
    }

    /// Has an entry flagged from `to` on. The heights that are covered for it stay covered.
    fn lower(&mut self, entry: &mut EntryRow, to: Height) {
        let next = self.sweeps.next(entry.sweep);
        if next <= to {
            (entry.from, entry.lowered) = (to, None);
        } else if entry.from >= next {
            // Nothing is covered for it yet.
            entry.from = to;
            self.search(entry);
        } else {
            entry.lowered = Some(self.lowered(to));
        }
    }

    fn drop_entry(&mut self, script: ScriptHash, known: EntryRow) -> Result<(), IndexError> {
        if known.flagged {
            self.recompute_touches_of(script)?;
        }
        if known.service {
            self.recompute_coins_of(script)?;
        }
        let what = Change::Forgotten;
        self.changed.push(Changed { script, what, entry: known, write: false, delete: true });
        Ok(())
    }

    /// Has the records evaluated again from the script's first coin on: it becomes a service, or is one no longer.
    fn recompute_coins_of(&mut self, script: ScriptHash) -> Result<(), IndexError> {
        if let Some(first) = self.view.keys::<ScriptCoin>(script).next() {
            self.recompute(first?.at.height);
        }
        Ok(())
    }

    /// Has the records evaluated again from the script's first touch on: it is no longer flagged.
    fn recompute_touches_of(&mut self, script: ScriptHash) -> Result<(), IndexError> {
        if let Some(first) = self.view.keys::<Touch>(script).next() {
            self.recompute(first?.at.height);
        }
        Ok(())
    }
}
