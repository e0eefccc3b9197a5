//! Sharing a hundred out.

/// The weight of everything together, as in the original; HAProxy would take up to 256 for each.
pub(super) const WHOLE: u32 = 100;

/// Percentages in proportion to `amounts`, by largest remainders: they sum to 100 (to 0 when all amounts are 0), and
/// no amount above 0 gets 0 as long as there are at most 100 of them. What is not a number above 0 counts as 0.
pub(super) fn shares(amounts: &[f64]) -> Vec<u32> {
    let clean: Vec<f64> = amounts
        .iter()
        .map(|amount| {
            if amount.is_finite() && *amount > 0.0 {
                *amount
            } else {
                0.0
            }
        })
        .collect();
    // Scaled before it is summed: the sum of huge amounts would be infinite.
    let largest = clean.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return vec![0; amounts.len()];
    }
    let scaled: Vec<f64> = clean.iter().map(|amount| amount / largest).collect();
    let total: f64 = scaled.iter().sum();
    let present = scaled.iter().filter(|amount| **amount > 0.0).count();
    let least = u32::from(present <= WHOLE as usize);
    let exact: Vec<f64> = scaled
        .iter()
        .map(|amount| amount / total * f64::from(WHOLE))
        .collect();
    let mut shares: Vec<u32> = exact
        .iter()
        .map(|share| {
            if *share > 0.0 {
                (share.floor() as u32).max(least)
            } else {
                0
            }
        })
        .collect();
    balance(&mut shares, &exact, least);
    shares
}

/// Moves shares, one at a time and where it distorts least, until they sum to the whole.
fn balance(shares: &mut [u32], exact: &[f64], least: u32) {
    let excess = |shares: &[u32], place: usize| f64::from(shares[place]) - exact[place];
    loop {
        let sum: u32 = shares.iter().sum();
        let places = (0..shares.len()).filter(|place| exact[*place] > 0.0);
        if sum < WHOLE {
            let Some(place) = places.min_by(|a, b| excess(shares, *a).total_cmp(&excess(shares, *b))) else {
                return;
            };
            shares[place] += 1;
        } else if sum > WHOLE {
            let above = places.filter(|place| shares[*place] > least);
            let Some(place) = above.max_by(|a, b| excess(shares, *a).total_cmp(&excess(shares, *b))) else {
                return;
            };
            shares[place] -= 1;
        } else {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples() {
        assert_eq!(shares(&[1.0, 1.0, 1.0]), [34, 33, 33]);
        assert_eq!(shares(&[10.0, 15.0]), [40, 60]);
        assert_eq!(shares(&[1.0, 999.0]), [1, 99]);
        assert_eq!(shares(&[0.0, f64::NAN, -1.0]), [0, 0, 0]);
        assert_eq!(shares(&[f64::MAX, f64::MAX]), [50, 50]);
        assert!(shares(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn always_a_hundred_or_nothing(amounts in prop::collection::vec(any::<f64>(), 0..150)) {
            let shares = shares(&amounts);
            let some = amounts.iter().any(|amount| amount.is_finite() && *amount > 0.0);
            prop_assert_eq!(shares.iter().sum::<u32>(), if some { 100 } else { 0 });
            for (share, amount) in shares.iter().zip(&amounts) {
                prop_assert!(*share == 0 || *amount > 0.0);
            }
        }
    }
}
