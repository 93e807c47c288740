//! Whether filters pay: what matching one costs beside what reading a block costs, and how many blocks they rule out. Pure: the caller
//! measures the times.
//!
//! Matching costs more the longer the lists are, since each script is hashed for each block. Reading a block costs some ms over REST,
//! and ten times as much over RPC. Where most blocks have to be read anyway, or matching takes nearly as long as reading, blocks are
//! read for a while without asking their filters; that also shows what reading really costs here.

use std::time::Duration;

/// Filters asked for at once: at first.
const AT_ONCE: usize = 128;
/// Where blocks that were ruled out had to be read after all, the number is not halved below this.
const AT_ONCE_LEAST: usize = 64;
/// At most.
const AT_ONCE_MOST: usize = 512;
/// Scripts times filters at first: hashing them takes some 20 ms.
const FIRST_HASHES: usize = 2_560_000;
/// Filters asked for at once at least, however many scripts there are.
const LEAST_FOR_MANY_SCRIPTS: usize = 8;
/// Matching that takes longer is cut down, since a stop waits for it.
const LONGEST: Duration = Duration::from_millis(200);
/// Blocks read at once without asking their filters. The first of them fill the pipeline, those after them are timed.
const UNASKED: usize = 64;
/// Blocks read before filters are asked again, at least and at most.
const PAUSE: (usize, usize) = (2 * UNASKED, 8192);
/// Matching in vain may cost this part of what reading costs.
const IN_VAIN: f64 = 1.0 / 16.0;
/// Filters pay where they save at least a tenth.
const PAYS: f64 = 0.9;
/// A block that was ruled out and must be read after all costs as much as this many others, since the sweep waits for it.
const LATE: usize = 2;

/// Whether to ask for filters, and for how many at once.
#[derive(Debug, PartialEq)]
pub struct FilterPayoff {
    always: bool,
    at_once: usize,
    /// Blocks still to be read without asking their filters.
    pause: usize,
    /// Whether some of them were read, so that the pipeline is full.
    flowing: bool,
    /// Seconds to read a block where all are read.
    read: f64,
    last: Matched,
}

/// What matching the last filters has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Matched {
    /// Seconds a block.
    seconds: f64,
    /// The part of the blocks that had to be read after all.
    read: f64,
}

impl Matched {
    /// Seconds a block, with what had to be read after all, where reading one takes `read` seconds.
    fn cost(self, read: f64) -> f64 {
        self.seconds + self.read * read
    }
}

impl FilterPayoff {
    /// For `scripts` scripts, where reading a block takes about `read`. With `always`, filters are asked whether they pay or not.
    pub fn new(always: bool, scripts: usize, read: Duration) -> Self {
        let at_once = (FIRST_HASHES / scripts.max(1)).clamp(LEAST_FOR_MANY_SCRIPTS, AT_ONCE);
        Self { always, at_once, pause: 0, flowing: false, read: seconds(read), last: Matched::default() }
    }

    /// How many blocks to select from next.
    pub fn at_once(&self) -> usize {
        if self.pause > 0 { UNASKED } else { self.at_once }
    }

    /// Whether to ask the filters of the next `blocks` blocks.
    pub fn asks(&mut self, blocks: usize) -> bool {
        let asks = self.always || self.pause == 0;
        self.pause = self.pause.saturating_sub(blocks);
        asks
    }

    /// `blocks` blocks were sent out to be read, which took `took`, since each waits until another one is done. Once blocks have grown
    /// so that filters would pay, they are asked again.
    pub fn learn_read(&mut self, blocks: usize, took: Duration) {
        // The first ones found the pipeline empty, and waited for nothing.
        if self.flowing && blocks > 0 {
            self.read = seconds(took) / blocks as f64;
            if self.last.cost(self.read) <= PAYS * self.read {
                self.pause = 0;
            }
        }
        self.flowing = true;
    }

    /// Matching the filters of `asked` blocks took `took`, and `read` of them have to be read. `late` blocks that were ruled out
    /// before had to be read after all: with fewer filters at once there are fewer of them.
    pub fn learn_match(&mut self, asked: usize, took: Duration, read: usize, late: usize) {
        self.flowing = false;
        self.at_once = match late * 16 > asked {
            true => (self.at_once / 2).max(AT_ONCE_LEAST.min(self.at_once)),
            false if took > LONGEST => (self.at_once / 2).max(LEAST_FOR_MANY_SCRIPTS),
            false if took * 2 > LONGEST => self.at_once,
            false => (self.at_once * 2).min(AT_ONCE_MOST),
        };
        let asked = asked as f64;
        self.last = Matched { seconds: took.as_secs_f64() / asked, read: (read + LATE * late) as f64 / asked };
        if self.last.cost(self.read) > PAYS * self.read {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast from float saturates")]
            let pause = (took.as_secs_f64() / self.read / IN_VAIN) as usize;
            self.pause = pause.clamp(PAUSE.0, PAUSE.1);
            self.at_once = self.at_once.min(AT_ONCE);
        }
    }
}

