//! The scripts that count for one sweep, loaded from the entries; they don't change while it runs.

use bitcoin::Script;

use super::needs::Needs;
use crate::chain::Height;
use crate::index::derive::Marks;
use crate::index::entries::EntryRow;
use crate::index::sweeps::{MAIN_SWEEP, Sweeps};
use crate::index::{Result, View};
use crate::scan::{ScriptMap, ScriptMapBuilder};

/// The scripts that count for one sweep.
pub struct Interest {
    /// The flagged scripts.
    pub scripts: ScriptMap<Flagged>,
    /// Number of scripts that this sweep searches blocks for.
    pub searched: usize,
    /// Where tracing stops.
    services: ScriptMap<()>,
    /// Parts of the chain that must be read.
    pub needs: Needs,
}

/// What a sweep knows of a flagged script, in four bytes: there may be ten million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flagged(u32);

impl Flagged {
    /// No chain reaches this height in forty thousand years.
    const NEVER: Height = Height::MAX >> 1;

    fn new(from: Height, searched: bool) -> Self {
        Self(from.min(Self::NEVER) << 1 | u32::from(searched))
    }

    /// The height from which the script is flagged.
    fn from(self) -> Height {
        self.0 >> 1
    }

    /// Whether this sweep searches blocks for the script.
    fn is_searched(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The height from which an entry counts for the sweep `of`, and whether that sweep searches blocks for it.
///
/// The main sweep evaluates only its own entries; a side sweep reads those blocks again for its own. A side sweep runs only while it is
/// the lowest, so the other sweeps' entries are covered where it is, and it evaluates all of them.
fn share(entry: &EntryRow, sweeps: &Sweeps, of: u32) -> Option<(Height, bool)> {
    let own = sweeps.resolve(entry.sweep) == of;
    if of == MAIN_SWEEP {
        return own.then_some((entry.from, true));
    }
    match entry.served_lowered() {
        Some(lowered) => Some((lowered.from, own || sweeps.resolve(lowered.sweep) == of)),
        None => Some((entry.from, own)),
    }
}

impl Interest {
    /// Loads the scripts that count for the sweep `of`.
    ///
    /// # Errors
    /// As all reads.
    pub fn load(view: &View, sweeps: &Sweeps, of: u32) -> Result<Self> {
        let (mut scripts, mut services) = (ScriptMapBuilder::default(), ScriptMapBuilder::default());
        let mut needs = Needs::default();
        let mut searched = 0;
        for entry in view.entry_heads() {
            let (_, entry) = entry?;
            if entry.service {
                services.push(&entry.script, ());
            }
            if let Some((from, is_searched)) = share(&entry, sweeps, of).filter(|_| entry.flagged) {
                scripts.push(&entry.script, Flagged::new(from, is_searched));
                if is_searched {
                    searched += 1;
                    needs.add(from, from);
                }
            }
        }
        Ok(Self { scripts: scripts.build(), searched, services: services.build(), needs })
    }

    /// The scripts that this sweep searches blocks for.
    pub fn searched_scripts(&self) -> impl Iterator<Item = &Script> {
        self.scripts.iter().filter(|(_, flagged)| flagged.is_searched()).map(|(script, _)| script)
    }

    /// The height of the first block to read. For coins alone, blocks are read from `for_coins` on.
    pub fn blocks_from(&self, for_coins: Option<Height>) -> Option<Height> {
        self.needs.blocks_from.into_iter().chain(for_coins).min()
    }
}

impl Marks for Interest {
    fn flagged_from(&self, script: &Script) -> Option<Height> {
        self.scripts.find(script.as_bytes()).map(Flagged::from)
    }

    fn is_service(&self, script: &Script) -> bool {
        self.services.find(script.as_bytes()).is_some()
    }
}
