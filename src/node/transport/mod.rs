//! One request to the node, over plain HTTP: its deadline, the limit on its answer, and how it is made again.
//!
//! ```text
//! rpc, rest   the two interfaces, each with its paths and answers
//! link        which failures pass by themselves, and how long that is waited for
//! http        one request over a connection that is kept ── resolve   the node's host name
//! ```

mod http;
pub mod link;
mod resolve;
pub mod rest;
pub mod rpc;
