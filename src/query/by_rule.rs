//! Satoshis by rule, as answers print them: `{"haircut":1,"fifo":0}`.

use serde::{Serialize, Serializer};

use super::words::btc;
use crate::index::values::InputTaint;
use crate::trace::{Rule, RuleTaint};

/// Satoshis under each tracked rule, in the order of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByRule(Vec<(Rule, u64)>);

impl ByRule {
    /// 0 under each of these rules.
    pub(crate) fn none(rules: &[Rule]) -> Self {
        Self(rules.iter().map(|rule| (*rule, 0)).collect())
    }

    /// `amount` of each of these rules, which gets the rule's index and the rule.
    pub(crate) fn of(rules: &[Rule], amount: impl Fn(usize, Rule) -> u64) -> Self {
        Self(rules.iter().enumerate().map(|(number, rule)| (*rule, amount(number, *rule))).collect())
    }

    /// The taint that a coin holds.
    pub(crate) fn of_columns(rules: &[Rule], columns: &[RuleTaint]) -> Self {
        Self::of(rules, |_, rule| {
            let column = columns.iter().find(|column| column.rule == rule);
            column.map_or(0, |column| column.taint.amount)
        })
    }

    /// The taint that an input carried in.
    pub(crate) fn of_input(rules: &[Rule], taints: &[InputTaint]) -> Self {
        Self::of(rules, |_, rule| taints.iter().find(|of_rule| of_rule.rule == rule).map_or(0, |of_rule| of_rule.taint))
    }

    /// Adds another's satoshis, rule by rule.
    pub(crate) fn add(&mut self, other: &Self) {
        for (rule, amount) in &mut self.0 {
            *amount = amount.saturating_add(other.get(*rule));
        }
    }

    /// The satoshis under a rule.
    pub fn get(&self, rule: Rule) -> u64 {
        self.0.iter().find(|(of, _)| *of == rule).map_or(0, |(_, amount)| *amount)
    }

    /// Whether it is more than 0 under some rule.
    pub fn is_some(&self) -> bool {
        self.0.iter().any(|(_, amount)| *amount > 0)
    }

    /// The amounts above 0 in bitcoins, rule by rule.
    pub(crate) fn words(&self) -> String {
        let held = self.0.iter().filter(|(_, amount)| *amount > 0);
        held.map(|(rule, amount)| format!("{} BTC ({rule})", btc(*amount))).collect::<Vec<_>>().join(", ")
    }

    /// The rules with their satoshis.
    pub fn iter(&self) -> impl Iterator<Item = (Rule, u64)> + '_ {
        self.0.iter().copied()
    }
}

impl Serialize for ByRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(rule, amount)| (rule.name(), amount)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_a_map_from_rule_to_satoshis_in_the_order_of_the_rules() {
        let rules = [Rule::Haircut, Rule::Fifo];
        let mut sum = ByRule::of(&rules, |number, _| number as u64);
        sum.add(&ByRule::of(&rules, |_, rule| if rule == Rule::Haircut { 5 } else { 7 }));
        assert_eq!(serde_json::to_string(&sum).unwrap(), r#"{"haircut":5,"fifo":8}"#);
        assert_eq!(serde_json::to_string(&ByRule::default()).unwrap(), "{}");
        assert!(sum.is_some() && !ByRule::none(&rules).is_some());
        assert_eq!(sum.words(), "0.00000005 BTC (haircut), 0.00000008 BTC (fifo)");
        assert_eq!(ByRule::of(&rules, |number, _| number as u64).words(), "0.00000001 BTC (fifo)");
    }
}
