//! The integration tests: one binary, a folder a layer of the program. `support` holds the rigs (a real node, chains, sources, the
//! program under test), `oracle` the four naive models whose answers coinhound's must equal.
//!
//! All tests are threads of one process. Whatever belongs to the whole process (umask, environment, working folder, signals,
//! mounts) is set in a child process, never here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

/// What coinhound's answers must be, computed slowly and plainly from whole chains.
mod oracle {
    pub mod answers;
    pub mod index_rows;
    pub mod taint;
    pub mod touches;
}

/// The rigs, see their own map.
mod support;

/// Tests of the rigs and of the oracles.
mod rigs {
    mod chains;
    mod models;
    mod processes;
}

/// The documents against the tree.
mod pages;

/// What the library shows to other programs.
mod library;

mod scan {
    mod real_blocks;
}

mod index {
    mod damage;
    mod events_small;
    mod fragments;
    mod making;
    mod readers;
    mod tables;
    mod torn_log;
}

mod watchlist {
    mod cases;
    mod large;
    mod lists;
}

mod node {
    mod filters;
    mod layer;
    mod states;
    mod states_followed;
    mod stubbed;
    mod tip;
}

mod sync {
    mod chain_moves;
    mod faulty_source;
    pub mod follow_case;
    mod followed_coins;
    mod kept;
    mod lanes;
    mod mainnet;
    mod properties;
    mod regtest;
    mod reorg;
    mod resume;
    pub mod steady;
    mod steady_lists;
    mod steady_node;
    mod sweep;
}

mod query {
    mod coverage;
    mod judge;
    mod judge_property;
    mod label_parts;
    mod now;
    mod paging;
    mod same_key;
    mod screen;
    mod screen_below;
    mod screen_expected;
    mod screen_hops;
    mod screen_shares;
    mod screen_unknown;
    mod sums;
    mod trace;
    mod unsettled;
}

mod audit {
    mod against_node;
}

mod command {
    mod cells;
    mod changes;
    mod cli_page;
    mod contract;
    mod crowd;
    mod events;
    mod exit_codes;
    mod follow;
    mod graphs;
    mod picture;
    mod screen;
    mod screen_file;
    mod secrets;
    mod settings;
    mod strict;
    mod theft;
    mod trace;
}

/// What is measured, printed, and seldom judged: storage, latency and memory. The usual run is small and checks that all of it works.
mod measure {
    mod beside_sweep;
    mod fragments;
    mod many_runs;
    mod point_reads;
    mod traffic;
}

/// Faults between the program and its node or disk: kills, flipped bits, full disks, answers that are cut, slow or wrong.
mod faults {
    mod disk_full;
    mod disk_full_followed;
    mod flips;
    mod follow_killed;
    mod kills;
    mod proxy;
    mod soak;
}
