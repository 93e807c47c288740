//! What part of a target's value is tainted, and whether that is enough to count. Shares are compared as whole numbers: no float decides.

use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::query::by_rule::ByRule;
use crate::trace::Rule;

/// The whole, in the parts that answers show.
const MILLION: u32 = 1_000_000;
/// Decimals of a share that are read.
const DECIMALS: usize = 12;

/// Taint as a part of a value, under each tracked rule: millionths, as answers show them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares(Vec<(Rule, u32)>);

impl Shares {
    /// Those of taint in a value, in satoshis; `None` for a value of 0.
    pub fn of(taint: &ByRule, value: u64) -> Option<Self> {
        (value > 0).then(|| Self(taint.iter().map(|(rule, taint)| (rule, millionths(taint, value))).collect()))
    }
}

impl Shares {
    /// In words, as percentages.
    pub fn words(&self) -> String {
        let shares = self.0.iter().map(|(rule, millionths)| format!("{rule} {}", percent(*millionths)));
        shares.collect::<Vec<_>>().join(", ")
    }
}

impl Serialize for Shares {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0.iter().map(|(rule, millionths)| (rule.name(), f64::from(*millionths) / f64::from(MILLION))),
        )
    }
}

fn percent(millionths: u32) -> String {
    let text = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `part` of `whole`, rounded to millionths: to none of them only where the part is 0, to all of them only where it is the whole.
fn millionths(part: u64, whole: u64) -> u32 {
    match part {
        0 => 0,
        part if part >= whole => MILLION,
        part => {
            let (part, whole) = (u128::from(part), u128::from(whole));
            let rounded = (part * u128::from(MILLION) + whole / 2) / whole;
            u32::try_from(rounded).unwrap_or(MILLION).clamp(1, MILLION - 1)
        }
    }
}

/// A share as it was typed: a part from 0 to 1, or of a hundred with `%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinShare {
    typed: String,
    numerator: u128,
    denominator: u128,
}

/// A text that is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoShare {
    /// It is no number.
    #[error("'{0}' is no share; write a percentage such as 5%, or a part of 1 such as 0.05")]
    NoNumber(String),
    /// It is more than the whole.
    #[error("'{0}' is more than the whole; write a percentage such as 5%, or a part of 1 such as 0.05")]
    MoreThanWhole(String),
    /// It has too many decimals.
    #[error("'{0}' has more than {DECIMALS} decimals")]
    TooFine(String),
}

impl FromStr for MinShare {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let typed = text.trim().to_owned();
        let (number, hundred) = match typed.strip_suffix('%') {
            Some(number) => (number.trim_end(), 100),
            None => (typed.as_str(), 1),
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let digits = [whole, decimals].concat();
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(NoShare::NoNumber(typed));
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > DECIMALS {
            return Err(NoShare::TooFine(typed));
        }
        let digits = [whole.trim_start_matches('0'), decimals].concat();
        // A share of at most the whole has at most three digits before the point: so many fit into a u128.
        if digits.len() > DECIMALS + 3 {
            return Err(NoShare::MoreThanWhole(typed));
        }
        let numerator: u128 = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u128::MAX) };
        let denominator = (0..decimals.len()).fold(hundred, |denominator: u128, _| denominator * 10);
        if numerator > denominator {
            return Err(NoShare::MoreThanWhole(typed));
        }
        Ok(Self { typed, numerator, denominator })
    }
}

impl MinShare {
    fn is_reached(&self, taint: u64, value: u64) -> bool {
        // Below 2^64 and 10^14 each.
        u128::from(taint) * self.denominator >= u128::from(value) * self.numerator
    }
}

/// How much taint counts: all of it, unless the caller says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Satoshis.
    pub at_least: Option<u64>,
    /// The part of the value.
    pub min_share: Option<MinShare>,
}

impl Thresholds {
    /// Whether taint in a value reaches all of them under some rule. Where the value isn't known, no share of it is too small.
    pub fn are_reached(&self, taint: Option<&ByRule>, value: Option<u64>) -> bool {
        if self.at_least.is_none() && self.min_share.is_none() {
            return true;
        }
        taint.is_none_or(|taint| taint.iter().any(|(_, taint)| self.are_reached_by(taint, value)))
    }

    fn are_reached_by(&self, taint: u64, value: Option<u64>) -> bool {
        let share = self.min_share.as_ref().zip(value);
        self.at_least.is_none_or(|least| taint >= least)
            && share.is_none_or(|(share, value)| share.is_reached(taint, value))
    }

