//! The text of a picture that is not part of the answer.

/// The text of a picture that is not part of the answer.
#[derive(Clone, Debug)]
pub struct Caption {
    /// The question as a command, as one would type it; without what says where node, index and lists of this machine are.
    pub command: String,
}
