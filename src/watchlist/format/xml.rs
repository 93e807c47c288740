//! XML, element by element: names without their namespaces, no document types and no entities but the five of XML itself, bounded depth
//! and length.

use std::io::{self, BufRead};
use std::rc::Rc;

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use quick_xml::{Error, XmlVersion};

use crate::watchlist::fault::{Fault, Meter, Metered, fault};

/// The longest tag or piece of text, and the longest text of an element, in bytes.
const LONGEST: usize = 1 << 20;
/// Most elements within each other.
const DEPTH: usize = 64;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlStep {
    /// An element begins: it is the last of the path.
    Start,
    /// The element that is the last of the path ends.
    End,
    /// The document ends.
    Eof,
}

/// Reads a document.
pub struct XmlReader<R: BufRead> {
    reader: Reader<Metered<R>>,
    meter: Rc<Meter>,
    buffer: Vec<u8>,
    path: Vec<String>,
    attributes: Vec<(String, String)>,
    text: String,
    ended: bool,
}

impl<R: BufRead> XmlReader<R> {
    /// The first byte of `input` is in line 1.
    pub fn new(input: R) -> Self {
        let input = Metered::new(input, LONGEST);
        let meter = input.meter();
        let mut reader = Reader::from_reader(input);
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            meter,
            buffer: Vec::new(),
            path: Vec::new(),
            attributes: Vec::new(),
            text: String::new(),
            ended: false,
        }
    }

    /// The next start or end of an element.
    ///
    /// # Errors
    /// A [`Fault`] with its line for what isn't XML, is cut off, or isn't read here; those of the input.
    pub fn next(&mut self) -> io::Result<XmlStep> {
        if std::mem::take(&mut self.ended) {
            self.path.pop();
            self.text.clear();
        }
        loop {
            self.buffer.clear();
            self.meter.begin_piece();
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(unreadable(error, self.meter.line())),
            };
            let line = self.meter.line();
            match event {
                Event::Start(start) => {
                    if self.path.len() >= DEPTH {
                        return Err(fault(line, format!("more than {DEPTH} elements within each other")));
                    }
                    self.path.push(start.local_name().as_ref().to_owned());
                    self.attributes = attributes(&start).map_err(|error| unreadable(error, line))?;
                    self.text.clear();
                    return Ok(XmlStep::Start);
                }
                Event::End(_) => {
                    self.ended = true;
                    return Ok(XmlStep::End);
                }
                Event::Text(text) => add(&mut self.text, &text.xml10_content(), line)?,
                Event::CData(text) => add(&mut self.text, &text.xml10_content(), line)?,
                Event::GeneralRef(name) => {
                    let letter = name.resolve_char_ref().map_err(|error| unreadable(error, line))?;
                    let letter = letter.or_else(|| predefined(&name.xml10_content()));
                    let letter = letter.ok_or_else(|| {
                        fault(line, "refers to an entity other than the five of XML; such entities aren't read")
                    })?;
                    add(&mut self.text, letter.encode_utf8(&mut [0; 4]), line)?;
                }
                Event::DocType(_) => {
                    return Err(fault(line, "declares a document type (DOCTYPE); lists have none, and none is read"));
                }
                Event::Eof => {
                    return match self.path.last() {
                        Some(_) => Err(fault(line, "the file ends before its last element does; download it again")),
                        None => Ok(XmlStep::Eof),
                    };
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
            }
        }
    }

    /// The names of the elements from the root to the current one.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// Whether the current element is at that path.
    pub fn is_at(&self, path: &[&str]) -> bool {
        self.path.len() == path.len() && self.path.iter().zip(path).rev().all(|(found, name)| found == name)
    }

    /// Whether the current element has that path below the first `above` of its own.
    pub fn is_below(&self, above: usize, path: &[&str]) -> bool {
        self.path.get(above..).is_some_and(|below| below.iter().map(String::as_str).eq(path.iter().copied()))
    }

    /// An attribute of the element that began last.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The text of the current element since its start, or since the end of its last child.
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// The line behind what was read last.
    pub fn line(&self) -> u64 {
        self.meter.line()
    }
}

/// The local name of the first element of a file that begins with these bytes.
pub fn root(head: &[u8]) -> Option<String> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if !head.trim_ascii_start().starts_with(b"<") {
        return None;
    }
    let mut reader = Reader::from_reader(head);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).ok()? {
            Event::Start(start) | Event::Empty(start) => return Some(start.local_name().as_ref().to_owned()),
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn attributes(start: &BytesStart) -> Result<Vec<(String, String)>, Error> {
    let read = start.attributes().map(|attribute| {
        let attribute = attribute?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0)?.into_owned();
        Ok((attribute.key.local_name().as_ref().to_owned(), value))
    });
    read.collect()
}

fn add(text: &mut String, more: &str, line: u64) -> io::Result<()> {
    if text.len() + more.len() > LONGEST {
        return Err(fault(line, format!("the text of one element is longer than {LONGEST} bytes")));
    }
    text.push_str(more);
    Ok(())
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// The error of the XML reader without the file's content, which might be repeated otherwise.
fn unreadable(error: Error, line: u64) -> io::Error {
    let what = match error {
        Error::Io(error) => {
            let inner = Fault::within(&error).cloned();
            return inner.map_or_else(
                || io::Error::new(error.kind(), error.to_string()),
                |fault| io::Error::new(io::ErrorKind::InvalidData, fault),
            );
        }
        Error::Encoding(_) => "isn't valid UTF-8",
        Error::Escape(_) => "has a reference to a character or an entity that isn't read",
        Error::InvalidAttr(_) => "has an attribute that isn't well-formed",
        Error::IllFormed(_) => "an element doesn't end where it must; download the file again",
        Error::Syntax(_) | Error::Namespace(_) => "isn't well-formed XML; download the file again",
    };
    fault(line, what)
}
