//! Writes entries together with the rows of `same_key` that lead to them.

use bitcoin::Script;

use super::step::Step;
use crate::chain::ScriptHash;
use crate::index::rows::entries::EntryRow;
use crate::index::rows::same_key::{SameKeyRow, keys_of};

impl Step<'_> {
    /// Sets the row of an entry, and those by which the other scripts of its key find it while it is flagged.
    pub fn put_entry(&mut self, hash: ScriptHash, entry: &EntryRow) {
        self.put(&hash, entry);
        for key in keys_of(hash, &entry.script) {
            match entry.flagged {
                true => self.put(&key, &SameKeyRow),
                false => self.delete::<SameKeyRow>(&key),
            }
        }
    }

    /// Removes the row of an entry, and those by which the other scripts of its key find it.
    pub fn delete_entry(&mut self, hash: ScriptHash, script: &Script) {
        self.delete::<EntryRow>(&hash);
        keys_of(hash, script).for_each(|key| self.delete::<SameKeyRow>(&key));
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::ScriptBuf;

    use super::*;
    use crate::index::read::same_key::SameKeyFault;
    use crate::index::read::view::View;
    use crate::index::rows::same_key::{SameKeyKey, ShortHash};
    use crate::index::rows::sweeps::MAIN_SWEEP;

    const P2WPKH: &str = "0014c0cebcd6c3d3ca8c75dc5ec62ebe55330ef910e2";

    fn entry(hex: &str, flagged: bool) -> (ScriptHash, EntryRow) {
        let script = ScriptBuf::from_hex(hex).unwrap();
        let (service, from, sweep) = (!flagged, 0, MAIN_SWEEP);
        let row = EntryRow { script: script.clone(), flagged, service, from, sweep, lowered: None, labels: Vec::new() };
        (ScriptHash::of(&script), row)
    }

    #[test]
    fn rows_come_and_go_with_their_flagged_entry() {
        let folder = tempfile::tempdir().unwrap();
        let view = View::open_writable(folder.path(), true).unwrap();
        let rows = |view: &View| view.range::<SameKeyRow>(..).map(|row| row.unwrap().0).collect::<Vec<_>>();
        let change = |view: &View, change: &dyn Fn(&mut Step<'_>)| {
            let mut step = Step::of(view);
            change(&mut step);
            step.commit(false).unwrap();
        };
        let (hash, flagged) = entry(P2WPKH, true);
        let nested = ScriptBuf::new_p2sh(&flagged.script.script_hash());
        change(&view, &|step| step.put_entry(hash, &flagged));
        assert_eq!(rows(&view), [SameKeyKey { asked: ShortHash::of(&nested), entry: hash }]);
        assert_eq!(view.same_key_fault().unwrap(), None);
        // It becomes a service only, and is flagged again, and dropped.
        change(&view, &|step| step.put_entry(hash, &entry(P2WPKH, false).1));
        assert_eq!((rows(&view), view.same_key_fault().unwrap()), (Vec::new(), None));
        change(&view, &|step| step.put_entry(hash, &flagged));
        let key = rows(&view)[0];
        change(&view, &|step| step.delete::<SameKeyRow>(&key));
        assert_eq!(view.same_key_fault().unwrap().map(|(_, how)| how), Some(SameKeyFault::Missing));
        change(&view, &|step| step.put(&key, &SameKeyRow));
        change(&view, &|step| step.put(&SameKeyKey { asked: ShortHash([9; 8]), ..key }, &SameKeyRow));
        assert_eq!(view.same_key_fault().unwrap().map(|(_, how)| how), Some(SameKeyFault::Extra));
        change(&view, &|step| step.delete::<SameKeyRow>(&SameKeyKey { asked: ShortHash([9; 8]), ..key }));
        change(&view, &|step| step.delete_entry(hash, &flagged.script));
        assert_eq!((rows(&view), view.same_key_fault().unwrap()), (Vec::new(), None));
    }
}
