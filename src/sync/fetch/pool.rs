//! Connections to a source, lent to whichever thread needs one, and buffers of blocks, kept for the blocks to come.

use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::source::{BlockSource, Connection};
use crate::lock::lock;

/// Block buffers kept for reuse.
const SPARE_BUFFERS: usize = 16;

/// Connections to one source.
pub struct ConnectionPool {
    source: Arc<dyn BlockSource>,
    idle: Mutex<Vec<Box<dyn Connection>>>,
    /// Buffers of blocks that were applied: allocating several MB for each block costs a tenth of the run time.
    buffers: (Sender<Vec<u8>>, Receiver<Vec<u8>>),
}

impl ConnectionPool {
    /// No connection is made before one is needed.
    pub fn new(source: Arc<dyn BlockSource>) -> Self {
        Self { source, idle: Mutex::default(), buffers: bounded(SPARE_BUFFERS) }
    }

    /// The source itself.
    pub fn source(&self) -> &dyn BlockSource {
        self.source.as_ref()
    }

    /// Lends a connection to `call`.
    pub fn with<T>(&self, call: impl FnOnce(&mut dyn Connection) -> T) -> T {
        // The lock is free again before the call, which may wait for the node.
        let idle = lock(&self.idle).pop();
        let mut connection = idle.unwrap_or_else(|| self.source.connect());
        let result = call(connection.as_mut());
        lock(&self.idle).push(connection);
        result
    }

    /// A buffer to read the next block into, if one is spare.
    pub(super) fn spare_buffer(&self) -> Option<Vec<u8>> {
        self.buffers.1.try_recv().ok()
    }

    /// Where a block's buffer goes once the block was applied.
    pub(super) fn buffer_return(&self) -> Sender<Vec<u8>> {
        self.buffers.0.clone()
    }
}
