//! Transactions that the index does not hold: nothing in it touched them, or it hasn't come to them, or they don't exist.

use bitcoin::{OutPoint, Transaction, TxOut, Txid};

use super::draft::Draft;
use super::tally::Tally;
use super::{ScreenRow, Screener, Verdict};
use crate::chain::{BlockId, Height};
use crate::query::Result;
use crate::query::by_rule::ByRule;

/// Outputs of a transaction that are asked for one by one, where nobody tells the transaction itself.
const PROBED: u32 = 10;

impl Screener<'_> {
    /// The row of a coin that no transaction of the index made, with its script, made at or below `height`.
    pub(super) fn clean_coin(&mut self, text: &str, output: &TxOut, height: Height) -> Result<ScreenRow> {
        let silence = self.silence_at(height).and_then(|()| self.unseen_script(height));
        self.clean(text, std::slice::from_ref(output), silence.map(|()| confirmed(height)))
    }

    /// The row of outputs whose transaction the index doesn't hold: their scripts are all that can be against them.
    fn clean(&mut self, text: &str, outputs: &[TxOut], silence: Result<String, String>) -> Result<ScreenRow> {
        let mut tally = Tally::new(&self.ledger.snapshot.trace.rules);
        for output in outputs {
            let place = self.ledger.place(&output.script_pubkey)?;
            tally.add(&place, output.value.to_sat(), &[], || Ok(super::ledger::Behind::default()))?;
        }
        let mut row = tally.row(text, silence);
        if row.verdict == Verdict::Flagged {
            // It is on a flagged script, but the index, which starts later or isn't there yet, has no coin of it.
            row.taint_sat = None;
        }
        if row.verdict == Verdict::None {
            row.flagged_inputs = Some(0);
        }
        row.flagged_outputs = (row.verdict != Verdict::Unknown).then_some(tally.flagged);
        Ok(row)
    }

    /// The row of a transaction, or of one of its outputs, that no record has.
    pub(super) fn elsewhere(
        &mut self,
        text: &str,
        txid: Txid,
        vout: Option<u32>,
        height: Option<Height>,
    ) -> Result<ScreenRow> {
        if let Some(height) = height {
            return Ok(self.vouched(text, height));
        }
        let coin = vout.and_then(|vout| self.outside.coin(OutPoint { txid, vout }));
        if let Some((output, block)) = coin {
            let silence = self.shown(block)?;
            let row = self.clean(text, &[output], silence)?;
            // Above what is settled, what it spends may still tell of it.
            if row.verdict != Verdict::Unknown || self.outside.transaction(txid).is_none() {
                return Ok(row);
            }
        }
        match self.outside.transaction(txid) {
            Some((transaction, _)) if transaction.compute_txid() != txid => {
                Ok(ScreenRow::unknown(text, format!("{} tells another transaction", self.outside.name())))
            }
            Some((transaction, block)) => self.told(text, transaction, block, vout),
            None if vout.is_some() => Ok(ScreenRow::unknown(
                text,
                format!(
                    "not shown to exist: {} knows no unspent coin and no transaction of that id; say with --height where it is confirmed, or give the node txindex=1",
                    self.outside.name()
                ),
            )),
            None => self.probed(text, txid),
        }
    }

    /// The row where the caller says that the transaction is confirmed at a height.
    fn vouched(&self, text: &str, height: Height) -> ScreenRow {
        let silence = self.silence_at(height).and_then(|()| self.unseen_script(height));
        let mut tally = Tally::new(&self.ledger.snapshot.trace.rules)
            .row(text, silence.map(|()| format!("by the caller {}", confirmed(height))));
        tally.value_sat = None;
        if tally.verdict == Verdict::None {
            (tally.flagged_inputs, tally.flagged_outputs) = (Some(0), Some(0));
        }
        tally
    }

    /// Whether the index would have seen every flagged script touched at a height; else why not. One that is flagged from a later
    /// height on could be the transaction's own, or that of a coin it spends.
    fn unseen_script(&self, height: Height) -> Result<(), String> {
        match self.coverage.from {
            Some(from) if height < from => {
                Err(format!("confirmed at height {height}, and some entries are looked for from {from} on only"))
            }
            _ => Ok(()),
        }
    }

    /// What a block that the transaction was shown to be in proves.
    fn shown(&self, block: BlockId) -> Result<Result<String, String>> {
        let settled = self.coverage.trace.settled.unwrap_or_default();
        let proven = self.ledger.proves(block, settled)?;
        let silence = self.silence_at(block.height).and(proven).and_then(|()| self.unseen_script(block.height));
        Ok(silence.map(|()| confirmed(block.height)))
    }

    /// The row where somebody outside tells the transaction.
    fn told(
        &mut self,
        text: &str,
        transaction: Transaction,
        block: Option<BlockId>,
        vout: Option<u32>,
    ) -> Result<ScreenRow> {
        let only = match vout {
            Some(vout) => match transaction.output.get(vout as usize) {
                Some(_) => Some(vout as usize),
                None => return Ok(ScreenRow::unknown(text, format!("the transaction has no output {vout}"))),
            },
            None => None,
        };
        let Some(block) = block else { return self.drafted(text, transaction, only, Ok(())) };
        let settled = self.coverage.trace.settled.unwrap_or_default();
        match self.ledger.proves(block, settled)? {
            Ok(()) => {
                let outputs = only.map_or(&transaction.output[..], |only| &transaction.output[only..=only]);
                let silence = self.silence_at(block.height).map(|()| confirmed(block.height));
                self.clean(text, outputs, silence)
            }
            Err(why) => self.drafted(text, transaction, only, Err(why)),
        }
    }

    /// The row where the outputs have to be asked for one by one: any of them shows that the transaction is confirmed.
    fn probed(&mut self, text: &str, txid: Txid) -> Result<ScreenRow> {
        let found = (0..PROBED).find_map(|vout| self.outside.coin(OutPoint { txid, vout }));
        let Some((output, block)) = found else {
            return Ok(ScreenRow::unknown(
                text,
                format!(
                    "not shown to exist: {} knows no transaction of that id; say with --height where it is confirmed, or give the node txindex=1",
                    self.outside.name()
                ),
            ));
        };
        let silence = self.shown(block)?;
        let mut row = self.clean(text, &[output], silence)?;
        row.value_sat = None;
        Ok(row)
    }

    /// The row of a raw transaction that no record has.
    pub(super) fn raw_elsewhere(&mut self, transaction: Transaction, height: Option<Height>) -> Result<ScreenRow> {
        let txid = transaction.compute_txid();
        let text = txid.to_string();
        if let Some(height) = height {
            let silence = self.silence_at(height).and_then(|()| self.unseen_script(height));
            let silence = silence.map(|()| format!("by the caller {}", confirmed(height)));
            return self.clean(&text, &transaction.output, silence);
        }
        let block = self.outside.transaction(txid).and_then(|(_, block)| block);
        self.told(&text, transaction, block, None)
    }

    /// The row of a transaction that isn't in a settled block, worked out as if it came next. `confirmed` is why finding nothing
    /// would prove nothing, if so.
    fn drafted(
        &mut self,
        text: &str,
        transaction: Transaction,
        only: Option<usize>,
        confirmed: Result<(), String>,
    ) -> Result<ScreenRow> {
        let settled = self.coverage.trace.settled.unwrap_or_default();
        let values: Vec<u64> = transaction.output.iter().map(|output| output.value.to_sat()).collect();
        let draft = Draft::new(&mut self.ledger, self.outside, settled, transaction)?;
        let wanted: Vec<usize> = only.map_or_else(|| (0..values.len()).collect(), |only| vec![only]);
        let rules = self.ledger.snapshot.trace.rules.clone();
        let mut tally = Tally::new(&rules);
        let gap = draft.gap();
        for vout in &wanted {
            let (held, place) = (&draft.held()[*vout], &draft.outputs()[*vout]);
            // Beside an input that nobody knows, no amount means anything.
            let columns = if gap.is_some() { &[][..] } else { &held.columns };
            tally.add(place, values[*vout], columns, || Ok(held.behind.clone()))?;
        }
        let spends = if draft.has_taint(&mut self.ledger)? { "it spends taint, beside" } else { "it spends" };
        let known = gap.map_or(Ok(()), |why| Err(format!("{spends} what can't be shown to be clean: {why}")));
        let silence = self.silence().and(confirmed).and(known);
        let clean = "not confirmed yet; nothing that it spends holds taint above the gates";
        let mut row = tally.row(text, silence.map(|()| clean.to_owned()));
        if gap.is_some() {
            row.taint_sat = None;
        }
        row.flagged_inputs = Some(draft.flagged_inputs());
        row.flagged_outputs = Some(draft.outputs().iter().filter(|place| place.flagged_from.is_some()).count() as u64);
        row.sources = tally.sources(&mut self.ledger, |ledger, label| {
            let holdings = self.by_label.of(ledger.snapshot, label)?;
            let held = draft.held_of(ledger, label, &holdings)?;
            let mut sum = ByRule::none(&rules);
            for vout in &wanted {
                sum.add(&ByRule::of_columns(&rules, &held[*vout].columns));
            }
            Ok(sum)
        })?;
        if let Some((number, rule)) = tally.nearest() {
            row.path = draft.path(&mut self.ledger, wanted[number], rule)?;
        }
        Ok(row)
    }
}

fn confirmed(height: Height) -> String {
    format!("confirmed at or below height {height}, and nothing in the index touches it")
}
