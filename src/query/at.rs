//! `--at`: a height, or a date as the last block before the first one after it.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::{QueryError, Result, Snapshot};
use crate::chain::Height;
use crate::index::Family;
use crate::index::values::header_from_value;

/// The state after which block is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest.
    Now,
    /// The one at this height.
    Height(Height),
    /// The last one of which no block before or at it has a later time; Unix seconds.
    Time(i64),
}

impl At {
    /// Reads what was typed: a height, `YYYY-MM-DD`, or a date with a time, UTC unless it says otherwise.
    ///
    /// # Errors
    /// [`QueryError::Usage`].
    pub fn parse(text: &str) -> Result<Self> {
        if let Ok(height) = text.parse() {
            return Ok(Self::Height(height));
        }
        let utc = |civil: DateTime| civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
        let date = text.parse::<Timestamp>().ok();
        let date = date.or_else(|| utc(text.parse::<DateTime>().ok()?));
        let date = date.or_else(|| utc(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())));
        let date = date.ok_or_else(|| {
            QueryError::Usage(format!("'{text}' is neither a height nor a date (YYYY-MM-DD, or YYYY-MM-DDThh:mm:ssZ)"))
        })?;
        Ok(Self::Time(date.as_second()))
    }

    /// The height meant; `None` in an empty index. A height or a date beyond the tip stays beyond it, so that the answer
    /// can't look complete: a date then stands for the height after the tip.
    ///
    /// # Errors
    /// What reading reports; [`QueryError::Usage`] for a date before the first block.
    pub fn resolve(self, snapshot: &Snapshot) -> Result<Option<Height>> {
        let time = match self {
            Self::Now => return Ok(snapshot.asked()),
            Self::Height(height) => return Ok(Some(height)),
            Self::Time(time) => time,
        };
        for row in snapshot.reader.raw_range(Family::Headers, &[], None) {
            let (key, value) = row?;
            let corrupt = || crate::index::View::corrupt(Family::Headers, &key);
            let header = header_from_value(&value).map_err(|_| corrupt())?;
            if i64::from(header.time) > time {
                let height = Height::from_be_bytes((&*key).try_into().map_err(|_| corrupt())?);
                let before = height.checked_sub(1);
                return before.map(Some).ok_or_else(|| QueryError::Usage("that date is before the first block".into()));
            }
        }
        Ok(snapshot.tip.map(|tip| tip.height + 1))
    }
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
