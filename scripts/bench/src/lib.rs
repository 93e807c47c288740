//! What the bench's programs share: the generated chain (`rng`, `lock`, `coins`, `watch`, `generator`, `assemble`), its
//! `manifest`, and the connection to the node (`node`). The programs are in `bin/`.

pub mod assemble;
pub mod coins;
pub mod generator;
pub mod lock;
pub mod manifest;
pub mod node;
pub mod rng;
pub mod watch;
