//! Pictures of a trace: `dot` and `graphml` for the programs that draw or analyse graphs, `html` for people.
//!
//! Labels come from strangers' lists; each picture escapes them for its own syntax, after [`cell::escape`] spelled out what can't be
//! seen.
//!
//! [`cell::escape`]: super::cell::escape

mod caption;
mod data;
mod dot;
mod graph;
mod graphml;
mod html;

use std::io::{self, Write};
use std::str::FromStr;

use super::OutputError;
use crate::query::trace::TraceAnswer;

pub use caption::Caption;

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

/// Draws a trace's answer to stdout.
///
/// # Errors
/// [`OutputError`].
pub fn print(drawing: Drawing, answer: &TraceAnswer, caption: &Caption) -> Result<(), OutputError> {
    draw(&mut io::BufWriter::new(io::stdout().lock()), drawing, answer, caption)
}

/// Draws a trace's answer.
///
/// # Errors
/// [`OutputError`].
pub fn draw(
    out: &mut impl Write,
    drawing: Drawing,
    answer: &TraceAnswer,
    caption: &Caption,
) -> Result<(), OutputError> {
    match drawing {
        Drawing::Dot => dot::write(out, answer, caption)?,
        Drawing::GraphMl => graphml::write(out, answer, caption)?,
        Drawing::Html => html::write(out, answer, caption)?,
    }
    out.flush()?;
    Ok(())
}
