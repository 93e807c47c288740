//! The run: which sweep is next, over which heights, and what interrupts it.

pub mod fork;
mod kept;
pub mod preload;
pub mod retrace;
pub mod run;
pub mod stretch;
pub mod sweeper;
pub mod tip;
mod turn;
