//! YAML, event by event. Nothing is expanded: an alias may stand for a short text, and for nothing else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, BufRead};
use std::rc::Rc;

use saphyr_parser::{BufferedInput, Event, Parser};

use crate::watchlist::fault::{Meter, Metered, fault};

/// The longest scalar, and the longest text of a list of them, in bytes.
const LONGEST: usize = 1 << 20;
/// Most texts that aliases may stand for, and the longest of them.
const ANCHORS: usize = 1_000;
const ANCHORED: usize = 1_024;
/// Most lists and mappings within each other.
const DEPTH: usize = 64;

/// Reads a document.
pub struct YamlReader<'i> {
    parser: Parser<'i, BufferedInput<Letters<'i>>>,
    meter: Rc<Meter>,
    /// Why there were no more letters.
    stopped: Rc<RefCell<Option<io::Error>>>,
    anchors: HashMap<usize, String>,
    depth: usize,
}

impl<'i> YamlReader<'i> {
    /// The first byte of `input` is in line 1.
    pub fn new(input: &'i mut dyn BufRead) -> Self {
        let input = Metered::new(input, LONGEST);
        let meter = input.meter();
        let stopped = Rc::new(RefCell::new(None));
        let letters = Letters { input, stopped: Rc::clone(&stopped), ended: false };
        Self { parser: Parser::new_from_iter(letters), meter, stopped, anchors: HashMap::new(), depth: 0 }
    }

    /// The next event, and its line. Aliases of texts come as scalars.
    ///
    /// # Errors
    /// A [`Fault`](crate::watchlist::fault::Fault) with its line for what isn't YAML or isn't read here; those of the input.
    pub fn next(&mut self) -> io::Result<(Event<'i>, u64)> {
        self.meter.begin_piece();
        let event = self.parser.next_event();
        if let Some(error) = self.stopped.borrow_mut().take() {
            return Err(error);
        }
        let (event, span) = match event {
            None => return Ok((Event::StreamEnd, self.meter.line())),
            Some(Ok(found)) => found,
            Some(Err(error)) => {
                let marker = error.marker();
                let what = format!("column {}: isn't valid YAML ({})", marker.col() + 1, plain(error.info()));
                return Err(fault(marker.line() as u64, what));
            }
        };
        let line = span.start.line() as u64;
        match &event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                self.depth += 1;
                if self.depth > DEPTH {
                    return Err(fault(line, format!("more than {DEPTH} lists and mappings within each other")));
                }
            }
            Event::MappingEnd | Event::SequenceEnd => self.depth = self.depth.saturating_sub(1),
            Event::Scalar(text, style, anchor, _) if *anchor > 0 => {
                if self.anchors.len() >= ANCHORS {
                    return Err(fault(line, format!("more than {ANCHORS} anchors (&name); write the values out")));
                }
                if text.len() <= ANCHORED {
                    self.anchors.insert(*anchor, text.clone().into_owned());
                }
                return Ok((Event::Scalar(text.clone(), *style, 0, None), line));
            }
            Event::Alias(anchor) => {
                let text = self.anchors.get(anchor).cloned().ok_or_else(|| {
                    fault(line, "an alias (*name) that stands for more than a short text; write it out")
                })?;
                return Ok((Event::Scalar(text.into(), saphyr_parser::ScalarStyle::SingleQuoted, 0, None), line));
            }
            _ => {}
        }
        Ok((event, line))
    }

    /// The next name of a mapping and its line; none at its end.
    ///
    /// # Errors
    /// As [`Self::next`]; for a name that is no text.
    pub fn name(&mut self) -> io::Result<Option<(String, u64)>> {
        match self.next()? {
            (Event::MappingEnd, _) => Ok(None),
            (Event::Scalar(name, ..), line) => Ok(Some((name.into_owned(), line))),
            (_, line) => Err(fault(line, "a name that is no text")),
        }
    }

    /// The next value: a text, or texts of a list, joined. None for a mapping, which is passed over with all within it.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn value(&mut self) -> io::Result<Option<String>> {
        let outer = self.depth;
        let mut joined: Option<String> = None;
        loop {
            let (event, line) = self.next()?;
            match event {
                Event::Scalar(text, style, ..) => {
                    let is_null = style == saphyr_parser::ScalarStyle::Plain && matches!(&*text, "~" | "null");
                    // Of lists only the outermost counts.
                    if self.depth <= outer + 1 && !is_null {
                        let all = joined.get_or_insert_default();
                        if all.len() + text.len() > LONGEST {
                            return Err(fault(line, format!("one value is longer than {LONGEST} bytes")));
                        }
                        if !all.is_empty() {
                            all.push_str(", ");
                        }
                        all.push_str(&text);
                    }
                }
                Event::MappingStart(..) => {
                    self.skip(self.depth - 1)?;
                }
                Event::StreamEnd | Event::DocumentEnd => return Err(fault(line, "the file ends within a value")),
                _ => {}
            }
            if self.depth == outer {
                return Ok(joined);
            }
        }
    }

    /// Passes over everything until the depth is back at `outer`.
    fn skip(&mut self, outer: usize) -> io::Result<()> {
        while self.depth > outer {
            let (event, line) = self.next()?;
            if matches!(event, Event::StreamEnd | Event::DocumentEnd) {
                return Err(fault(line, "the file ends within a value"));
            }
        }
        Ok(())
    }
}

/// The parser's words without what they quote of the file.
fn plain(info: &str) -> String {
    info.split(['\'', '"', '`']).step_by(2).collect::<Vec<_>>().join("…")
}

/// The letters of an input.
struct Letters<'i> {
    input: Metered<&'i mut dyn BufRead>,
    stopped: Rc<RefCell<Option<io::Error>>>,
    ended: bool,
}

impl Letters<'_> {
    fn byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.input.fill_buf() {
                Ok(buffer) => {
                    let first = buffer.first().copied();
                    if first.is_some() {
                        self.input.consume(1);
                    }
                    return Ok(first);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn letter(&mut self) -> io::Result<Option<char>> {
        let line = self.input.meter().line();
        let Some(first) = self.byte()? else { return Ok(None) };
        let length = match first {
            0x00..=0x7f => 1,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        };
        let mut bytes = [first, 0, 0, 0];
        for byte in &mut bytes[1..length] {
            *byte = self.byte()?.unwrap_or_default();
        }
        let text = std::str::from_utf8(&bytes[..length]).ok().and_then(|text| text.chars().next());
        match text {
            Some('\0') => Err(fault(line, "holds a zero byte; save the file as plain UTF-8 text")),
            Some(letter) => Ok(Some(letter)),
            None => Err(fault(line, "isn't valid UTF-8; save the file as UTF-8")),
        }
    }
}

impl Iterator for Letters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if self.ended {
            return None;
        }
        match self.letter() {
            Ok(Some(letter)) => Some(letter),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                *self.stopped.borrow_mut() = Some(error);
                None
            }
        }
    }
}
