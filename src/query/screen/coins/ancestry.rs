//! The tainted transactions behind some coins, in chain order: as much of each as it takes to pass taint through it again.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use bitcoin::Txid;

use super::coin_parts::CoinParts;
use super::ledger::Ledger;
use crate::chain::Height;
use crate::index::ReadRows;
use crate::index::keys::{CoinKey, TxPosition};
use crate::query::Result;
use crate::trace::OutputKind;
use crate::trace::flow::is_unspendable;

/// The transactions behind some coins, gathered once. A coin whose parts are known already ends the search.
#[derive(Default)]
pub struct Ancestry {
    /// In chain order.
    pub transactions: Vec<Ancestor>,
    inputs: Vec<AncestorInput>,
    /// The outputs of all transactions.
    pub outputs: Vec<AncestorOutput>,
    /// The coins asked about, each with the place of what it holds.
    pub asked: Vec<(CoinKey, CoinPlace)>,
}

/// A transaction through which taint passed.
pub struct Ancestor {
    /// Its id.
    pub txid: Txid,
    /// Where it is.
    pub at: TxPosition,
    inputs: Range<usize>,
    /// Its outputs among those of all.
    pub outputs: Range<usize>,
}

/// An input of such a transaction.
pub struct AncestorInput {
    /// Satoshis of the coin it spends.
    pub value: u64,
    /// The set of labels of the coin's script, if that is flagged at this height.
    pub flagged: Option<usize>,
    /// Where what the coin holds is found.
    pub coin: CoinPlace,
}

/// Where what a coin holds is found.
#[derive(Clone)]
pub enum CoinPlace {
    /// It holds no taint, or the index didn't see it made.
    Nowhere,
    /// An output of a transaction here: the transaction's number and the output's, and once all are gathered, its number among all.
    Output(usize, usize),
    /// It is known already.
    Known(Rc<CoinParts>),
}

impl CoinPlace {
    /// The number of its output among those of all transactions, where `outputs_of` has the outputs of each. `None` for one that isn't
    /// gathered here.
    fn output(&self, outputs_of: &[Range<usize>]) -> Option<usize> {
        let Self::Output(transaction, vout) = self else { return None };
        let outputs = outputs_of.get(*transaction)?;
        Some(outputs.start + vout).filter(|output| outputs.contains(output))
    }

    /// Replaces the output's number within its transaction by that among all.
    fn link(&mut self, outputs_of: &[Range<usize>]) {
        if let Self::Output(transaction, _) = *self {
            *self = self.output(outputs_of).map_or(Self::Nowhere, |output| Self::Output(transaction, output));
        }
    }
}

/// An output of such a transaction.
pub struct AncestorOutput {
    /// Satoshis.
    pub value: u64,
    /// The set of labels of its script, if that is flagged at this height.
    pub flagged: Option<usize>,
    /// What it is where it is no source.
    pub kind: OutputKind,
    /// Whether it can never be spent, even as a source.
    pub is_unspendable: bool,
    /// Whether the index looks for its spend.
    pub is_followed: bool,
    /// The transaction here that spends it.
    pub spender: Option<usize>,
    /// Whether it is one of the coins asked about.
    pub is_asked: bool,
}

impl AncestorOutput {
    /// Whether what it holds is needed.
    pub fn is_needed(&self) -> bool {
        self.spender.is_some() || self.is_asked
    }
}

impl Ancestry {
    /// The ancestry of some coins.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn of(ledger: &mut Ledger<'_>, coins: &[CoinKey]) -> Result<Self> {
        let mut gathering = Gathering::default();
        for key in coins {
            let place = gathering.place(ledger, *key);
            if let CoinPlace::Output(..) = place {
                let is_followed = ledger.snapshot.reader.coin(key)?.is_some_and(|coin| coin.is_followed());
                gathering.followed.push((place.clone(), is_followed));
            }
            gathering.ancestry.asked.push((*key, place));
        }
        while let Some((txid, height)) = gathering.transactions.get(gathering.read).copied() {
            gathering.read(ledger, txid, height)?;
        }
        Ok(gathering.finish())
    }

    /// The inputs of a transaction.
    pub fn inputs(&self, of: &Ancestor) -> &[AncestorInput] {
        &self.inputs[of.inputs.clone()]
    }
}

