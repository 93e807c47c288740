//! Proves filters by the node's filter headers: chained, each filter must result in the header of its block (BIP157). Pure.

use bitcoin::bip158::{FilterHash, FilterHeader};

/// Finds out which of the filters of consecutive blocks are right. `filters` holds their hashes in order, `None` for a missing one;
/// `previous` is the filter header of the block before the first. `header_of(at)` gets the node's filter header of a block, `None` if it
/// has none; then it has none for the blocks above either.
///
/// If all filters are right it gets one or two headers. Each wrong one takes some more, the fewer the closer it is to the one before.
///
/// # Errors
/// Those of `header_of`.
pub fn prove<E>(
    previous: FilterHeader,
    filters: &[Option<FilterHash>],
    mut header_of: impl FnMut(usize) -> Result<Option<FilterHeader>, E>,
) -> Result<Vec<bool>, E> {
    let mut right = vec![false; filters.len()];
    let end = count_with_header(filters.len(), &mut header_of)?;
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
        let matching = count_matching(&chained, |at| header_of(next + at))?;
        right[next..next + matching].fill(true);
        next += matching;
        if next < end {
            // This filter is missing, or not the node's; those behind it may be right again.
            let Some(restart) = header_of(next)? else { break };
            header = restart;
            next += 1;
        }
    }
    Ok(right)
}

/// The number of the first `all` blocks for which the node has a filter header.
fn count_with_header<E>(
    all: usize,
    header_of: &mut impl FnMut(usize) -> Result<Option<FilterHeader>, E>,
) -> Result<usize, E> {
    if all == 0 || header_of(all - 1)?.is_some() {
        return Ok(all);
    }
    let (mut low, mut high) = (0, all - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match header_of(middle)? {
            Some(_) => low = middle + 1,
            None => high = middle,
        }
    }
    Ok(low)
}

/// The number of `chained` headers, from the first on, that are the node's. A header depends on all before it: if one is the node's, so
/// are they, and behind one that isn't, none is.
fn count_matching<E>(
    chained: &[FilterHeader],
    mut header_of: impl FnMut(usize) -> Result<Option<FilterHeader>, E>,
) -> Result<usize, E> {
    let mut matches = |at: usize| header_of(at).map(|header| header == Some(chained[at]));
    let Some(last) = chained.len().checked_sub(1) else { return Ok(0) };
    if matches(last)? {
        return Ok(chained.len());
    }
    // All before `low` match, `high` doesn't. Steps double, as wrong filters come in runs.
    let (mut low, mut high, mut step) = (0, last, 1);
    while low < high {
        let middle = low + (step - 1).min((high - low) / 2);
        if matches(middle)? {
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

    /// Which of `found` are right if the node has `headers`, and how many headers that took.
    fn proven(found: &[Option<FilterHash>], headers: &[FilterHeader]) -> (Vec<bool>, usize) {
        let mut asked = 0;
        let header_of = |at: usize| {
            asked += 1;
            Ok::<_, Infallible>(headers.get(at).copied())
        };
        let Ok(right) = prove(FilterHeader::all_zeros(), found, header_of);
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
            let (right, asked) = proven(&wrong, &headers);
            assert!(right.iter().enumerate().all(|(block, right)| *right == (block != at)), "{at}");
            assert!(asked < 40, "{at} {asked}");
        }
        assert_eq!(proven(&[], &headers), (vec![], 0));
        assert_eq!(proven(&found, &[]).0, vec![false; 2000]);
        let (right, asked) = proven(&vec![None; 2000], &headers);
        assert_eq!((right, asked), (vec![false; 2000], 2001));
    }

    #[test]
    fn an_error_of_the_node_is_returned() {
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
            // 0 is the node's filter, 1 another one, 2 none.
            let found: Vec<_> = right.iter().zip(&fates).map(|(filter, fate)| match fate {
                0 => Some(*filter),
                1 => Some(FilterHash::hash(&filter[..])),
                _ => None,
            }).collect();
            let (proven, _) = proven(&found, &headers[..known.min(headers.len())]);
            let expected: Vec<_> = fates.iter().enumerate().map(|(at, fate)| *fate == 0 && at < known).collect();
            prop_assert_eq!(proven, expected);
        }
    }
}
