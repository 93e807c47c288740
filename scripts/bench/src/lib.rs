//! Shared by the bench's programs: the generated chain (`rng`, `lock`, `coins`, `watch`, `generator`, `assemble`), its
//! `manifest`, watchlists (`list`), the connection to the node (`node`), the measurements (`results`) and their tables (`table`,
//! `report`). The programs are in `bin/`.

pub mod assemble;
pub mod coins;
pub mod generator;
pub mod list;
pub mod lock;
pub mod manifest;
pub mod node;
pub mod report;
pub mod results;
pub mod rng;
pub mod table;
pub mod watch;
