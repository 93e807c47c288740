//! Are these filters the node's own? Chained, each must give the filter header that the node has for its block (BIP157). Pure.

use bitcoin::bip158::{FilterHash, FilterHeader};

/// Tells which of the filters of consecutive blocks are right. `filters` holds their hashes in order, `None` where there is no
/// filter; `previous` is the filter header of the block before them. `told(at)` asks the node for a block's filter header; `None`
/// where it has none, as for every block behind one without.
///
/// One header is asked for where all are right; for each wrong one some more, the fewer the closer it is to the one before it.
///
/// # Errors
/// What `told` fails with.
pub fn prove<E>(
    previous: FilterHeader,
    filters: &[Option<FilterHash>],
    mut told: impl FnMut(usize) -> Result<Option<FilterHeader>, E>,
) -> Result<Vec<bool>, E> {
    let mut right = vec![false; filters.len()];
    let end = known(filters.len(), &mut told)?;
    let (mut next, mut header) = (0, previous);
    while next < end {
        let chained: Vec<FilterHeader> = filters[next..end]
            .iter()
            .map_while(|filter| *filter)
            .scan(header, |last, filter| {
                *last = filter.filter_header(last);
                Some(*last)
            })
            .collect();
        let same = same(&chained, |at| told(next + at))?;
        right[next..next + same].fill(true);
        next += same;
        if next < end {
            // Missing, or another than the node's. What comes behind it may be right again.
            let Some(restart) = told(next)? else { break };
            header = restart;
            next += 1;
        }
    }
    Ok(right)
}

/// How many of the first `all` blocks the node has filter headers for.
fn known<E>(all: usize, told: &mut impl FnMut(usize) -> Result<Option<FilterHeader>, E>) -> Result<usize, E> {
    if all == 0 || told(all - 1)?.is_some() {
        return Ok(all);
    }
    let (mut low, mut high) = (0, all - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match told(middle)? {
            Some(_) => low = middle + 1,
            None => high = middle,
        }
    }
    Ok(low)
}

/// How many of `chained`, from the first on, are as told. Each rests on all before it: where one is as told, they are too; and
/// behind one that isn't, none is.
fn same<E>(
    chained: &[FilterHeader],
    mut told: impl FnMut(usize) -> Result<Option<FilterHeader>, E>,
) -> Result<usize, E> {
    let mut holds = |at: usize| told(at).map(|header| header == Some(chained[at]));
    let Some(last) = chained.len().checked_sub(1) else { return Ok(0) };
    if holds(last)? {
        return Ok(chained.len());
    }
    // All before `low` are as told, `high` is not. Steps double, since wrong ones come in rows.
    let (mut low, mut high, mut step) = (0, last, 1);
    while low < high {
        let middle = low + (step - 1).min((high - low) / 2);
        if holds(middle)? {
            low = middle + 1;
            step *= 2;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bitcoin::hashes::Hash;
    use proptest::prelude::*;

    use super::*;

    fn chain(filters: &[FilterHash]) -> Vec<FilterHeader> {
        let start = FilterHeader::all_zeros();
        filters
            .iter()
            .scan(start, |last, filter| {
                *last = filter.filter_header(last);
                Some(*last)
            })
            .collect()
    }

    /// What is found of `found` where the node has `headers`, and how often it is asked.
    fn proven(found: &[Option<FilterHash>], headers: &[FilterHeader]) -> (Vec<bool>, usize) {
        let mut asked = 0;
        let told = |at: usize| {
            asked += 1;
            Ok::<_, Infallible>(headers.get(at).copied())
        };
        let Ok(right) = prove(FilterHeader::all_zeros(), found, told);
        (right, asked)
    }

    fn filters(count: u32) -> Vec<FilterHash> {
        (0..count).map(|n| FilterHash::hash(&n.to_be_bytes())).collect()
    }

    #[test]
    fn one_header_proves_a_whole_range_and_a_few_more_find_a_wrong_filter() {
        let right = filters(2000);
        let headers = chain(&right);
        let found: Vec<_> = right.iter().copied().map(Some).collect();
        assert_eq!(proven(&found, &headers), (vec![true; 2000], 2));
        for at in [0, 1, 2, 3, 998, 1998, 1999] {
            let mut wrong = found.clone();
            wrong[at] = Some(FilterHash::hash(b"another"));
            let (told, asked) = proven(&wrong, &headers);
            assert!(told.iter().enumerate().all(|(block, right)| *right == (block != at)), "{at}");
            assert!(asked < 40, "{at} {asked}");
        }
        assert_eq!(proven(&[], &headers), (vec![], 0));
        assert_eq!(proven(&found, &[]).0, vec![false; 2000]);
        let (told, asked) = proven(&vec![None; 2000], &headers);
        assert_eq!((told, asked), (vec![false; 2000], 2001));
    }

    #[test]
    fn an_error_of_the_node_ends_it() {
        let found = [Some(FilterHash::hash(b""))];
        assert_eq!(prove(FilterHeader::all_zeros(), &found, |_| Err("away")), Err("away"));
    }

    proptest! {
        #[test]
        fn exactly_the_right_filters_are_called_right(
            fates in prop::collection::vec(prop_oneof![12 => Just(0_u8), 1 => Just(1), 1 => Just(2)], 0..80),
            known in 0..90_usize,
        ) {
            let right = filters(u32::try_from(fates.len()).unwrap());
            let headers = chain(&right);
            // 0 as the node has it, 1 another, 2 missing.
            let found: Vec<_> = right.iter().zip(&fates).map(|(filter, fate)| match fate {
                0 => Some(*filter),
                1 => Some(FilterHash::hash(&filter[..])),
                _ => None,
            }).collect();
            let (told, _) = proven(&found, &headers[..known.min(headers.len())]);
            let expected: Vec<_> = fates.iter().enumerate().map(|(at, fate)| *fate == 0 && at < known).collect();
            prop_assert_eq!(told, expected);
        }
    }
}
