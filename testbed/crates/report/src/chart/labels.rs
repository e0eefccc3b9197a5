/// A label beside the end of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EndLabel {
    /// Where it should be, and after [`spread`] where it is.
    pub(super) y: f64,
    pub(super) text: String,
    pub(super) class: String,
}

/// Moves labels up and down until they are `gap` apart and between `top` and `bottom`, keeping their order.
///
/// Labels that overlap form a group that is centred on the mean of its wishes; groups that touch are merged.
pub(super) fn spread(labels: &mut [EndLabel], gap: f64, top: f64, bottom: f64) {
    labels.sort_by(|a, b| a.y.total_cmp(&b.y).then_with(|| a.text.cmp(&b.text)));
    let gap = if labels.len() > 1 {
        gap.min((bottom - top) / (labels.len() - 1) as f64)
    } else {
        gap
    };
    // Each group: first index, number of labels, sum of wishes for its first label.
    let mut groups: Vec<(usize, usize, f64)> = Vec::new();
    let place = |group: &(usize, usize, f64)| {
        let height = gap * (group.1 - 1) as f64;
        (group.2 / group.1 as f64).clamp(top, (bottom - height).max(top))
    };
    for (index, label) in labels.iter().enumerate() {
        groups.push((index, 1, label.y));
        while let [.., before, last] = groups.as_slice() {
            if place(before) + gap * before.1 as f64 <= place(last) + 1e-9 {
                break;
            }
            let wishes = before.2 + last.2 - gap * (before.1 * last.1) as f64;
            let merged = (before.0, before.1 + last.1, wishes);
            groups.truncate(groups.len() - 2);
            groups.push(merged);
        }
    }
    for group in &groups {
        for (position, label) in labels.iter_mut().skip(group.0).take(group.1).enumerate() {
            label.y = place(group) + gap * position as f64;
        }
    }
}

/// The longest stretch in which the values stay within a tenth of the highest: first index, one past the last, and
/// the highest value. None when nothing is above zero.
pub(super) fn plateau(values: &[Option<f64>]) -> Option<(usize, usize, f64)> {
    let highest = values.iter().flatten().copied().fold(0.0, f64::max);
    if highest <= 0.0 {
        return None;
    }
    let (mut best, mut start) = ((0, 0), None);
    for index in 0..=values.len() {
        let inside = values
            .get(index)
            .copied()
            .flatten()
            .is_some_and(|value| value >= 0.9 * highest);
        match (inside, start) {
            (true, None) => start = Some(index),
            (false, Some(first)) => {
                if index - first > best.1 - best.0 {
                    best = (first, index);
                }
                start = None;
            }
            _ => {}
        }
    }
    Some((best.0, best.1, highest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(wishes: &[f64], gap: f64) -> Vec<f64> {
        let mut labels: Vec<EndLabel> = wishes
            .iter()
            .enumerate()
            .map(|(index, y)| EndLabel {
                y: *y,
                text: format!("{index}"),
                class: String::new(),
            })
            .collect();
        spread(&mut labels, gap, 0.0, 100.0);
        labels.into_iter().map(|label| label.y).collect()
    }

    #[test]
    fn labels_that_fit_stay_and_the_others_move_apart() {
        assert_eq!(positions(&[10.0, 50.0, 90.0], 12.0), [10.0, 50.0, 90.0]);
        assert_eq!(positions(&[50.0, 50.0, 50.0], 10.0), [40.0, 50.0, 60.0]);
        assert_eq!(positions(&[98.0, 99.0, 100.0], 10.0), [80.0, 90.0, 100.0]);
    }

    #[test]
    fn too_many_labels_still_stay_inside() {
        let crowded = positions(&[0.0; 30], 12.0);
        assert!(
            crowded.iter().all(|y| (0.0..=100.0001).contains(y)),
            "{crowded:?}"
        );
        assert!(crowded.windows(2).all(|pair| pair[1] > pair[0]));
    }

    #[test]
    fn the_plateau_is_the_longest_high_stretch() {
        let values = [Some(40.0), Some(0.0), Some(39.0), Some(40.0), None, Some(1.0)];
        assert_eq!(plateau(&values), Some((2, 4, 40.0)));
        assert_eq!(plateau(&[Some(0.0), None]), None);
    }
}
