//! The pass of a trace over records: in chain order, each read once, for all rules together.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::iter::Peekable;
use std::rc::Rc;

use bitcoin::{OutPoint, Txid};

use super::coin::{TaintHeld, TracedCoin, TracedMove, Trail};
use super::source::Sources;
use crate::chain::Height;
use crate::index::keys::{CoinKey, TxPosition};
use crate::index::values::{Record, Spender};
use crate::index::{ReadRows, ScriptRows, Touch};
use crate::query::facts::script::{ScriptListing, ScriptListings};
use crate::query::facts::{CoinState, SpentBy};
use crate::query::{Result, Snapshot};
use crate::trace::flow::is_unspendable;
use crate::trace::{Fate, Gates, OutputKind, Rule, RuleTaint, TracedInput, TracedOutput, pass};

/// What one trace asks for.
pub struct TraceQuestion<'a> {
    /// The scripts and coins it starts from.
    pub sources: &'a Sources,
    /// The rules, each applied by itself.
    pub rules: &'a [Rule],
    /// How far coins are followed.
    pub gates: Gates,
    /// Whether it stops at flagged scripts that are no source.
    pub stop_flagged: bool,
    /// The state after the block at this height.
    pub at: Height,
}

/// Follows the sources' coins.
///
/// # Errors
/// What reading reports.
pub fn walk(snapshot: &Snapshot, question: &TraceQuestion<'_>) -> Result<Trail> {
    let touches = ScriptRows::new(&snapshot.reader, question.sources.hashes(), question.at)?;
    let mut pass = TracePass {
        snapshot,
        question,
        touches: touches.peekable(),
        ahead: BinaryHeap::new(),
        coins: Vec::new(),
        live: HashMap::default(),
        moves: Vec::new(),
        listings: ScriptListings::default(),
        block: None,
    };
    pass.start()?;
    while let Some(at) = pass.next_position()? {
        pass.apply(at)?;
    }
    Ok(Trail { coins: pass.coins, moves: pass.moves })
}

struct TracePass<'a> {
    snapshot: &'a Snapshot,
    question: &'a TraceQuestion<'a>,
    /// The touches of the sources' scripts.
    touches: Peekable<ScriptRows<'a, Touch>>,
    /// Positions to come: the spends of followed coins on other scripts, and the transactions that made the coins named as sources.
    ahead: BinaryHeap<Reverse<TxPosition>>,
    coins: Vec<TracedCoin>,
    /// The coins that the pass saw made but not spent, by their index in `coins`.
    live: HashMap<OutPoint, usize, foldhash::quality::RandomState>,
    moves: Vec<TracedMove>,
    listings: ScriptListings,
    /// The block read last, and its time.
    block: Option<(Height, u32)>,
}

