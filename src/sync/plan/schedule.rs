//! Decides which sweep is next, and how far it goes, from where all of them are.

use crate::chain::Height;
use crate::index::sweeps::{SideSweep, Sweeps};

/// A main sweep that is no further behind than this comes before the sweeps below it: its blocks are new, theirs are not.
const NEAR: Height = 100;

/// The next stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The main sweep, through this height.
    Main {
        /// The last height.
        last: Height,
    },
    /// The lowest sweep, to where it meets the next one or has to stop.
    Side {
        /// The sweep as it stands.
        side: SideSweep,
        /// The last height.
        last: Height,
    },
}

/// The next stretch towards having everything swept through height `last`, which the node has; `None` where everything is. With `below`
/// false the sweeps below the main one stand still, and only that one runs.
pub fn next_task(sweeps: &Sweeps, last: Height, below: bool) -> Option<Task> {
    let main = sweeps.main();
    let missing = (last + 1).saturating_sub(main);
    let sides = sweeps.sides();
    let side = sides.first().and_then(|side| {
        let meets = sides.get(1).map_or(main, |above| above.next);
        let last = meets.checked_sub(1)?.min(last);
        (side.next <= last).then_some(Task::Side { side: *side, last })
    });
    match side {
        Some(side) if below && (missing == 0 || missing > NEAR) => Some(side),
        _ => (missing > 0).then_some(Task::Main { last }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::sweeps::Sweep;

    fn main(last: Height) -> Option<Task> {
        Some(Task::Main { last })
    }

    fn side(id: u32, next: Height, last: Height) -> Option<Task> {
        Some(Task::Side { side: SideSweep { id, next, blocks_from: None }, last })
    }

    #[test]
    fn new_blocks_come_first_unless_there_are_many_and_else_the_lowest_sweep_goes_up_to_the_next() {
        type ScheduleCase = (Height, &'static [Height], Height, Option<Task>, Option<Task>);
        // Next height of the main sweep, those of the others, last height → task; task while those below stand still.
        let cases: [ScheduleCase; 12] = [
            (0, &[], 599, main(599), main(599)),
            (600, &[], 599, None, None),
            (600, &[], 600, main(600), main(600)),
            (600, &[0], 599, side(1, 0, 599), None),
            (600, &[0], 601, main(601), main(601)),
            (600, &[0], 699, main(699), main(699)),
            (600, &[0], 700, side(1, 0, 599), main(700)),
            (600, &[0], 900, side(1, 0, 599), main(900)),
            (600, &[300, 100], 599, side(2, 100, 299), None),
            (600, &[300, 100], 150, side(2, 100, 150), None),
            (600, &[300], 150, None, None),
            (600, &[300], 599, side(1, 300, 599), None),
        ];
        for (next, sides, last, expected, held) in cases {
            let sides = (1..).zip(sides).map(|(id, next)| (id, Sweep::Side { next: *next, blocks_from: None }));
            let sweeps = Sweeps::from_iter([(0, Sweep::Main { next })].into_iter().chain(sides));
            assert_eq!(next_task(&sweeps, last, true), expected, "main {next}, {sweeps:?}, to {last}");
            assert_eq!(next_task(&sweeps, last, false), held, "main {next}, {sweeps:?}, to {last}");
        }
    }
}
