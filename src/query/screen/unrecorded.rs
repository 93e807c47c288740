//! Transactions that the index does not hold: nothing in it touched them, or it hasn't reached them, or they don't exist.
//!
//! What a transaction itself shows comes first: its outputs, and what its inputs spend. Only where that is nothing does it matter where
//! the transaction is confirmed, and who says so.

use bitcoin::{OutPoint, Transaction, TxOut};

use super::coins::ledger::Ledger;
use super::evidence::history;
use super::evidence::lookup::{ChainLookup, NoLookup};
use super::evidence::proof::{Evidence, Ruling, Silence, SilenceJudge};
use super::evidence::sighting::{Sighting, Sought, TransactionSearch};
use super::package::Package;
use super::row::findings::Findings;
use super::row::gates;
use super::row::output_tally::OutputTally;
use super::row::screen_row::ScreenRow;
use super::unconfirmed;
use crate::chain::Height;
use crate::query::Result;
use crate::query::by_rule::ByRule;

/// Screens what the index does not hold.
pub struct Unrecorded<'s, 'a> {
    /// The index.
    pub ledger: &'s mut Ledger<'a>,
    /// What its silence proves.
    pub judge: &'s SilenceJudge<'a>,
    /// Where such transactions are looked up.
    pub lookup: &'s dyn ChainLookup,
}

impl Unrecorded<'_, '_> {
    /// The row of a transaction, or of one of its outputs.
    ///
    /// # Errors
    /// What reading reports, as in all that follow.
    pub fn screen(&mut self, target: &str, sought: &Sought<'_>) -> Result<ScreenRow> {
        let search = TransactionSearch { snapshot: self.ledger.snapshot, judge: self.judge, lookup: self.lookup };
        let mut sighting = search.find(sought)?;
        let block_doubt = match &sighting.evidence {
            Evidence::Node(block) => self.judge.doubt_of_block(*block)?,
            _ => None,
        };
        // The node has it, but returned one output only. The rest is worth a call where it may matter: above the settled heights, where the
        // coins that it spends may show taint; where a listed script is among its outputs, or may be; and where coins are followed less far than
        // by default, since a `none` has to name those that it spends at which the index stopped.
        let is_tight = gates::tight(&self.ledger.snapshot.trace).is_some();
        if let (None, Evidence::Node(block)) = (&sighting.transaction, &sighting.evidence)
            && (block_doubt.is_some()
                || is_tight
                || self.has_listed(&sighting.outputs)?
                || self.may_pay_listed(sought, &sighting))
        {
            sighting.transaction = search.whole(sought.txid, *block);
        }
        match sighting.transaction.take() {
            Some(transaction) => self.whole(target, sought.vout, transaction, sighting, block_doubt),
            None => self.outputs(target, sought, sighting),
        }
    }

    /// Whether some output that is asked about isn't known, and may be on a script that is flagged from a later height only.
    fn may_pay_listed(&self, sought: &Sought<'_>, sighting: &Sighting) -> bool {
        let is_known = sought.vout.is_some() && !sighting.outputs.is_empty();
        !is_known && self.judge.scanned_from() > 0 && !self.judge.is_scanned_at(&sighting.evidence)
    }