impl TracePass<'_> {
    fn start(&mut self) -> Result<()> {
        for outpoint in self.question.sources.outpoints() {
            let made = self.snapshot.reader.positions(outpoint.txid)?;
            if made.is_empty() {
                // Older than the coverage: only its spend is known.
                let spender = self.snapshot.reader.spender(outpoint)?;
                self.look_ahead(spender.as_ref(), None);
            }
            self.ahead.extend(made.into_iter().filter(|at| at.height <= self.question.at).map(Reverse));
        }
        Ok(())
    }

    /// Adds the position of a coin's spend, if it was spent by the height asked about.
    fn look_ahead(&mut self, spender: Option<&Spender>, made: Option<TxPosition>) {
        if let Some(Spender { at, .. }) = spender
            // A spend below the coin was of its BIP30 twin.
            && made.is_none_or(|made| *at > made)
            && at.height <= self.question.at
        {
            self.ahead.push(Reverse(*at));
        }
    }

    /// The next transaction in chain order, each once.
    fn next_position(&mut self) -> Result<Option<TxPosition>> {
        let touch = match self.touches.peek() {
            Some(Ok(touch)) => Some(touch.key.at),
            Some(Err(_)) => {
                return match self.touches.next() {
                    Some(Err(error)) => Err(error.into()),
                    _ => Ok(None),
                };
            }
            None => None,
        };
        let ahead = self.ahead.peek().map(|Reverse(at)| *at);
        let Some(next) = touch.into_iter().chain(ahead).min() else { return Ok(None) };
        while self.ahead.peek() == Some(&Reverse(next)) {
            self.ahead.pop();
        }
        while self.touches.next_if(|touch| touch.as_ref().is_ok_and(|touch| touch.key.at == next)).is_some() {}
        Ok(Some(next))
    }

    fn time(&mut self, height: Height) -> Result<u32> {
        match self.block {
            Some((known, time)) if known == height => Ok(time),
            _ => {
                let time = self.snapshot.reader.known_header(height)?.time;
                self.block = Some((height, time));
                Ok(time)
            }
        }
    }

    fn apply(&mut self, at: TxPosition) -> Result<()> {
        let record = self.snapshot.record(at)?;
        let txid = record.txid();
        let time = self.time(at.height)?;
        let consumed = self.consume(&record, at)?;
        let kinds = self.kinds(&record, at, txid)?;
        let outputs: Vec<TracedOutput> = kinds.iter().map(|(_, output)| *output).collect();
        let mut holds: Vec<Vec<Option<TaintHeld>>> = vec![Vec::new(); outputs.len()];
        let mut fees = Vec::with_capacity(self.question.rules.len());
        for (number, rule) in self.question.rules.iter().enumerate() {
            let inputs: Vec<TracedInput<'_>> = consumed.iter().map(|input| self.input(input, number)).collect();
            let passed = pass(*rule, self.question.gates, &inputs, &outputs);
            fees.push(passed.fee);
            let made = passed.outputs.into_iter().zip(passed.received).zip(&kinds);
            for (((column, carried), (listing, output)), holds) in made.zip(&mut holds) {
                holds.push(column.map(|column| TaintHeld {
                    carried,
                    state: self.state(column.fate, listing, output.kind, at.height),
                    taint: column.taint,
                    since_made: true,
                }));
            }
        }
        self.note_move(at, time, txid, &consumed, fees);
        self.spend(&consumed, at, txid);
        for ((vout, (listing, output)), holds) in (0..).zip(kinds).zip(holds) {
            if holds.iter().any(Option::is_some) {
                let source = output.kind.is_source();
                let outpoint = OutPoint { txid, vout };
                let (value, made, time) = (output.value, Some(at), Some(time));
                let (by_spend, spent_by) = (None, None);
                self.add(TracedCoin { outpoint, made, time, value, listing, source, by_spend, holds, spent_by })?;
            }
        }
        Ok(())
    }

    /// The coins of the trace that a record spends. One whose script is flagged by now, though it wasn't when the coin was made, becomes
    /// a source here.
    fn consume(&mut self, record: &Record, at: TxPosition) -> Result<Vec<Consumed>> {
        let mut consumed = Vec::with_capacity(record.spent.len());
        for ((vin, input), spent) in (0..).zip(&record.transaction.input).zip(&record.spent) {
            let outpoint = input.previous_output;
            let coin = self.live.get(&outpoint).copied();
            let sources = self.question.sources;
            let whole = sources.has_script(&spent.script_pubkey, at.height) || sources.has_outpoint(&outpoint);
            let coin = match coin {
                Some(coin) => Some(coin),
                // Made below the height that its script is scanned from: the index knows it by its spend only.
                None if whole => {
                    let listing = self.listings.get(self.snapshot, &spent.script_pubkey)?;
                    let holds = vec![None; self.question.rules.len()];
                    let value = spent.value.to_sat();
                    let (made, time, source, by_spend, spent_by) = (None, None, false, None, None);
                    self.coins.push(TracedCoin {
                        outpoint,
                        made,
                        time,
                        value,
                        listing,
                        source,
                        by_spend,
                        holds,
                        spent_by,
                    });
                    self.live.insert(outpoint, self.coins.len() - 1);
                    Some(self.coins.len() - 1)
                }
                None => None,
            };
            if let Some(coin) = coin.filter(|_| whole) {
                self.coins[coin].become_source(at, vin);
            }
            consumed.push(Consumed { vin, outpoint, value: spent.value.to_sat(), coin });
        }
        Ok(consumed)
    }

    fn input(&self, consumed: &Consumed, rule: usize) -> TracedInput<'_> {
        let coin = consumed.coin.map(|coin| &self.coins[coin]);
        let taint = coin.and_then(|coin| coin.holds[rule].as_ref()?.open());
        let whole = coin.is_some_and(|coin| coin.source) && taint.is_some();
        TracedInput { value: consumed.value, whole, taint }
    }

    /// What each output is to this trace.
    fn kinds(&mut self, record: &Record, at: TxPosition, txid: Txid) -> Result<Vec<(Rc<ScriptListing>, TracedOutput)>> {
        let mut kinds = Vec::with_capacity(record.transaction.output.len());
        for (vout, output) in (0..).zip(&record.transaction.output) {
            let script = &output.script_pubkey;
            let listing = self.listings.get(self.snapshot, script)?;
            let sources = self.question.sources;
            let source = sources.has_script(script, at.height) || sources.has_outpoint(&OutPoint { txid, vout });
            // Both end a trace alike; `state` tells them apart.
            let kind = OutputKind::of_output(script, source, listing.service || self.stops_at(&listing, at.height));
            kinds.push((listing, TracedOutput { value: output.value.to_sat(), kind }));
        }
        Ok(kinds)
    }

    fn stops_at(&self, listing: &ScriptListing, height: Height) -> bool {
        self.question.stop_flagged && listing.is_flagged_at(height)
    }

    /// The state of a coin as far as its making decides it. [`Self::add`] finds out whether the index searched for its spend.
    fn state(&self, fate: Fate, listing: &ScriptListing, kind: OutputKind, height: Height) -> CoinState {
        match fate {
            Fate::Service if self.stops_at(listing, height) => CoinState::Flagged,
            Fate::Service => CoinState::Service,
            Fate::Unspendable => CoinState::Unspendable,
            Fate::AnyoneCanSpend => CoinState::AnyoneCanSpend,
            Fate::MaxHops => CoinState::MaxHops,
            Fate::BelowMinTaint => CoinState::BelowMinTaint,
            Fate::TooFragmented => CoinState::TooFragmented,
            // The genesis coinbase is in no node's UTXO set.
            Fate::Followed | Fate::FlaggedService if height == 0 => CoinState::Unspendable,
            Fate::Followed | Fate::FlaggedService if kind.is_source() && is_unspendable(&listing.script) => {
                CoinState::Unspendable
            }
            Fate::Followed | Fate::FlaggedService => CoinState::Unspent,
        }
    }

    fn note_move(&mut self, at: TxPosition, time: u32, txid: Txid, consumed: &[Consumed], fees: Vec<u64>) {
        let rules = 0..self.question.rules.len();
        let mut inputs = Vec::new();
        for input in consumed.iter().filter(|input| input.coin.is_some()) {
            let taints: Vec<u64> = rules.clone().map(|rule| self.taint_of(input, rule)).collect();
            if taints.iter().any(|taint| *taint > 0) {
                inputs.push((input.vin, input.outpoint, taints));
            }
        }
        if !inputs.is_empty() {
            self.moves.push(TracedMove { at, time, txid, inputs, fees });
        }
    }

    fn taint_of(&self, consumed: &Consumed, rule: usize) -> u64 {
        let input = self.input(consumed, rule);
        if input.whole { input.value } else { input.taint.map_or(0, |taint| taint.amount) }
    }

    fn spend(&mut self, consumed: &[Consumed], at: TxPosition, txid: Txid) {
        for input in consumed {
            let Some(coin) = input.coin else { continue };
            let coin = &mut self.coins[coin];
            coin.spent_by = Some(SpentBy { txid, vin: input.vin, height: at.height });
            for held in coin.holds.iter_mut().flatten() {
                if held.state == CoinState::Unspent {
                    held.state = CoinState::Spent;
                }
            }
            self.live.remove(&input.outpoint);
        }
    }

    /// Adds a coin that was made, and the position of its spend.
    fn add(&mut self, mut coin: TracedCoin) -> Result<()> {
        let (outpoint, made) = (coin.outpoint, coin.made);
        if coin.holds.iter().flatten().any(|held| held.open().is_some()) {
            let on_source = coin.source && self.question.sources.has_script(&coin.listing.script, Height::MAX);
            // The spends of a source's script are among its touches.
            let spender = if on_source { None } else { self.snapshot.reader.spender(&outpoint)? };
            if !self.is_followed_by_index(&coin, spender.as_ref())? {
                for held in coin.holds.iter_mut().flatten().filter(|held| held.state == CoinState::Unspent) {
                    held.state = CoinState::NotFollowed;
                }
            } else {
                self.look_ahead(spender.as_ref(), made);
            }
        }
        self.coins.push(coin);
        if let Some(elder) = self.live.insert(outpoint, self.coins.len() - 1) {
            self.coins[elder].overwrite();
        }
        Ok(())
    }

    /// Whether the index searched for the spend of a coin. For a coin named as a source it is enough that the spend is known.
    fn is_followed_by_index(&self, coin: &TracedCoin, spender: Option<&Spender>) -> Result<bool> {
        let Some(made) = coin.made else { return Ok(true) };
        if coin.listing.is_flagged_at(made.height) || (coin.source && spender.is_some()) {
            return Ok(true);
        }
        // A spend carries taint of one hop or more only if its coin was followed.
        let spender = spender.filter(|spender| spender.at > made);
        if spender.is_some_and(|spender| spender.taint.iter().any(|taint| taint.hops > 0)) {
            return Ok(true);
        }
        let key = CoinKey { outpoint: coin.outpoint, height: made.height };
        let row = self.snapshot.reader.coin(&key)?;
        Ok(row.is_some_and(|row| row.columns.iter().any(RuleTaint::is_followed)))
    }
}

/// An input of a record, with the coin of the trace that it consumes.
struct Consumed {
    vin: u32,
    outpoint: OutPoint,
    value: u64,
    coin: Option<usize>,
}
