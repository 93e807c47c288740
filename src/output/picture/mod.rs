//! Pictures of a trace: `dot` and `graphml` for the programs that draw or analyse graphs, `html` for people.
//!
//! Drawn from the JSON of the answer, which is a contract: so this knows nothing of the layers that made it. Labels come from
//! strangers' lists; each picture escapes them for its own syntax, after [`cell::escape`] spelled out what can't be seen.
//!
//! [`cell::escape`]: super::cell::escape

mod data;
mod dot;
mod graph;
mod graphml;
mod html;
pub mod input;

use std::io::{self, Write};
use std::str::FromStr;

use serde::Serialize;

use super::OutputError;
use input::Trace;

/// The kinds of picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// Graphviz's language.
    Dot,
    /// GraphML, an XML that Gephi, yEd, networkx and Cytoscape read.
    GraphMl,
    /// One page that needs nothing but a browser.
    Html,
}

impl Drawing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dot, Self::GraphMl, Self::Html];

    /// Its name, as `--format` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dot => "dot",
            Self::GraphMl => "graphml",
            Self::Html => "html",
        }
    }
}

impl FromStr for Drawing {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|drawing| drawing.name() == name);
        found.ok_or_else(|| format!("no picture is called '{name}'; there are dot, graphml and html"))
    }
}

/// What a picture says of itself besides the answer.
#[derive(Clone, Debug)]
pub struct Caption {
    /// The exact command that was asked, as one would type it.
    pub command: String,
}

/// Draws a trace's answer to stdout. `answer` serializes as docs/cli.md has `trace`.
///
/// # Errors
/// [`OutputError`].
pub fn print(drawing: Drawing, answer: &impl Serialize, caption: &Caption) -> Result<(), OutputError> {
    draw(&mut io::BufWriter::new(io::stdout().lock()), drawing, answer, caption)
}

/// Draws a trace's answer. `answer` serializes as docs/cli.md has `trace`.
///
/// # Errors
/// [`OutputError`]; an `answer` of another shape is one of its I/O errors.
pub fn draw(
    out: &mut impl Write,
    drawing: Drawing,
    answer: &impl Serialize,
    caption: &Caption,
) -> Result<(), OutputError> {
    let json = serde_json::to_vec(answer).map_err(io::Error::other)?;
    let trace: Trace = serde_json::from_slice(&json).map_err(io::Error::other)?;
    drop(json);
    match drawing {
        Drawing::Dot => dot::write(out, &trace, caption)?,
        Drawing::GraphMl => graphml::write(out, &trace, caption)?,
        Drawing::Html => html::write(out, &trace, caption)?,
    }
    out.flush()?;
    Ok(())
}
