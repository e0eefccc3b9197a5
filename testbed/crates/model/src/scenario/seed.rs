//! Seeds of repetitions.

/// The seed of repetition `repetition` of cell `cell`, all counted from 0. It has 53 bits, so that every reader of
/// JSON sees the same number.
///
/// Each number is folded in with the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn derive(seed: u64, cell: usize, repetition: u32) -> u64 {
    let cell = mix(mix(seed).wrapping_add(cell as u64));
    mix(cell.wrapping_add(u64::from(repetition))) >> 11
}

/// One step of SplitMix64.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First output of SplitMix64 for the seed 1234567, as its authors' C program prints it.
    #[test]
    fn the_mixer_is_splitmix64() {
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn every_repetition_has_its_own_seed() {
        let mut seeds = std::collections::HashSet::new();
        for seed in 0..10 {
            for cell in 0..10 {
                for repetition in 0..10 {
                    assert!(seeds.insert(derive(seed, cell, repetition)));
                }
            }
        }
        assert!(seeds.iter().all(|seed| *seed < 1 << 53));
        assert_eq!(derive(7, 1, 2), derive(7, 1, 2));
    }
}