/// In seconds; never 0, since other times are divided by it.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Duration = Duration::from_millis(2);

    fn payoff() -> FilterPayoff {
        FilterPayoff::new(false, 6, READ)
    }

    /// How many blocks are read without asking their filters after 128 were matched, `read` of them in vain.
    fn pause_after(mut payoff: FilterPayoff, took: Duration, read: usize, late: usize) -> usize {
        assert!(payoff.asks(128), "{payoff:?}");
        payoff.learn_match(128, took, read, late);
        payoff.pause
    }

    #[test]
    fn filters_are_asked_while_they_save_a_tenth_of_what_reading_costs() {
        let ms = Duration::from_millis;
        // How long 128 filters take, how many of their blocks are read, how many came late, the pause.
        let cases = [
            (ms(6), 0, 0, 0),
            (ms(6), 112, 0, 0),
            (ms(6), 113, 0, 128),
            (ms(6), 128, 0, 128),
            // Long lists: matching takes as long as half a block, nearly as one, as two.
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
        for (took, read, late, pause) in cases {
            assert_eq!(pause_after(payoff(), took, read, late), pause, "{took:?} {read} {late}");
        }
        // Over a lane ten times as slow the same times pay.
        assert_eq!(pause_after(FilterPayoff::new(false, 6, READ * 10), ms(512), 40, 0), 0);
        let mut always = FilterPayoff::new(true, 6, READ);
        always.learn_match(128, ms(60_000), 128, 128);
        assert!(always.asks(64) && always.asks(64));
    }

    #[test]
    fn what_reading_costs_is_learned_while_filters_are_not_asked_but_not_from_blocks_that_fill_the_pipeline() {
        let mut payoff = payoff();
        payoff.learn_match(128, Duration::from_millis(512), 0, 0);
        let mut parts = 0;
        while payoff.pause > 0 {
            assert_eq!(payoff.at_once(), 64);
            assert!(!payoff.asks(64));
            let took = if parts == 0 { Duration::ZERO } else { Duration::from_millis(64 * 4) };
            payoff.learn_read(64, took);
            parts += 1;
        }
        assert_eq!((parts, payoff.read), (64, 0.004));
        payoff.learn_match(128, Duration::from_millis(128 * 3), 0, 0);
        assert_eq!(payoff.pause, 0, "3 ms pay where reading takes 4");
        payoff.learn_read(64, Duration::ZERO);
        assert_eq!(payoff.read, 0.004, "the first ones fill the pipeline");
        payoff.learn_read(64, Duration::ZERO);
        assert!(payoff.read > 0.0, "a clock that stands still must not be divided by");
    }

    #[test]
    fn filters_are_asked_again_once_blocks_have_grown() {
        let mut payoff = payoff();
        // A tenth of the blocks is read, and matching takes as long as reading half of them.
        payoff.learn_match(128, Duration::from_millis(512), 13, 0);
        let pause = payoff.pause;
        for (blocks, ms, asks) in [(64, 9, false), (64, 64, false), (64, 64 * 2, false), (64, 64 * 6, true)] {
            assert!(!payoff.asks(blocks));
            payoff.learn_read(blocks, Duration::from_millis(ms));
            assert_eq!(payoff.pause == 0, asks, "{ms} ms");
        }
        assert!(pause > 1000 && payoff.asks(128));
    }

    #[test]
    fn fewer_filters_are_asked_at_once_where_blocks_come_late_or_matching_takes_long() {
        let mut payoff = payoff();
        let steps = [(0, 256), (0, 512), (0, 512), (40, 256), (40, 128), (9, 64), (9, 64), (4, 128)];
        for (late, at_once) in steps {
            let asked = payoff.at_once();
            payoff.learn_match(asked, Duration::ZERO, 0, late);
            assert_eq!(payoff.at_once(), at_once, "{late} late");
        }
        for (scripts, at_once) in [(0, 128), (20_000, 128), (100_000, 25), (usize::MAX, 8)] {
            assert_eq!(FilterPayoff::new(false, scripts, READ).at_once(), at_once, "{scripts}");
        }
        let mut long = FilterPayoff::new(true, 6, READ);
        for (ms, at_once) in [(90, 256), (110, 256), (150, 256), (210, 128), (9000, 64), (9000, 32), (90, 64)] {
            long.learn_match(128, Duration::from_millis(ms), 0, 0);
            assert_eq!(long.at_once, at_once, "{ms} ms");
        }
        let mut few = FilterPayoff::new(false, usize::MAX, READ);
        few.learn_match(8, Duration::ZERO, 0, 8);
        assert_eq!(few.at_once, 8, "late blocks never raise the number");
    }
}
