//! Writes the sums anew where damage has made them wrong.

use super::step::Step;
use crate::index::error::Result;
use crate::index::raw::RawChanges;
use crate::index::read::view::View;
use crate::index::rows::sums::SumRow;
use crate::index::schema::Family;

/// Writes all sums anew, as they are counted.
///
/// # Errors
/// As all reads and [`Step::commit`].
pub fn mend_sums(view: &View) -> Result<()> {
    let counted = view.recounted_sums()?;
    let mut step = Step::verbatim(view);
    for row in view.raw_range(Family::Sums, &[], None) {
        step.raw_delete(Family::Sums, &row?.0);
    }
    counted.0.iter().for_each(|(key, sum)| step.put(key, &SumRow(*sum)));
    step.commit(true)
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash;
    use bitcoin::{OutPoint, Txid};

    use super::*;
    use crate::chain::ScriptHash;
    use crate::index::rows::keys::{CoinKey, TxPosition};
    use crate::index::rows::sums::{SumKey, Sums};
    use crate::index::rows::values::{Coin, Spender};

    /// Followed and live coins, as the sums have them and as counting gives them.
    fn coins_of(view: &View) -> (u64, u64) {
        let sums = view.sums().unwrap();
        assert_eq!(sums.difference(&view.recounted_sums().unwrap()), None);
        (sums.get(&SumKey::Followed), sums.get(&SumKey::Live))
    }

    #[test]
    fn of_twins_each_is_live_until_a_spend_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let view = View::open_writable(folder.path(), true).unwrap();
        let outpoint = OutPoint { txid: Txid::from_byte_array([7; 32]), vout: 0 };
        let coin = Coin { value: 5, script: ScriptHash([1; 32]), coinbase: true, columns: Vec::new() };
        let at = |height| CoinKey { outpoint, height };
        let spend = |height| Spender { at: TxPosition::first(height), vin: 0, taint: Vec::new() };
        let change = |change: &dyn Fn(&mut Step<'_>)| {
            let mut step = Step::of(&view);
            change(&mut step);
            step.commit(false).unwrap();
            coins_of(&view)
        };
        assert_eq!(change(&|step| step.put(&at(3), &coin)), (1, 1));
        assert_eq!(change(&|step| step.put(&outpoint, &spend(5))), (1, 0));
        assert_eq!(change(&|step| step.put(&at(9), &coin)), (2, 1), "the elder's spend was not of the younger");
        assert_eq!(change(&|step| step.put(&outpoint, &spend(12))), (2, 0));
        assert_eq!(change(&|step| step.put(&outpoint, &spend(12))), (2, 0), "the same again");
        // Coin and spend change together.
        let both = |step: &mut Step<'_>| {
            step.delete::<Coin>(&at(9));
            step.put(&outpoint, &spend(5));
        };
        assert_eq!(change(&both), (1, 0));
        assert_eq!(change(&|step| step.delete::<Spender>(&outpoint)), (1, 1));
        assert_eq!(change(&|step| step.delete::<Coin>(&at(3))), (0, 0));
        assert_eq!(view.sums().unwrap(), Sums::default(), "sums of 0 have no row");
    }
}