    fn has_listed(&mut self, outputs: &[TxOut]) -> Result<bool> {
        for output in outputs {
            if self.ledger.listing(&output.script_pubkey)?.flagged_from.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The row where the whole transaction is known.
    fn whole(
        &mut self,
        target: &str,
        vout: Option<u32>,
        transaction: Transaction,
        sighting: Sighting,
        block_doubt: Option<String>,
    ) -> Result<ScreenRow> {
        let only = vout.map(|vout| vout as usize);
        if let Some(only) = only.filter(|only| *only >= transaction.output.len()) {
            return Ok(ScreenRow::nothing_known(target, format!("the transaction has no output {only}")));
        }
        let Sighting { evidence, doubt, .. } = sighting;
        let settled: Option<Height> = match &evidence {
            Evidence::Node(block) if block_doubt.is_none() => Some(block.height),
            Evidence::IndexSpend(height) => Some(*height),
            _ => None,
        };
        let spends: Vec<OutPoint> = history::spent(&transaction).collect();
        let is_coinbase = transaction.is_coinbase();
        // In a settled block the index would have it if an input held taint: what the index has of the inputs is all that can be
        // against it. Elsewhere every input is walked back, whatever the caller says of its block.
        let package = match settled {
            Some(height) => {
                let unasked = NoLookup("not looked up".into());
                Package::new(self.ledger, self.judge, &unasked, transaction, height)?
            }
            None => Package::new(self.ledger, self.judge, self.lookup, transaction, self.judge.next_height())?,
        };
        let doubt = doubt.or(block_doubt).or_else(|| package.conflict().map(ToOwned::to_owned));
        let silence = match evidence {
            // A coinbase spends nothing that could clear it: it has to be found in a block.
            Evidence::Nothing(_) | Evidence::Node(_) if settled.is_none() && !is_coinbase => {
                let unknown = package.unknown_input();
                let unknown = unknown.map(|why| format!("one input can't be shown to be clean: {why}"));
                Silence {
                    doubt: doubt.or(unknown),
                    flagged_inputs: package.flagged_inputs(),
                    ..Silence::of(Evidence::Inputs)
                }
            }
            evidence => Silence { evidence, doubt, flagged_inputs: package.flagged_inputs() },
        };
        let coins = if silence.evidence == Evidence::Inputs { package.confirmed_coins() } else { spends };
        let ruling =
            self.judge.rule(&silence, || history::doubt(self.ledger.snapshot, self.judge, self.lookup, coins))?;
        unconfirmed::row(self.ledger, self.judge, (target, only), package, &silence, ruling)
    }

    /// The row where only some outputs are known, or none: their scripts are all that can be against them.
    fn outputs(&mut self, target: &str, sought: &Sought<'_>, sighting: Sighting) -> Result<ScreenRow> {
        let unseen = match &sighting.evidence {
            Evidence::Nothing(_) => None,
            _ => self.may_pay_listed(sought, &sighting).then(|| history::unknown(self.judge, self.lookup)),
        };
        let Sighting { evidence, doubt, outputs, .. } = sighting;
        let silence = Silence { doubt: doubt.or(unseen), ..Silence::of(evidence) };
        let search = TransactionSearch { snapshot: self.ledger.snapshot, judge: self.judge, lookup: self.lookup };
        let ruling = self.judge.rule(&silence, || {
            let whole = match &silence.evidence {
                Evidence::Node(block) => search.whole(sought.txid, *block),
                _ => None,
            };
            match whole {
                Some(whole) => history::doubt(self.ledger.snapshot, self.judge, self.lookup, history::spent(&whole)),
                None => Ok(Some(history::unknown(self.judge, self.lookup))),
            }
        })?;
        let found = self.findings(sought, &outputs, &silence, &ruling)?;
        Ok(ScreenRow::new(target, found, ruling))
    }

    fn findings(
        &mut self,
        sought: &Sought<'_>,
        outputs: &[TxOut],
        silence: &Silence,
        ruling: &Ruling,
    ) -> Result<Findings> {
        let rules = &self.ledger.snapshot.trace.rules;
        let mut tally = OutputTally::new(rules);
        for output in outputs {
            let listing = self.ledger.listing(&output.script_pubkey)?;
            tally.add(self.ledger, &listing, output.value.to_sat(), &[])?;
        }
        let found = tally.findings();
        // Where every entry was scanned for, a touch would have made it a record.
        let untouched = (ruling.is_clean() && self.judge.is_scanned_at(&silence.evidence)).then_some(0);
        Ok(Findings {
            is_coin: sought.vout.is_some(),
            // The value of one output isn't that of the transaction.
            value_sat: found.value_sat.filter(|_| sought.vout.is_some() && !outputs.is_empty()),
            // On a flagged script it is tainted, but the index, which starts later or hasn't reached it, has no coin of it.
            taint_sat: (!found.is_listed).then(|| ByRule::none(rules)),
            flagged_inputs: untouched,
            // The other outputs aren't known.
            flagged_outputs: untouched.filter(|_| !found.is_listed),
            proven_by: self.judge.proven_by(&silence.evidence)?,
            ..found
        })
    }
}
