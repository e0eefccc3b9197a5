use super::traffic::{Source, Tally, TallyKey, Traffic};

/// Equal slices of time over one or several repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bins {
    /// Second at which the first slice starts.
    pub start: i64,
    /// Seconds per slice.
    pub width: i64,
    /// Number of slices, at least one.
    pub count: usize,
}

/// Widths that people can read: 1 s to 1 day.
const WIDTHS: [i64; 17] = [
    1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21_600, 86_400,
];

impl Bins {
    /// The finest slices that cover all requests in at most `limit` slices; none without requests.
    pub fn covering(traffics: &[&Traffic], limit: usize) -> Option<Bins> {
        let extents = traffics.iter().filter_map(|traffic| traffic.extent());
        let (start, end) = extents.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let limit = limit.max(1) as i64;
        let fits = |width: &i64| end.div_euclid(*width) - start.div_euclid(*width) < limit;
        let width = match WIDTHS.into_iter().find(fits) {
            Some(width) => width,
            None => (end - start) / limit + 1,
        };
        // Wide slices start at multiples of their width, as the ticks of a time axis do.
        let start = start.div_euclid(width) * width;
        let count = usize::try_from((end - start + width - 1) / width).unwrap_or(1);
        Some(Bins { start, width, count })
    }

    /// First second after the last slice.
    pub fn end(&self) -> i64 {
        self.start + self.width * self.count as i64
    }

    fn index(&self, second: i64) -> Option<usize> {
        let index = usize::try_from((second - self.start).div_euclid(self.width)).ok()?;
        (index < self.count).then_some(index)
    }

    /// Seconds of each slice for which there are data, summed over the repetitions.
    fn covered(&self, traffics: &[&Traffic]) -> Vec<i64> {
        let mut seconds = vec![0; self.count];
        for (first, end) in traffics.iter().filter_map(|traffic| traffic.extent()) {
            for (index, covered) in seconds.iter_mut().enumerate() {
                let slice = self.start + self.width * index as i64;
                *covered += (end.min(slice + self.width) - first.max(slice)).max(0);
            }
        }
        seconds
    }

    /// Requests per second in each slice, mean over the repetitions; `weight` says how many of a tally count.
    /// None where no repetition was running.
    pub fn rates(
        &self,
        traffics: &[&Traffic],
        weight: impl Fn(&TallyKey, &Tally) -> u64,
    ) -> Vec<Option<f64>> {
        let mut sums = vec![0u64; self.count];
        for traffic in traffics {
            for (key, tally) in &traffic.tallies {
                if let Some(sum) = self.index(key.second).and_then(|index| sums.get_mut(index)) {
                    *sum += weight(key, tally);
                }
            }
        }
        let covered = self.covered(traffics);
        sums.iter()
            .zip(covered)
            .map(|(sum, seconds)| (seconds > 0).then(|| *sum as f64 / seconds as f64))
            .collect()
    }

    /// Sorted latencies (microseconds) of each slice, pooled over the repetitions.
    pub fn latencies(&self, traffics: &[&Traffic], wanted: impl Fn(&TallyKey) -> bool) -> Vec<Vec<u32>> {
        let mut slices = vec![Vec::new(); self.count];
        for traffic in traffics
            .iter()
            .filter(|traffic| traffic.source == Source::Requests)
        {
            for (key, tally) in traffic.tallies.iter().filter(|(key, _)| wanted(key)) {
                if let Some(slice) = self.index(key.second).and_then(|index| slices.get_mut(index)) {
                    slice.extend_from_slice(&tally.latencies);
                }
            }
        }
        for slice in &mut slices {
            slice.sort_unstable();
        }
        slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(seconds: std::ops::Range<i64>, per_second: u64) -> Traffic {
        let mut traffic = Traffic::default();
        for second in seconds {
            let key = TallyKey {
                second,
                flow: 0,
                outcome: 0,
            };
            traffic.tallies.entry(key).or_default().count = per_second;
        }
        traffic
    }

    #[test]
    fn slices_get_wider_until_they_are_few_enough() {
        let long = traffic(0..5000, 50);
        let bins = Bins::covering(&[&long], 1000).unwrap();
        assert_eq!(
            (bins.start, bins.width, bins.count, bins.end()),
            (0, 10, 500, 5000)
        );
        assert_eq!(Bins::covering(&[&Traffic::default()], 10), None);
    }

    #[test]
    fn a_slice_that_is_only_partly_covered_keeps_its_rate() {
        let odd = traffic(3..27, 50);
        let bins = Bins::covering(&[&odd], 6).unwrap();
        assert_eq!((bins.start, bins.width, bins.count), (0, 5, 6));
        assert_eq!(bins.rates(&[&odd], |_, tally| tally.count), vec![Some(50.0); 6]);
    }

    #[test]
    fn a_repetition_that_ended_early_does_not_pull_the_mean_down() {
        let (whole, short) = (traffic(0..4, 10), traffic(0..2, 20));
        let both = [&whole, &short];
        let bins = Bins::covering(&both, 10).unwrap();
        let rates = bins.rates(&both, |_, tally| tally.count);
        assert_eq!(rates, [Some(15.0), Some(15.0), Some(10.0), Some(10.0)]);
    }
}
