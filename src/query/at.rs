//! `--at`: the moment that a question is about. A date means the last block before the first one whose time is later.

use std::ops::Range;

use bitcoin::BlockHash;
use bitcoin::block::Header;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{QueryError, Result, Snapshot};
use crate::chain::Height;
use crate::index::ReadRows;

/// No chain gets here before the year 2190: a greater number may be a Unix time, or a date without its dashes.
const HIGHEST: u64 = 10_000_000;
/// Unix seconds from 2001 to 2099.
const TIMES: Range<u64> = 1_000_000_000..4_102_444_800;

/// What `--at` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Nothing: the question is about now.
    Now,
    /// The block at this height.
    Height(Height),
    /// The last block before the first one whose time is later than this; Unix seconds.
    Time(i64),
}

/// The moment that a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// After the block at this height; `None` in an index without a block.
    pub height: Option<Height>,
    /// Whether that is to be now, so that an index that is far behind doesn't answer it.
    pub is_now: bool,
}

/// The block that an answer is about: `at` in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtBlock {
    /// Its height.
    pub height: Height,
    /// Its hash; `None` above the index's last block.
    pub hash: Option<BlockHash>,
    /// Its time, Unix seconds; `None` above the index's last block.
    pub time: Option<u32>,
}

impl Moment {
    /// Now, as far as the index has got.
    pub fn now(snapshot: &Snapshot) -> Self {
        Self { height: snapshot.asked(), is_now: true }
    }

    /// After the block at a height.
    pub fn at(height: Height) -> Self {
        Self { height: Some(height), is_now: false }
    }

    /// The last height whose rows belong to the answer.
    pub fn last(self) -> Height {
        self.height.unwrap_or(Height::MAX)
    }

    /// The block; `None` in an index without a block.
    ///
    /// # Errors
    /// What reading reports.
    pub fn block(self, snapshot: &Snapshot) -> Result<Option<AtBlock>> {
        let Some(height) = self.height else { return Ok(None) };
        let header = snapshot.reader.header(height)?;
        let (hash, time) = (header.map(|header| header.block_hash()), header.map(|header| header.time));
        Ok(Some(AtBlock { height, hash, time }))
    }

    /// The block, if the question names a moment.
    ///
    /// # Errors
    /// What reading reports.
    pub fn named_block(self, snapshot: &Snapshot) -> Result<Option<AtBlock>> {
        if self.is_now { Ok(None) } else { self.block(snapshot) }
    }
}

impl At {
    /// Reads a height, a day (`YYYY-MM-DD`, until its end in UTC), or a day with a time, in UTC unless it has an offset.
    ///
    /// # Errors
    /// [`QueryError::Usage`].
    pub fn parse(text: &str) -> Result<Self> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return height(text);
        }
        let time = text.parse::<Timestamp>().ok().or_else(|| civil(text));
        if let Some(time) = time {
            return Ok(Self::Time(time.as_second()));
        }
        Err(QueryError::Usage(match text.split_once('[') {
            Some((date, zone)) if civil(date).is_some() => format!(
                "'{text}': a time zone's name alone is not understood; write the offset from UTC that held then, such as \
                 {date}-05:00 for [{zone}"
            ),
            _ => format!("'{text}' is neither a height nor a date (YYYY-MM-DD, or YYYY-MM-DDThh:mm:ssZ)"),
        }))
    }

    /// The moment. A height above the tip stays above it, and a date later than the tip becomes the height above the tip, so that the
    /// answer can't look complete.
    ///
    /// # Errors
    /// What reading reports; [`QueryError::Usage`] for a date before the first block.
    pub fn resolve(self, snapshot: &Snapshot) -> Result<Moment> {
        let time = match self {
            Self::Now => return Ok(Moment::now(snapshot)),
            Self::Height(height) => return Ok(Moment::at(height)),
            Self::Time(time) => time,
        };
        for row in snapshot.reader.range::<Header>(..) {
            let (height, header) = row?;
            if i64::from(header.time) > time {
                let before = height.checked_sub(1);
                let before = before.ok_or_else(|| QueryError::Usage("that date is before the first block".into()))?;
                return Ok(Moment::at(before));
            }
        }
        Ok(Moment { height: snapshot.tip.map(|tip| tip.height + 1), is_now: false })
    }
}

