//! The settings and options that every command gets.

use crate::config::Settings;
use crate::output::Format;
use crate::output::picture::Drawing;

pub(crate) struct Context {
    pub(super) settings: Settings,
    /// How the answer is printed.
    pub(super) format: Format,
    /// The picture to draw in place of that; only `trace` draws one.
    pub(super) picture: Option<Drawing>,
    /// No progress on stderr.
    pub(super) quiet: bool,
}
