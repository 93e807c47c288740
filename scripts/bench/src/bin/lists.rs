//! Makes the lists for the tables of growth; the same chain gives the same lists. `lists decoys BASE SIZE OUT` adds scripts that the
//! chain does not have to the list BASE, up to SIZE. `lists shares RPC_URL NODE_DATADIR TO OUT_DIR` makes lists of one, ten and a
//! hundred in a thousand of the scripts of all outputs through height TO, and counts their touches.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bench_peers::list::{self, Touched};
use bench_peers::node::connect;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Script, ScriptBuf, Transaction};
use bitcoincore_rpc::RpcApi;
use serde_json::{Map, Value, json};

/// Seed of the decoys; another one makes other lists.
const SEED: u64 = 20_261_124;
/// Scripts on a list, in a thousand of the chain's.
const SHARES: [u64; 3] = [1, 10, 100];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["decoys", base, size, out] => {
            decoys(Path::new(base), size.parse().context("SIZE is a number")?, Path::new(out))
        }
        ["shares", url, datadir, to, out] => {
            shares(url, Path::new(datadir), to.parse().context("TO is a height")?, Path::new(out))
        }
        _ => bail!("usage: lists decoys BASE SIZE OUT, or lists shares RPC_URL NODE_DATADIR TO OUT_DIR"),
    }
}

fn decoys(base: &Path, size: usize, out: &Path) -> Result<()> {
    let scripts = list::read(base)?;
    let more = size.checked_sub(scripts.len()).with_context(|| format!("{} has more than {size}", base.display()))?;
    list::write(out, "growth", scripts.into_iter().chain(list::decoys(SEED).take(more)))
}

fn shares(url: &str, datadir: &Path, to: u64, out: &Path) -> Result<()> {
    let client = connect(url, datadir)?;
    let mut lists: Vec<Touched> = SHARES.iter().map(|_| Touched::new([])).collect();
    for height in 0..=to {
        let hash = client.get_block_hash(height).with_context(|| format!("getblockhash {height} failed"))?;
        let block = client.get_block(&hash).with_context(|| format!("getblock {hash} failed"))?;
        for transaction in &block.txdata {
            SHARES.iter().zip(&mut lists).for_each(|(share, list)| take(list, *share, transaction));
        }
    }
    let mut truths = Map::new();
    for (share, list) in SHARES.iter().zip(lists) {
        ensure!(!list.listed.is_empty(), "the chain is too short for lists of {share} in a thousand scripts");
        let truth = json!({"scripts": list.listed.len(), "fundings": list.fundings(), "spendings": list.spendings,
            "touches": list.touches()});
        truths.insert(share.to_string(), truth);
        let mut scripts: Vec<ScriptBuf> = list.listed.into_iter().collect();
        scripts.sort();
        list::write(&out.join(format!("share-{share}.txt")), "growth", scripts)?;
    }
    let path = out.join("shares.json");
    fs::write(&path, Value::Object(truths).to_string()).with_context(|| format!("could not write {}", path.display()))
}

/// Adds those of a transaction's scripts to the list that belong there, then counts its touches.
fn take(list: &mut Touched, share: u64, transaction: &Transaction) {
    for output in &transaction.output {
        let script = &output.script_pubkey;
        if is_in(share, script) && !list.listed.contains(script) {
            list.listed.insert(script.clone());
        }
    }
    list.add(transaction);
}

/// Whether a script is one of `share` in a thousand: by its hash, so that neither the order nor the number of its outputs matters.
fn is_in(share: u64, script: &Script) -> bool {
    if script.is_empty() || script.is_op_return() {
        return false;
    }
    let hash = sha256::Hash::hash(script.as_bytes()).to_byte_array();
    let number = hash.iter().take(7).fold(0, |number, byte| number << 8 | u64::from(*byte));
    number % 1_000 < share
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_peers::generator::Generator;

    fn count(scripts: &[ScriptBuf], share: u64) -> usize {
        scripts.iter().filter(|script| is_in(share, script)).count()
    }

    #[test]
    fn a_share_has_about_its_number_of_scripts_in_a_thousand_and_holds_the_smaller_ones() {
        let scripts: Vec<_> = list::decoys(3).take(20_000).collect();
        assert!((120..280).contains(&count(&scripts, 10)), "{}", count(&scripts, 10));
        assert!(scripts.iter().all(|script| !is_in(1, script) || is_in(10, script)));
        assert_eq!((count(&scripts, 0), count(&scripts, 1_000)), (0, 20_000));
        assert!(!is_in(1_000, Script::from_bytes(&[0x6a, 1])) && !is_in(1_000, Script::from_bytes(&[])));
    }

    #[test]
    fn a_share_counts_what_a_list_known_from_the_start_would() {
        let mut generator = Generator::new(7, 4);
        let mut growing = Touched::new([]);
        let mut blocks = Vec::new();
        while let Some(block) = generator.next_block().unwrap() {
            block.txdata.iter().for_each(|transaction| take(&mut growing, 100, transaction));
            blocks.push(block);
        }
        let mut known = Touched::new(growing.listed.iter().cloned());
        blocks.iter().flat_map(|block| &block.txdata).for_each(|transaction| known.add(transaction));
        assert_eq!((growing.fundings(), growing.spendings), (known.fundings(), known.spendings));
        assert!(growing.spendings > 100);
    }
}
