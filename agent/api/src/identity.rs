//! An agent's identity: an Ed25519 key, its PEM form and the PeerId that follows from it.

use crate::base58;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use thiserror::Error;

/// A private key text that is not one.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Neither what this crate writes nor what `openssl genpkey` does.
    #[error(
        "not an Ed25519 private key in PEM PKCS#8 form ({reason}); `openssl genpkey -algorithm ed25519` makes one"
    )]
    NotAKey {
        /// The decoder's own words.
        reason: String,
    },
    /// The key could not be written as PEM.
    #[error("cannot encode the private key: {reason}")]
    Encoding {
        /// The encoder's own words.
        reason: String,
    },
}

/// An Ed25519 key pair, known by its seed.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The private half never reaches a log.
        formatter
            .debug_struct("Identity")
            .field("peer_id", &self.peer_id())
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// The identity of a seed: the 32 bytes that RFC 8032 calls the private key. Equal seeds give equal identities.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(seed),
        }
    }

    /// Reads a PEM PKCS#8 text, version 1 (OpenSSL) or 2 (with the public key in it).
    ///
    /// # Errors
    /// When the text is no such key, or the public key in it does not belong to the private one.
    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        SigningKey::from_pkcs8_pem(text.trim())
            .map(|key| Self { key })
            .map_err(|error| IdentityError::NotAKey {
                reason: error.to_string(),
            })
    }

    /// The key as a PEM PKCS#8 text, byte for byte what `openssl genpkey` would write for it.
    ///
    /// # Errors
    /// When the encoder refuses, which no seed makes it do.
    pub fn to_pem(&self) -> Result<String, IdentityError> {
        // Version 1, without the public key: OpenSSL and Go both read it.
        let bytes = KeypairBytes {
            secret_key: self.seed(),
            public_key: None,
        };
        bytes
            .to_pkcs8_pem(LineEnding::LF)
            .map(|text| text.to_string())
            .map_err(|error| IdentityError::Encoding {
                reason: error.to_string(),
            })
    }

    /// The seed the identity was made from.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The public key, 32 bytes.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// The PeerId in its usual text form, `12D3KooW…`.
    ///
    /// libp2p's specification (peer-ids): the public key as a protobuf message of at most 42 bytes, wrapped in an
    /// *identity* multihash, in base 58 without a multibase prefix.
    #[must_use]
    pub fn peer_id(&self) -> String {
        /// Multihash "identity", 36 bytes; protobuf field 1 (key type) = 1 (Ed25519), field 2 (data), 32 bytes.
        const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
        let mut bytes = PREFIX.to_vec();
        bytes.extend_from_slice(&self.public_key());
        base58::encode(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // libp2p specification, peer-ids.md, "Test vectors": the Ed25519 private key is seed and public key together.
    const SPECIFIED_SEED: &str = "7e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d";
    const SPECIFIED_PUBLIC: &str = "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";

    fn bytes(hexadecimal: &str) -> [u8; 32] {
        std::array::from_fn(|index| u8::from_str_radix(&hexadecimal[2 * index..2 * index + 2], 16).unwrap())
    }

    #[test]
    fn public_key_as_in_the_libp2p_specification() {
        assert_eq!(
            Identity::from_seed(&bytes(SPECIFIED_SEED)).public_key(),
            bytes(SPECIFIED_PUBLIC)
        );
    }

    #[test]
    fn peer_id_has_the_usual_form() {
        let id = Identity::from_seed(&[7; 32]).peer_id();
        assert!(id.starts_with("12D3KooW"), "{id}");
        assert_eq!(id.len(), 52);
    }

    #[test]
    fn pem_is_what_openssl_writes() {
        // openssl genpkey's DER is this prefix and the seed; base 64 of 48 bytes fills one line.
        let text = Identity::from_seed(&[0; 32]).to_pem().unwrap();
        assert_eq!(
            text,
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----\n"
        );
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        let error = Identity::from_pem("hello").unwrap_err().to_string();
        assert!(error.contains("openssl genpkey"), "{error}");
    }

    #[test]
    fn the_seed_stays_out_of_debug_output() {
        let shown = format!("{:?}", Identity::from_seed(&[9; 32]));
        assert!(shown.contains("12D3KooW") && !shown.contains("9, 9"), "{shown}");
    }

    proptest! {
        #[test]
        fn pem_round_trip(seed: [u8; 32]) {
            let identity = Identity::from_seed(&seed);
            let read = Identity::from_pem(&identity.to_pem().unwrap()).unwrap();
            prop_assert_eq!(read.seed(), seed);
            prop_assert_eq!(read.peer_id(), identity.peer_id());
        }
    }
}
