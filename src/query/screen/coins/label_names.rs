//! Labels, and the sets of labels that entries have, by number: a coin's taint may come from thousands of entries.

use std::collections::{BTreeMap, HashMap};

/// The labels and the sets met so far.
#[derive(Default)]
pub struct LabelNames {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    /// The labels of each set, in the order of an entry's own.
    sets: Vec<Vec<u32>>,
    set_numbers: BTreeMap<Vec<u32>, usize>,
}

impl LabelNames {
    /// The number of a set of labels.
    pub fn set(&mut self, labels: &[String]) -> usize {
        let set: Vec<u32> = labels.iter().map(|label| self.number(label)).collect();
        if let Some(number) = self.set_numbers.get(&set) {
            return *number;
        }
        let number = self.sets.len();
        self.sets.push(set.clone());
        self.set_numbers.insert(set, number);
        number
    }

    fn number(&mut self, label: &str) -> u32 {
        if let Some(number) = self.numbers.get(label) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("an index has fewer entries than that");
        self.names.push(label.to_owned());
        self.numbers.insert(label.to_owned(), number);
        number
    }

    /// The labels of the set of that number.
    pub fn of_set(&self, set: usize) -> &[u32] {
        &self.sets[set]
    }

    /// Whether a set, if there is one, has the label of that number.
    pub fn has(&self, set: Option<usize>, label: u32) -> bool {
        set.is_some_and(|set| self.sets[set].contains(&label))
    }

    /// The label of that number.
    pub fn name(&self, label: u32) -> &str {
        &self.names[label as usize]
    }
}