/// An ancestry that is being gathered.
#[derive(Default)]
struct Gathering {
    ancestry: Ancestry,
    /// The transactions met, in the order in which they are read.
    transactions: Vec<(Txid, Height)>,
    numbers: HashMap<(Txid, Height), usize, foldhash::quality::RandomState>,
    /// How many of them are read.
    read: usize,
    /// Whether the index looks for the spends of coins.
    followed: Vec<(CoinPlace, bool)>,
}

impl Gathering {
    /// The place of a coin, whose transaction is to be read if it wasn't met before.
    fn place(&mut self, ledger: &mut Ledger<'_>, key: CoinKey) -> CoinPlace {
        if let Some(known) = ledger.known_parts(&key) {
            return CoinPlace::Known(known);
        }
        let transaction = (key.outpoint.txid, key.height);
        let number = *self.numbers.entry(transaction).or_insert_with(|| {
            self.transactions.push(transaction);
            self.transactions.len() - 1
        });
        CoinPlace::Output(number, key.outpoint.vout as usize)
    }

    fn read(&mut self, ledger: &mut Ledger<'_>, txid: Txid, height: Height) -> Result<()> {
        self.read += 1;
        let (inputs, outputs) = (self.ancestry.inputs.len(), self.ancestry.outputs.len());
        let positions = ledger.snapshot.reader.positions(txid)?;
        let found = positions.into_iter().find(|at| at.height == height);
        let at = found.unwrap_or(TxPosition::first(height));
        if let Some(at) = found {
            let record = ledger.snapshot.record(at)?;
            let tainted = ledger.inputs(txid, height)?;
            let mut tainted = tainted.iter().peekable();
            for (input, spent) in record.transaction.input.iter().zip(&record.spent) {
                let mut read = AncestorInput { value: spent.value.to_sat(), flagged: None, coin: CoinPlace::Nowhere };
                if let Some(known) = tainted.next_if(|known| known.outpoint == input.previous_output) {
                    read.flagged = known.flagged.as_ref().map(|listing| ledger.labels.set(&listing.labels));
                    if let Some((key, is_followed)) = known.coin {
                        read.coin = self.place(ledger, key);
                        self.followed.push((read.coin.clone(), is_followed));
                    }
                }
                self.ancestry.inputs.push(read);
            }
            for output in &record.transaction.output {
                let listing = ledger.listing(&output.script_pubkey)?;
                let flagged = listing.is_flagged_at(height).then(|| ledger.labels.set(&listing.labels));
                self.ancestry.outputs.push(AncestorOutput {
                    value: output.value.to_sat(),
                    flagged,
                    kind: OutputKind::of_output(&listing.script, false, listing.service),
                    is_unspendable: height == 0 || is_unspendable(&listing.script),
                    is_followed: false,
                    spender: None,
                    is_asked: false,
                });
            }
        }
        let (inputs, outputs) = (inputs..self.ancestry.inputs.len(), outputs..self.ancestry.outputs.len());
        self.ancestry.transactions.push(Ancestor { txid, at, inputs, outputs });
        Ok(())
    }

    /// Links what was gathered, in chain order.
    fn finish(self) -> Ancestry {
        let mut ancestry = self.ancestry;
        // Before the order changes, a transaction's number is that of its reading.
        let outputs_of: Vec<Range<usize>> = ancestry.transactions.iter().map(|of| of.outputs.clone()).collect();
        for (place, is_followed) in &self.followed {
            if let Some(output) = place.output(&outputs_of) {
                ancestry.outputs[output].is_followed = *is_followed;
            }
        }
        ancestry.inputs.iter_mut().for_each(|input| input.coin.link(&outputs_of));
        ancestry.asked.iter_mut().for_each(|(_, place)| place.link(&outputs_of));
        ancestry.transactions.sort_by_key(|of| of.at);
        for (number, of) in ancestry.transactions.iter().enumerate() {
            for input in &ancestry.inputs[of.inputs.clone()] {
                if let CoinPlace::Output(_, output) = input.coin {
                    ancestry.outputs[output].spender = Some(number);
                }
            }
        }
        for (_, place) in &ancestry.asked {
            if let CoinPlace::Output(_, output) = place {
                ancestry.outputs[*output].is_asked = true;
            }
        }
        ancestry
    }
}
