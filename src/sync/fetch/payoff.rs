//! Whether filters pay: what a look at one costs beside what reading a block costs, and how many blocks they rule out. Pure: how
//! long things take is told by whoever does them.
//!
//! A look costs more the longer the lists are, since each script is hashed for each block; reading costs some ms over REST, and
//! ten times as much over RPC. Where most blocks have to be read anyway, or a look takes nearly as long as a block, the blocks are
//! read for a while without a look; that also shows what reading really costs here.

use std::time::Duration;

/// Filters asked for in one go: at first, at least, at most.
const AT_ONCE: (usize, usize, usize) = (128, 64, 512);
/// Scripts, hashed for each block: at first so many in all, some 20 ms.
const FIRST_HASHES: usize = 2_560_000;
/// The least that is asked for in one go, however many scripts there are.
const FIRST_LEAST: usize = 8;
/// A look that takes longer is cut down: nobody who asks to stop shall wait for it.
const LONGEST: Duration = Duration::from_millis(200);
/// Blocks read without a look in one go: the first of them fill the pipeline, all others are timed.
const UNASKED: usize = 64;
/// How long to read on without a look, at least and at most.
const WITHOUT: (usize, usize) = (2 * UNASKED, 8192);
/// Looks in vain may cost this part of what reading costs.
const IN_VAIN: f64 = 1.0 / 16.0;
/// Filters pay where they spare at least a tenth.
const PAYS: f64 = 0.9;
/// A block that was ruled out first and had to be read after all costs as much as so many others: it is waited for.
const LATE: usize = 2;

/// Whether, and for how many blocks at once, to ask for filters.
#[derive(Debug, PartialEq)]
pub struct Worth {
    always: bool,
    at_once: usize,
    /// Blocks still to be read without a look.
    without: usize,
    /// Whether some of them have been.
    flowing: bool,
    /// What reading a block costs, where all are read, in seconds.
    read: f64,
    /// What the last look cost, in seconds a block, and which part of the blocks had to be read after all.
    look: (f64, f64),
}

impl Worth {
    /// For so many scripts, where reading a block takes some `read`; `always`, where nothing else will do.
    pub fn new(always: bool, scripts: usize, read: Duration) -> Self {
        let at_once = (FIRST_HASHES / scripts.max(1)).clamp(FIRST_LEAST, AT_ONCE.0);
        let read = seconds(read);
        Self { always, at_once, without: 0, flowing: false, read, look: (0.0, 0.0) }
    }

    /// How many blocks to go on with.
    pub fn at_once(&self) -> usize {
        if self.without > 0 { UNASKED } else { self.at_once }
    }

    /// Whether to ask for the filters of the next so many blocks.
    pub fn asks(&mut self, blocks: usize) -> bool {
        let asks = self.always || self.without == 0;
        self.without = self.without.saturating_sub(blocks);
        asks
    }

    /// So many blocks were handed on to be read, without a look: that took so long, since each waits for one to be done. Where
    /// blocks have grown so that looks would pay by now, filters are asked again.
    pub fn learn_read(&mut self, blocks: usize, took: Duration) {
        // The first ones found the pipeline empty, and waited for nothing.
        if self.flowing && blocks > 0 {
            self.read = seconds(took) / blocks as f64;
            let (look, read) = self.look;
            if look + read * self.read <= PAYS * self.read {
                self.without = 0;
            }
        }
        self.flowing = true;
    }

    /// A look at the filters of `asked` blocks took so long, and `read` of them have to be read; `late` of those before them had to
    /// be read after all. The latter are the fewer the shorter the steps.
    pub fn learn_look(&mut self, asked: usize, took: Duration, read: usize, late: usize) {
        self.flowing = false;
        self.at_once = match late * 16 > asked {
            true => (self.at_once / 2).max(AT_ONCE.1.min(self.at_once)),
            false if took > LONGEST => (self.at_once / 2).max(FIRST_LEAST),
            false if took * 2 > LONGEST => self.at_once,
            false => (self.at_once * 2).min(AT_ONCE.2),
        };
        let asked = asked as f64;
        self.look = (took.as_secs_f64() / asked, (read + LATE * late) as f64 / asked);
        if self.look.0 + self.look.1 * self.read > PAYS * self.read {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from float saturates")]
            let pause = (took.as_secs_f64() / self.read / IN_VAIN) as usize;
            self.without = pause.clamp(WITHOUT.0, WITHOUT.1);
            self.at_once = self.at_once.min(AT_ONCE.0);
        }
    }
}

