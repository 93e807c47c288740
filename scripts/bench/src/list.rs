//! Watchlist files of the bench, with one `script:HEX LABEL` a line; and a plain count of a list's touches.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use bitcoin::{OutPoint, Script, ScriptBuf, Transaction};

use crate::lock::Lock;
use crate::rng::Rng;

/// Decoys in a hundred that have the shapes most frequent in real lists.
const DEAD_PERCENT: usize = 80;

/// The scripts of the list at `path`, in its order. Errors: a line is not of that form.
pub fn read(path: &Path) -> Result<Vec<ScriptBuf>> {
    let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    (1..)
        .zip(text.lines())
        .map(|(number, line)| {
            parse(line).with_context(|| format!("line {number} of {} isn't a script", path.display()))
        })
        .collect()
}

fn parse(line: &str) -> Option<ScriptBuf> {
    ScriptBuf::from_hex(line.strip_prefix("script:")?.split(' ').next()?).ok()
}

/// One line of a list.
pub fn line(script: &Script, label: &str) -> String {
    format!("script:{script:x} {label}\n")
}

/// Writes `scripts` to `path`, whole or not at all.
pub fn write(path: &Path, label: &str, scripts: impl IntoIterator<Item = ScriptBuf>) -> Result<()> {
    let unfinished = path.with_extension("new");
    fill(&unfinished, label, scripts)
        .and_then(|()| fs::rename(&unfinished, path))
        .with_context(|| format!("could not write {}", path.display()))
}

fn fill(path: &Path, label: &str, scripts: impl IntoIterator<Item = ScriptBuf>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for script in scripts {
        file.write_all(line(&script, label).as_bytes())?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Scripts that no chain of this bench has, the same for the same seed: for lists that grow while their touches stay the same.
pub fn decoys(seed: u64) -> impl Iterator<Item = ScriptBuf> {
    let mut rng = Rng::new(seed);
    std::iter::repeat_with(move || Lock::mixed(DEAD_PERCENT, &mut rng).script_pubkey())
}

/// Counts how a chain touches a list, by a slow and plain search of each transaction in chain order: the peers' answer.
#[derive(Debug, Default)]
pub struct Touched {
    /// The list's scripts.
    pub listed: HashSet<ScriptBuf>,
    found: HashSet<OutPoint>,
    /// Inputs that spend from the list.
    pub spendings: u64,
}

impl Touched {
    /// No touches yet of these scripts.
    pub fn new(listed: impl IntoIterator<Item = ScriptBuf>) -> Self {
        Self { listed: listed.into_iter().collect(), ..Self::default() }
    }

    /// Counts the touches of the next transaction.
    pub fn add(&mut self, transaction: &Transaction) {
        self.spendings +=
            transaction.input.iter().filter(|input| self.found.contains(&input.previous_output)).count() as u64;
        for (vout, output) in (0..).zip(&transaction.output) {
            if self.listed.contains(&output.script_pubkey) {
                self.found.insert(OutPoint { txid: transaction.compute_txid(), vout });
            }
        }
    }

    /// Outputs that pay the list.
    pub fn fundings(&self) -> u64 {
        self.found.len() as u64
    }

    /// Outputs and inputs together.
    pub fn touches(&self) -> u64 {
        self.fundings() + self.spendings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;

    #[test]
    fn what_is_written_is_what_is_read() {
        let path = std::env::temp_dir().join(format!("coinhound-bench-list-{}.txt", std::process::id()));
        let scripts: Vec<_> = decoys(1).take(100).collect();
        write(&path, "decoy", scripts.clone()).unwrap();
        assert_eq!(read(&path).unwrap(), scripts);
        fs::write(&path, "script:51 a\nbc1q b\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().starts_with("line 2 of"));
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn decoys_are_always_the_same_and_all_different() {
        let some: Vec<_> = decoys(1).take(5_000).collect();
        assert_eq!(some, decoys(1).take(5_000).collect::<Vec<_>>());
        assert_eq!(some.iter().collect::<HashSet<_>>().len(), some.len());
        assert_ne!(some[0], decoys(2).next().unwrap());
    }

    #[test]
    fn the_touches_seen_are_those_that_the_generator_counted() {
        let mut generator = Generator::new(7, 6);
        let mut blocks = Vec::new();
        while let Some(block) = generator.next_block().unwrap() {
            blocks.push(block);
        }
        for watch in &generator.watches {
            let mut touched = Touched::new(watch.entries.iter().map(|lock| lock.script_pubkey()));
            blocks.iter().flat_map(|block| &block.txdata).for_each(|transaction| touched.add(transaction));
            assert_eq!(touched.fundings(), watch.touches.values().map(|touches| touches.fundings).sum::<u64>());
            assert_eq!(touched.spendings, watch.touches.values().map(|touches| touches.spendings).sum::<u64>());
            assert!(touched.spendings > 0);
        }
    }
}