    /// As they were typed.
    pub fn words(&self) -> String {
        let least = self.at_least.map(|least| format!("--at-least {least}"));
        let share = self.min_share.as_ref().map(|share| format!("--min-share {}", share.typed));
        least.into_iter().chain(share).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [Rule; 2] = [Rule::Haircut, Rule::Fifo];

    fn taint(haircut: u64, fifo: u64) -> ByRule {
        ByRule::of(&RULES, |number, _| [haircut, fifo][number])
    }

    #[test]
    fn shares_are_rounded_but_never_to_nothing_or_to_the_whole() {
        let shown = |part, whole| serde_json::to_string(&Shares::of(&taint(part, 0), whole).unwrap()).unwrap();
        for (part, whole, expected) in [
            (0, 50, "0.0"),
            (50, 50, "1.0"),
            (1, 49, "0.020408"),
            (102, 5_000, "0.0204"),
            (1, 3, "0.333333"),
            (2, 3, "0.666667"),
            (1, 2_100_000_000_000_000, "1e-6"),
            (2_099_999_999_999_999, 2_100_000_000_000_000, "0.999999"),
            (u64::MAX - 1, u64::MAX, "0.999999"),
        ] {
            assert_eq!(shown(part, whole), format!(r#"{{"haircut":{expected},"fifo":0.0}}"#), "{part} of {whole}");
        }
        assert_eq!(Shares::of(&taint(0, 0), 0), None);
        assert_eq!(Shares::of(&taint(1, 49), 49).unwrap().words(), "haircut 2.0408%, fifo 100%");
    }

    #[test]
    fn shares_are_read_exactly() {
        let same = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| text.parse::<MinShare>().unwrap());
            assert_eq!(one.numerator * other.denominator, other.numerator * one.denominator, "{one:?} {other:?}");
        };
        for (percent, fraction) in
            [("5%", "0.05"), ("100%", "1"), ("0%", "0"), ("2.5 %", ".025"), ("050.00%", "0.5000"), (" 1.% ", "0.01")]
        {
            same(percent, fraction);
        }
        let finest: MinShare = "0.000000000001".parse().unwrap();
        assert_eq!((finest.numerator, finest.denominator), (1, 1_000_000_000_000));
        for (text, expected) in [
            ("", "is no share"),
            ("%", "is no share"),
            (".", "is no share"),
            ("-1%", "is no share"),
            ("5e-2", "is no share"),
            ("1,5%", "is no share"),
            ("0.1.2", "is no share"),
            ("5", "is more than the whole"),
            ("101%", "is more than the whole"),
            ("100.000000000001%", "is more than the whole"),
            ("99999999999999999999999999999999999999999999", "is more than the whole"),
            ("0.0000000000001", "more than 12 decimals"),
        ] {
            let error = text.parse::<MinShare>().unwrap_err().to_string();
            assert!(error.contains(expected), "'{text}': {error}");
        }
    }

    #[test]
    fn thresholds_are_reached_where_one_rule_reaches_all_of_them() {
        let thresholds = |least: Option<u64>, share: Option<&str>| Thresholds {
            at_least: least,
            min_share: share.map(|share| share.parse().unwrap()),
        };
        // A third of the value is reached by no rounded third.
        let value = Some(3_000_000);
        for (least, share, haircut, fifo, value, expected) in [
            (None, None, 0, 0, value, true),
            (Some(10), None, 9, 9, value, false),
            (Some(10), None, 9, 10, value, true),
            (None, Some("33.3333333333%"), 1_000_000, 0, value, true),
            (None, Some("33.3333333334%"), 1_000_000, 0, value, false),
            (None, Some("33.3333333334%"), 1_000_000, 1_000_001, value, true),
            (None, Some("100%"), 2_999_999, 0, value, false),
            (None, Some("100%"), 3_000_000, 0, value, true),
            (None, Some("0"), 0, 0, value, true),
            // One rule has the satoshis, the other could not have the share without them.
            (Some(10), Some("50%"), 10, 9, Some(20), true),
            (Some(10), Some("50%"), 10, 9, Some(21), false),
            (None, Some("50%"), 1, 0, None, true),
            (Some(10), Some("50%"), 9, 0, None, false),
            (None, Some("100%"), u64::MAX, 0, Some(u64::MAX), true),
        ] {
            let reached = thresholds(least, share).are_reached(Some(&taint(haircut, fifo)), value);
            assert_eq!(reached, expected, "{least:?} {share:?}: {haircut}, {fifo} of {value:?}");
        }
        assert!(thresholds(Some(1), Some("1")).are_reached(None, None), "taint that isn't known may be enough");
        assert_eq!(thresholds(Some(7), Some("5%")).words(), "--at-least 7 --min-share 5%");
    }
}
