//! The Kademlia key under which agents find one another.

use libp2p::kad::RecordKey;
use sha2::{Digest, Sha256};

/// Multihash code of SHA2-256, and its length in bytes.
const SHA2_256: [u8; 2] = [0x12, 32];

/// The key go-libp2p's routing discovery derives from a rendezvous word: the multihash inside the CID (version 1, raw)
/// of its SHA2-256.
pub(super) fn key(word: &str) -> RecordKey {
    let mut multihash = SHA2_256.to_vec();
    multihash.extend_from_slice(&Sha256::digest(word.as_bytes()));
    RecordKey::from(multihash)
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn multihash_of_the_word() {
        let bytes = key("abc").to_vec();
        // FIPS 180-2, appendix B.1.
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hexadecimal, format!("1220{digest}"));
    }
}
