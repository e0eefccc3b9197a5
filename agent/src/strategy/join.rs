//! Walking two sorted sequences side by side: of many functions of many peers, one pass instead of a search for each.

use std::cmp::Ordering;

/// Every item of `right` with the value that `left` has under the same name, if any. Both must be sorted by name and
/// have each name once, as the maps and sets of the standard library are.
pub(super) fn beside<'l, 'r, L, R>(
    left: impl IntoIterator<Item = (&'l String, L)>,
    right: impl IntoIterator<Item = (&'r String, R)>,
) -> impl Iterator<Item = (Option<L>, &'r String, R)> {
    let mut left = left.into_iter();
    let mut ahead = left.next();
    right.into_iter().map(move |(name, value)| {
        loop {
            let order = ahead.as_ref().map(|(other, _)| other.as_str().cmp(name));
            match order {
                Some(Ordering::Less) => ahead = left.next(),
                Some(Ordering::Equal) => {
                    let partner = std::mem::replace(&mut ahead, left.next());
                    return (partner.map(|(_, partner)| partner), name, value);
                }
                Some(Ordering::Greater) | None => return (None, name, value),
            }
        }
    })
}

/// The values of the names that both have.
pub(super) fn join<'l, 'r, L, R>(
    left: impl IntoIterator<Item = (&'l String, L)>,
    right: impl IntoIterator<Item = (&'r String, R)>,
) -> impl Iterator<Item = (L, R)> {
    beside(left, right).filter_map(|(partner, _, value)| Some((partner?, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn as_if_each_were_searched(
            left in prop::collection::btree_map("[a-f]{0,2}", any::<u8>(), 0..12),
            right in prop::collection::btree_map("[a-f]{0,2}", any::<u8>(), 0..12),
        ) {
            let searched: Vec<_> = right.iter().map(|(name, value)| (left.get(name), name, value)).collect();
            prop_assert_eq!(beside(&left, &right).collect::<Vec<_>>(), searched);
            let both: BTreeMap<_, _> = right
                .iter()
                .filter_map(|(name, value)| Some((left.get(name)?, value)))
                .collect();
            prop_assert_eq!(join(&left, &right).collect::<BTreeMap<_, _>>(), both);
        }
    }
}