/// A height in digits. What must be a Unix time or a date without its dashes is refused.
fn height(digits: &str) -> Result<At> {
    let number = digits.parse::<u64>().ok();
    let meant = number
        .filter(|number| *number >= HIGHEST)
        .and_then(|number| day_without_dashes(digits).or_else(|| unix_time(number)));
    match (meant, number.and_then(|number| Height::try_from(number).ok())) {
        (Some(meant), _) => Err(QueryError::Usage(format!("'{digits}' is no height; did you mean {meant}?"))),
        (None, Some(height)) => Ok(At::Height(height)),
        (None, None) => Err(QueryError::Usage(format!("'{digits}' is no height: no chain is that long"))),
    }
}

/// `20261014` as a date.
fn day_without_dashes(digits: &str) -> Option<String> {
    let (year, rest) = digits.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    let text = format!("{year}-{month}-{day}");
    (digits.len() == 8).then(|| text.parse::<Date>().ok())??;
    Some(text)
}

/// Unix seconds or milliseconds as a date with a time.
fn unix_time(number: u64) -> Option<String> {
    let seconds = [number, number / 1_000].into_iter().find(|seconds| TIMES.contains(seconds))?;
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok().map(|time| time.to_string())
}

/// A day, until its last second, or a day with a time; in UTC. A time zone's name would be ignored, so it is not read.
fn civil(text: &str) -> Option<Timestamp> {
    if text.contains('[') {
        return None;
    }
    let civil = match text.contains(['T', 't', ' ']) {
        true => text.parse::<DateTime>().ok()?,
        false => text.parse::<Date>().ok()?.at(23, 59, 59, 0),
    };
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_and_dates_are_told_apart() {
        for (text, expected) in [
            ("0", At::Height(0)),
            ("840000", At::Height(840_000)),
            ("2009", At::Height(2009)),
            ("9999999", At::Height(9_999_999)),
            // Above every chain, but nothing else either: such a height is answered as not complete.
            ("10000000", At::Height(10_000_000)),
            ("20091313", At::Height(20_091_313)),
            ("999999999", At::Height(999_999_999)),
            ("4102444800", At::Height(4_102_444_800)),
            ("4294967295", At::Height(u32::MAX)),
            // A day lasts until its end.
            ("2009-01-12", At::Time(1_231_804_799)),
            ("2026-10-14", At::Time(1_792_022_399)),
            ("2009-01-12T03:30:25", At::Time(1_231_731_025)),
            ("2009-01-12 03:30:25", At::Time(1_231_731_025)),
            ("2009-01-12T00:00:00", At::Time(1_231_718_400)),
            ("2009-01-12T03:30:25Z", At::Time(1_231_731_025)),
            ("2009-01-12T03:30:25.9Z", At::Time(1_231_731_025)),
            ("2009-01-12T03:30:25+01:00", At::Time(1_231_727_425)),
            ("2009-01-11T22:30:25-05:00", At::Time(1_231_731_025)),
            // The offset says what the name beside it would.
            ("2009-01-11T22:30:25-05:00[America/New_York]", At::Time(1_231_731_025)),
        ] {
            assert_eq!(At::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_what_was_meant() {
        for (text, words) in [
            ("", "neither a height nor a date"),
            (" ", "neither a height nor a date"),
            ("yesterday", "neither a height nor a date"),
            ("2009-13-01", "neither a height nor a date"),
            ("2009-02-30", "neither a height nor a date"),
            ("-1", "neither a height nor a date"),
            ("+5", "neither a height nor a date"),
            ("5.0", "neither a height nor a date"),
            ("@1231731025", "neither a height nor a date"),
            ("1231731025", "did you mean 2009-01-12T03:30:25Z?"),
            ("1231731025000", "did you mean 2009-01-12T03:30:25Z?"),
            ("20090113", "did you mean 2009-01-13?"),
            ("1000000000", "did you mean 2001-09-09T01:46:40Z?"),
            ("4102444799", "did you mean 2099-12-31T23:59:59Z?"),
            ("4102444799999", "did you mean 2099-12-31T23:59:59Z?"),
            ("20261014", "did you mean 2026-10-14?"),
            ("4294967296", "no chain is that long"),
            ("99999999999999999999999", "no chain is that long"),
            ("2009-01-12T03:30:25[America/New_York]", "write the offset"),
            ("2009-01-12[America/New_York]", "write the offset"),
            ("2009-01-12T03:30:25[", "write the offset"),
            ("5[America/New_York]", "neither a height nor a date"),
        ] {
            let refused = At::parse(text).expect_err(text);
            assert!(refused.is_usage() && refused.to_string().contains(words), "{text}: {refused}");
        }
    }
}
