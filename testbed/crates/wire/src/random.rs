//! Random streams that belong to packets: draw `i` of a stream is the same whenever it is made.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Direction;

/// What a stream decides. Each purpose has its own stream, so that adding jitter to a link leaves the
/// pattern of its losses as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Loss,
    Duplicate,
    Corrupt(Twin),
    CorruptPlace(Twin),
    Reorder(Twin),
    Jitter(Twin),
}

/// Of a packet that is sent twice, which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twin {
    First,
    Second,
}

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Purpose::Loss => "loss",
            Purpose::Duplicate => "duplicate",
            Purpose::Corrupt(Twin::First) => "corrupt",
            Purpose::Corrupt(Twin::Second) => "corrupt copy",
            Purpose::CorruptPlace(Twin::First) => "corrupt place",
            Purpose::CorruptPlace(Twin::Second) => "corrupt place copy",
            Purpose::Reorder(Twin::First) => "reorder",
            Purpose::Reorder(Twin::Second) => "reorder copy",
            Purpose::Jitter(Twin::First) => "jitter",
            Purpose::Jitter(Twin::Second) => "jitter copy",
        }
    }
}

/// One random number of 64 bits per packet index.
#[derive(Debug)]
pub(crate) struct Stream {
    generator: ChaCha8Rng,
    next: u64,
}

impl Stream {
    /// The stream of a purpose on one direction of a link. The key depends on all four values and on nothing
    /// else, so links may be added, removed and reordered without touching each other.
    pub(crate) fn new(seed: u64, link: &str, direction: Direction, purpose: Purpose) -> Stream {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        for part in [
            link.as_bytes(),
            direction.to_string().as_bytes(),
            purpose.label().as_bytes(),
        ] {
            key = absorb(key, part);
        }
        Stream {
            generator: ChaCha8Rng::from_seed(key),
            next: 0,
        }
    }

    /// The number that belongs to packet `index`. Going forward one by one is cheap, jumping costs one block.
    pub(crate) fn draw(&mut self, index: u64) -> u64 {
        if index != self.next {
            self.generator.set_word_pos(u128::from(index) * 2);
        }
        self.next = index.wrapping_add(1);
        self.generator.next_u64()
    }

    /// Draw `index` as a number in `[0, 1)`.
    pub(crate) fn fraction(&mut self, index: u64) -> f64 {
        unit(self.draw(index) >> 11, 53)
    }

    /// Draw `index` as two numbers in `[0, 1)`, of 32 bits each.
    pub(crate) fn pair(&mut self, index: u64) -> (f64, f64) {
        let draw = self.draw(index);
        (unit(draw >> 32, 32), unit(draw & 0xffff_ffff, 32))
    }
}

/// Numbers in `[0, 1)` of which each is, with a given probability, that of the packet before it. So any two packets
/// have the correlation of that probability to the power of their distance, and all numbers stay as likely (DAR(1),
/// Jacobs and Lewis 1978; an average of old and new numbers, as netem has it, would crowd them around the middle).
#[derive(Debug)]
pub(crate) struct Correlated {
    stream: Stream,
    correlation: f64,
    last: Option<f64>,
}

impl Correlated {
    pub(crate) fn new(stream: Stream) -> Correlated {
        Correlated {
            stream,
            correlation: 0.0,
            last: None,
        }
    }

    pub(crate) fn set(&mut self, correlation: f64) {
        self.correlation = correlation;
    }

    /// The number of packet `index`, which comes right after the one asked for before.
    pub(crate) fn fraction(&mut self, index: u64) -> f64 {
        if self.correlation <= 0.0 {
            self.last = None;
            return self.stream.fraction(index);
        }
        let (fresh, chance) = self.stream.pair(index);
        let number = self.last.filter(|_| chance < self.correlation).unwrap_or(fresh);
        self.last = Some(number);
        number
    }
}

fn unit(value: u64, bits: i32) -> f64 {
    value as f64 / 2f64.powi(bits)
}

/// Chains `part` into a key: each piece of up to 31 bytes (with its length, so that "ab","c" and "a","bc"
/// differ) is mixed in and the cipher makes the next key from it.
fn absorb(mut key: [u8; 32], part: &[u8]) -> [u8; 32] {
    let mut pieces: Vec<&[u8]> = part.chunks(31).collect();
    if part.len().is_multiple_of(31) {
        pieces.push(&[]);
    }
    for piece in pieces {
        key[31] ^= piece.len() as u8;
        for (byte, input) in key.iter_mut().zip(piece) {
            *byte ^= input;
        }
        ChaCha8Rng::from_seed(key).fill_bytes(&mut key);
    }
    key
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn stream(seed: u64, link: &str, direction: Direction, purpose: Purpose) -> Stream {
        Stream::new(seed, link, direction, purpose)
    }

    #[test]
    fn a_draw_depends_on_its_index_only() {
        let mut forward = stream(7, "a--b", Direction::Forward, Purpose::Loss);
        let in_order: Vec<u64> = (0..100).map(|index| forward.draw(index)).collect();
        let mut jumping = stream(7, "a--b", Direction::Forward, Purpose::Loss);
        for index in [99, 0, 50, 51, 3, 98] {
            assert_eq!(jumping.draw(index), in_order[index as usize]);
        }
    }

    #[test]
    fn streams_of_different_keys_differ() {
        let long = "x".repeat(31);
        let longer = "x".repeat(62);
        let mut firsts = HashSet::new();
        let mut streams = 0;
        for seed in [0, 1, u64::MAX] {
            for link in ["", "a--b", "b--a", &long, &longer] {
                for direction in Direction::BOTH {
                    for purpose in [
                        Purpose::Loss,
                        Purpose::Jitter(Twin::First),
                        Purpose::Jitter(Twin::Second),
                    ] {
                        firsts.insert(stream(seed, link, direction, purpose).draw(0));
                        streams += 1;
                    }
                }
            }
        }
        assert_eq!(firsts.len(), streams);
    }

    #[test]
    fn numbers_are_even_and_as_correlated_as_asked() {
        for correlation in [0.0, 0.25, 0.9] {
            let mut numbers = Correlated::new(stream(1, "a--b", Direction::Forward, Purpose::Loss));
            numbers.set(correlation);
            let count = 200_000;
            let numbers: Vec<f64> = (0..count).map(|index| numbers.fraction(index)).collect();
            let mean = numbers.iter().sum::<f64>() / count as f64;
            let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count as f64;
            let products = numbers.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean));
            let measured = products.sum::<f64>() / count as f64 / variance;
            // Correlation leaves fewer independent numbers to average over.
            let slack = ((1.0 + correlation) / (1.0 - correlation)).sqrt();
            assert!((mean - 0.5).abs() < 0.002 * slack, "{correlation}: mean {mean}");
            assert!(
                (variance - 1.0 / 12.0).abs() < 0.001 * slack,
                "{correlation}: variance {variance}"
            );
            assert!((measured - correlation).abs() < 0.01, "{correlation}: {measured}");
        }
    }
}