/// In seconds; never none, since others are divided by it.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Duration = Duration::from_millis(2);

    fn worth() -> Worth {
        Worth::new(false, 6, READ)
    }

    /// How many blocks are read without a look after one at 128 filters, of which so many were in vain.
    fn pause(mut worth: Worth, took: Duration, read: usize, late: usize) -> usize {
        assert!(worth.asks(128), "{worth:?}");
        worth.learn_look(128, took, read, late);
        worth.without
    }

    #[test]
    fn filters_are_asked_while_they_spare_a_tenth_of_what_reading_costs() {
        let ms = Duration::from_millis;
        // What a look at 128 filters takes, how many blocks are read after it, how many late, the pause.
        let cases = [
            (ms(6), 0, 0, 0),
            (ms(6), 112, 0, 0),
            (ms(6), 113, 0, 128),
            (ms(6), 128, 0, 128),
            // Long lists: a look takes as long as half a block, nearly as one, as two.
            (ms(128), 12, 0, 0),
            (ms(128), 52, 0, 1024),
            (ms(220), 0, 0, 0),
            (ms(220), 6, 0, 1760),
            (ms(512), 0, 0, 4096),
            (ms(60_000), 0, 0, 8192),
            // Late ones count twice.
            (ms(6), 0, 56, 0),
            (ms(6), 0, 57, 128),
        ];
        for (took, read, late, without) in cases {
            assert_eq!(pause(worth(), took, read, late), without, "{took:?} {read} {late}");
        }
        // Over a lane ten times as slow the same look pays.
        assert_eq!(pause(Worth::new(false, 6, READ * 10), ms(512), 40, 0), 0);
        let mut always = Worth::new(true, 6, READ);
        always.learn_look(128, ms(60_000), 128, 128);
        assert!(always.asks(64) && always.asks(64));
    }

    #[test]
    fn what_reading_costs_is_learned_while_filters_are_left_alone_but_not_from_the_blocks_that_fill_the_pipeline() {
        let mut worth = worth();
        worth.learn_look(128, Duration::from_millis(512), 0, 0);
        let mut parts = 0;
        while worth.without > 0 {
            assert_eq!(worth.at_once(), 64);
            assert!(!worth.asks(64));
            let took = if parts == 0 { Duration::ZERO } else { Duration::from_millis(64 * 4) };
            worth.learn_read(64, took);
            parts += 1;
        }
        assert_eq!((parts, worth.read), (64, 0.004));
        worth.learn_look(128, Duration::from_millis(128 * 3), 0, 0);
        assert_eq!(worth.without, 0, "it pays beside 4 ms a block");
        worth.learn_read(64, Duration::ZERO);
        assert_eq!(worth.read, 0.004, "the first of them don't tell");
        worth.learn_read(64, Duration::ZERO);
        assert!(worth.read > 0.0, "a clock that stands is no ground to divide by");
    }

    #[test]
    fn filters_are_asked_again_once_blocks_have_grown() {
        let mut worth = worth();
        // A tenth of the blocks is read, and a look takes as long as half a block that is read here.
        worth.learn_look(128, Duration::from_millis(512), 13, 0);
        let pause = worth.without;
        for (blocks, ms, asks) in [(64, 9, false), (64, 64, false), (64, 64 * 2, false), (64, 64 * 6, true)] {
            assert!(!worth.asks(blocks));
            worth.learn_read(blocks, Duration::from_millis(ms));
            assert_eq!(worth.without == 0, asks, "{ms} ms");
        }
        assert!(pause > 1000 && worth.asks(128));
    }

    #[test]
    fn steps_are_short_where_blocks_come_late_or_looks_take_long_and_long_where_neither_is_so() {
        let mut worth = worth();
        let steps = [(0, 256), (0, 512), (0, 512), (40, 256), (40, 128), (9, 64), (9, 64), (4, 128)];
        for (late, at_once) in steps {
            let asked = worth.at_once();
            worth.learn_look(asked, Duration::ZERO, 0, late);
            assert_eq!(worth.at_once(), at_once, "{late} late");
        }
        for (scripts, at_once) in [(0, 128), (20_000, 128), (100_000, 25), (usize::MAX, 8)] {
            assert_eq!(Worth::new(false, scripts, READ).at_once(), at_once, "{scripts}");
        }
        let mut long = Worth::new(true, 6, READ);
        for (ms, at_once) in [(90, 256), (110, 256), (150, 256), (210, 128), (9000, 64), (9000, 32), (90, 64)] {
            long.learn_look(128, Duration::from_millis(ms), 0, 0);
            assert_eq!(long.at_once, at_once, "{ms} ms");
        }
        let mut few = Worth::new(false, usize::MAX, READ);
        few.learn_look(8, Duration::ZERO, 0, 8);
        assert_eq!(few.at_once, 8, "late blocks don't make it ask for more");
    }
}
