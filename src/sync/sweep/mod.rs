//! The run: which sweep goes next, over what, and what interrupts it.

pub mod fork;
pub mod retrace;
pub mod sweeper;
pub mod tip;
pub mod walk;
