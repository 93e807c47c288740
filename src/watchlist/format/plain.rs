//! Plain text: one address, `script:HEX`, script or descriptor a line, then white space and a label; `#` starts a remark.

use std::io::{self, BufRead};

use rayon::prelude::*;

use super::detection::{Format, head_lines, is_marked_up};
use crate::watchlist::lines::{Line, LineReader, MAX_LINE};
use crate::watchlist::refusal::Refusal;
use crate::watchlist::rows::{Row, Rows, Target, Verdict};
use crate::watchlist::text::is_margin;

/// Lines judged side by side.
const LINES_AT_ONCE: usize = 4096;

/// Plain text.
pub const FORMAT: Format = Format { name: "plain", detects, read };

/// Anything that doesn't start like another format.
fn detects(head: &[u8]) -> bool {
    !is_marked_up(&head_lines(head))
}

fn read(_head: &[u8], input: &mut dyn BufRead, rows: &mut Rows) -> io::Result<()> {
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
        let judged: Vec<_> = part.par_iter().map(|line| judge(line, rows)).collect();
        for (line, verdict) in part.iter().zip(judged) {
            if let Some(verdict) = verdict {
                rows.put(line.number, &String::from_utf8_lossy(&line.bytes), verdict);
            }
        }
    }
}

/// What is to be done with a line; nothing with one that is blank or a remark.
fn judge(line: &Line, rows: &Rows) -> Option<Verdict> {
    let text = String::from_utf8_lossy(&line.bytes);
    let trimmed = text.trim_matches(is_margin);
    if trimmed.is_empty() && !line.cut || trimmed.starts_with(['#', ';']) {
        return None;
    }
    if line.cut {
        return Some(Verdict::Refuse(Refusal::TooLong(MAX_LINE)));
    }
    if std::str::from_utf8(&line.bytes).is_err() {
        return Some(Verdict::Refuse(Refusal::NotUtf8));
    }
    let (target, label) = split(without_remark(trimmed));
    let targets = vec![Target { text: target, is_script: false }];
    // The remark is looked through for private keys like the rest.
    Some(rows.judge(&Row { line: line.number, text: &text, targets, label: Some(label), ..Row::default() }))
}

/// The line up to a `#` that follows white space; one that follows anything else starts a descriptor's checksum.
fn without_remark(line: &str) -> &str {
    let mut space = false;
    for (at, letter) in line.char_indices() {
        if letter == '#' && space {
            return line[..at].trim_end_matches(is_margin);
        }
        space = letter.is_whitespace();
    }
    line
}

/// Target and label. White space within the brackets of a descriptor belongs to it.
fn split(line: &str) -> (&str, &str) {
    let first = line.find(char::is_whitespace).unwrap_or(line.len());
    let mut end = first;
    if line[..first].contains('(') {
        let mut depth = 0_i64;
        for (at, letter) in line.char_indices() {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ if letter.is_whitespace() && depth <= 0 => {
                    end = at;
                    break;
                }
                _ => {}
            }
            // Brackets that never close say nothing about where the label starts.
            end = if depth > 0 { first } else { line.len() };
        }
    }
    let (target, label) = line.split_at(end);
    (target.trim_end_matches([',', ';']), unquoted(label.trim_matches(is_margin)))
}

fn unquoted(label: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = label.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_into_target_and_label() {
        let table = [
            ("abc", ("abc", "")),
            ("abc  a label, with (brackets)", ("abc", "a label, with (brackets)")),
            ("abc\t\"quoted\"", ("abc", "quoted")),
            ("abc 'quoted'", ("abc", "quoted")),
            ("abc \"", ("abc", "\"")),
            ("abc, label", ("abc", "label")),
            ("abc # remark", ("abc", "")),
            ("abc label # remark # more", ("abc", "label")),
            ("raw(6a)#w4zqr89d a label", ("raw(6a)#w4zqr89d", "a label")),
            ("multi(1, K, L) a (b", ("multi(1, K, L)", "a (b")),
            ("multi(1, K a label", ("multi(1,", "K a label")),
        ];
        for (line, (target, label)) in table {
            let (found, rest) = split(without_remark(line));
            assert_eq!((found, rest), (target.trim_end_matches(','), label), "{line}");
        }
    }

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
