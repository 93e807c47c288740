//! The lanes of a node: which are open, and opening one.

use super::Node;
use super::access::settings::LaneChoice;
use super::error::NodeError;
use super::filters::Filters;
use super::info::{Capabilities, LaneReport, NodeInfo};
use super::lane::Lane;

impl Node {
    /// Every lane, the best first: whether it is open, and how to open it.
    pub fn lanes(&self, info: &NodeInfo, capabilities: &Capabilities) -> Vec<LaneReport> {
        let filters = self.filters(capabilities);
        let source = filters.as_ref().map(Filters::source).map_err(ToString::to_string);
        capabilities.lanes(info, &self.link.access.conf_name(), source)
    }

    /// The lane that `choice` names, or the best open one. For the filter lane, it is the one by which the blocks come that filters can't
    /// rule out.
    ///
    /// # Errors
    /// [`NodeError::LaneCannotServe`], with how to open it.
    pub fn lane(&self, choice: LaneChoice, capabilities: &Capabilities) -> Result<Lane, NodeError> {
        Ok(Lane::new(&self.link, capabilities.methods(choice, &self.link.access.conf_name())?))
    }
}
