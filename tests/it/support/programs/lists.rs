//! Watchlists as tests write them: scripts with the height each is flagged from, as CSV text, files and index entries.

use std::collections::BTreeMap;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Script, ScriptBuf};
use coinhound::chain::{Chain, ScriptHash};
use coinhound::sync::plan::wanted::Entries;
use coinhound::watchlist::entries::{Entry, merge};
use coinhound::watchlist::{Label, ListOptions, Role, read};

/// A watchlist: scripts, each with the height it is flagged from.
pub type List = Vec<(ScriptBuf, u32)>;

/// The label that `csv` gives a script.
pub fn label(script: &Script) -> String {
    format!("case {}", &sha256::Hash::hash(script.as_bytes()).to_string()[..8])
}

/// A list as CSV with a column `from`, each script with its `label`.
pub fn csv(list: &[(ScriptBuf, u32)]) -> String {
    let line =
        |(script, from): &(ScriptBuf, u32)| format!("script:{},{from},{}\n", script.to_hex_string(), label(script));
    let text: String = list.iter().map(line).collect();
    format!("address,from,label\n{text}")
}

/// A script as a target on the command line.
pub fn target(script: &Script) -> String {
    format!("script:{}", script.to_hex_string())
}

/// The list's scripts in the order in which the target `all` names them: by their SHA-256.
pub fn scripts(list: &[(ScriptBuf, u32)]) -> Vec<ScriptBuf> {
    let hash = |script: &ScriptBuf| sha256::Hash::hash(script.as_bytes()).to_byte_array();
    let sorted: BTreeMap<_, _> = list.iter().map(|(script, _)| (hash(script), script.clone())).collect();
    sorted.into_values().collect()
}

/// The same scripts, all flagged from genesis on.
pub fn from_genesis(list: &[(ScriptBuf, u32)]) -> List {
    list.iter().map(|(script, _)| (script.clone(), 0)).collect()
}

/// The same list with no script flagged from above `height`: what starts above the tip has no coverage.
pub fn from_at_most(height: u32, mut list: List) -> List {
    list.iter_mut().for_each(|(_, from)| *from = (*from).min(height));
    list
}

/// The index entries of a list, read as a file would be.
pub fn entries(list: &List) -> Entries {
    let options = ListOptions::default();
    let read = read(&mut csv(list).as_bytes(), "list.csv", Chain::Regtest, &options).expect("a good list");
    let entries = merge([read], 0);
    assert_eq!(entries.len(), list.len(), "every script is an entry");
    entries
}

/// The index entry of one script that a list names once for each of these roles and labels, with its key.
pub fn entry(script: &ScriptBuf, from: Option<u32>, roles: &[(Role, String)]) -> (ScriptHash, Entry) {
    let label = |(role, text): &(Role, String)| Label {
        list: "list.csv".into(),
        label: Some(text.clone()),
        source: None,
        category: None,
        role: *role,
        from,
        line: 1,
        extra: BTreeMap::new(),
    };
    let labels = roles.iter().map(label).collect();
    (ScriptHash::of(script), Entry { script: script.clone(), from: from.unwrap_or(0), labels })
}
