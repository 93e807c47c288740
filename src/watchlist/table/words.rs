//! A line of plain text: a target, then white space and a label, then perhaps a remark.

use crate::watchlist::text::is_margin;

/// The line up to a `#` that follows white space; one that follows anything else starts a descriptor's checksum.
pub fn without_remark(line: &str) -> &str {
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
pub fn split(line: &str) -> (&str, &str) {
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
            ("multi(1, K a label", ("multi(1", "K a label")),
        ];
        for (line, expected) in table {
            assert_eq!(split(without_remark(line)), expected, "{line}");
        }
    }
}
