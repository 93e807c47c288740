//! The text of a picture that is not part of the answer.

/// The text of a picture that is not part of the answer.
#[derive(Clone, Debug)]
pub struct Caption {
    /// The exact command, as one would type it.
    pub command: String,
}
