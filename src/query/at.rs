//! `--at`: a height, or a date, which means the last block before the first one whose time is later.

use bitcoin::block::Header;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::{QueryError, Result, Snapshot};
use crate::chain::Height;

/// The block after which the state is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest block.
    Now,
    /// The block at this height.
    Height(Height),
    /// The last block before the first one whose time is later than this; Unix seconds.
    Time(i64),
}

impl At {
    /// Reads a height, `YYYY-MM-DD`, or a date with a time, in UTC unless it has an offset.
    ///
    /// # Errors
    /// [`QueryError::Usage`].
    pub fn parse(text: &str) -> Result<Self> {
        if let Ok(height) = text.parse() {
            return Ok(Self::Height(height));
        }
        let date = text.parse::<Timestamp>().ok();
        let date = date.or_else(|| in_utc(text.parse::<DateTime>().ok()?));
        let date = date.or_else(|| in_utc(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())));
        let date = date.ok_or_else(|| {
            QueryError::Usage(format!("'{text}' is neither a height nor a date (YYYY-MM-DD, or YYYY-MM-DDThh:mm:ssZ)"))
        })?;
        Ok(Self::Time(date.as_second()))
    }

    /// The height; `None` in an empty index. A height above the tip stays above it, and a date later than the tip becomes the height
    /// above the tip, so that the answer can't look complete.
    ///
    /// # Errors
    /// What reading reports; [`QueryError::Usage`] for a date before the first block.
    pub fn resolve(self, snapshot: &Snapshot) -> Result<Option<Height>> {
        let time = match self {
            Self::Now => return Ok(snapshot.asked()),
            Self::Height(height) => return Ok(Some(height)),
            Self::Time(time) => time,
        };
        for row in snapshot.reader.range::<Header>(..) {
            let (height, header) = row?;
            if i64::from(header.time) > time {
                let before = height.checked_sub(1);
                return before.map(Some).ok_or_else(|| QueryError::Usage("that date is before the first block".into()));
            }
        }
        Ok(snapshot.tip.map(|tip| tip.height + 1))
    }
}

fn in_utc(civil: DateTime) -> Option<Timestamp> {
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
            ("2009-01-12", At::Time(1_231_718_400)),
            ("2009-01-12T03:30:25", At::Time(1_231_731_025)),
            ("2009-01-12T03:30:25Z", At::Time(1_231_731_025)),
            ("2009-01-12T03:30:25+01:00", At::Time(1_231_727_425)),
        ] {
            assert_eq!(At::parse(text).unwrap(), expected, "{text}");
        }
        for text in ["", "yesterday", "2009-13-01", "-1", "4294967296"] {
            assert!(At::parse(text).is_err(), "{text}");
        }
    }
}
