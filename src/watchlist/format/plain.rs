//! Plain text: one address, `script:HEX`, script or descriptor a line, then white space and a label; `#` starts a remark.

use std::io::{self, BufRead};

use rayon::prelude::*;

use super::detection::{ListFormat, head_lines, is_marked_up};
use crate::watchlist::builder::{ListBuilder, Row, RowOutcome, Target};
use crate::watchlist::table::lines::{Line, LineReader, MAX_LINE};
use crate::watchlist::table::remark::marked;
use crate::watchlist::table::words::{split, without_remark};
use crate::watchlist::target::currency::is_currency_name;
use crate::watchlist::target::refusal::Refusal;
use crate::watchlist::text::is_margin;

/// Lines judged side by side.
const LINES_AT_ONCE: usize = 4096;

/// Plain text.
pub const FORMAT: ListFormat = ListFormat { name: "plain", detects, read };

/// Anything that doesn't start like another format.
fn detects(head: &[u8]) -> bool {
    !is_marked_up(&head_lines(head))
}

fn read(_head: &[u8], input: &mut dyn BufRead, list: &mut ListBuilder) -> io::Result<()> {
    let mut lines = LineReader::new(input);
    let mut part = Vec::new();
    loop {
        part.clear();
        let mut bytes = 0;
        while part.len() < LINES_AT_ONCE && bytes < MAX_LINE {
            let Some(line) = lines.next()? else { break };
            bytes += line.bytes.len();
            part.push(line);
        }
        if part.is_empty() {
            return Ok(());
        }
        let judged: Vec<_> = part.par_iter().map(|line| judge(line, list)).collect();
        for (line, outcome) in part.iter().zip(judged) {
            if let Some(outcome) = outcome {
                list.put(line.number, &String::from_utf8_lossy(&line.bytes), outcome);
            }
        }
    }
}

/// What becomes of a line; nothing of a blank one.
fn judge(line: &Line, list: &ListBuilder) -> Option<RowOutcome> {
    let text = String::from_utf8_lossy(&line.bytes);
    let trimmed = text.trim_matches(is_margin);
    if trimmed.is_empty() && !line.cut {
        return None;
    }
    if marked(trimmed).is_some() && !line.cut {
        return Some(RowOutcome::Remark);
    }
    if line.cut {
        return Some(RowOutcome::Quarantined(Refusal::TooLong(MAX_LINE)));
    }
    if std::str::from_utf8(&line.bytes).is_err() {
        return Some(RowOutcome::Quarantined(Refusal::NotUtf8));
    }
    let (target, label) = split(without_remark(trimmed));
    let targets = vec![Target { text: target, is_script: false }];
    let currencies = if is_currency_name(label) { vec![label] } else { Vec::new() };
    // The remark is looked through for private keys like the rest.
    let row = Row { line: line.number, text: &text, targets, label: Some(label), currencies, ..Row::default() };
    Some(list.judge(&row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_like_another_format_is_not_plain() {
        for head in ["<?xml", "\u{feff}\n {\"a\":1}", "[", "---\ntitle: x"] {
            assert!(!detects(head.as_bytes()), "{head}");
        }
        for head in ["", "# x", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"] {
            assert!(detects(head.as_bytes()), "{head}");
        }
    }
}
