//! Amounts and dates as the reasons of answers spell them.

use jiff::Timestamp;

/// Satoshis as bitcoins, with no more decimals than they have.
pub fn btc(satoshis: u64) -> String {
    let text = format!("{}.{:08}", satoshis / 100_000_000, satoshis % 100_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Unix seconds as a date, UTC.
pub fn date(time: u32) -> String {
    let time = Timestamp::from_second(i64::from(time)).map(|time| time.strftime("%Y-%m-%d").to_string());
    time.unwrap_or_else(|_| "unknown date".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitcoins_have_the_decimals_that_they_need() {
        for (satoshis, expected) in
            [(0, "0"), (1, "0.00000001"), (100_000, "0.001"), (4_999_000_000, "49.99"), (5_000_000_000, "50")]
        {
            assert_eq!(btc(satoshis), expected);
        }
        assert_eq!(date(1_231_731_025), "2009-01-12");
    }
}
