//! Agent identities from the lab's seed: the same file gives the same peer ids on every machine.

use std::collections::BTreeMap;

use dfaas_agent_api::identity::Identity;
use dfaas_model::{NodeKind, Topology};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::error::LabError;

/// The identity of every agent of a lab.
#[derive(Debug)]
pub(crate) struct Identities(BTreeMap<String, Known>);

#[derive(Debug)]
struct Known {
    private_key_pem: String,
    peer_id: String,
}

impl Identities {
    pub(crate) fn derive(topology: &Topology) -> Result<Self, LabError> {
        let mut identities = BTreeMap::new();
        for node in topology
            .nodes
            .values()
            .filter(|node| node.kind == NodeKind::Dfaas)
        {
            let identity = Identity::from_seed(&agent_key_seed(topology.seed, &node.name));
            let private_key_pem = identity.to_pem().map_err(|error| LabError::Node {
                node: node.name.clone(),
                reason: error.to_string(),
            })?;
            identities.insert(
                node.name.clone(),
                Known {
                    private_key_pem,
                    peer_id: identity.peer_id(),
                },
            );
        }
        Ok(Self(identities))
    }

    pub(crate) fn peer_id(&self, node: &str) -> Option<&str> {
        self.0.get(node).map(|it| it.peer_id.as_str())
    }

    /// PKCS#8 in PEM.
    pub(crate) fn private_key(&self, node: &str) -> Option<&str> {
        self.0.get(node).map(|it| it.private_key_pem.as_str())
    }
}

/// The 32-byte Ed25519 seed of a node's agent: the first output of ChaCha20 keyed by (seed, purpose, node).
fn agent_key_seed(seed: u64, node: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&fnv1a(b"agent key").to_le_bytes());
    key[16..24].copy_from_slice(&fnv1a(node.as_bytes()).to_le_bytes());
    let mut bytes = [0; 32];
    ChaCha20Rng::from_seed(key).fill_bytes(&mut bytes);
    bytes
}

/// The 64-bit FNV-1a hash (Fowler, Noll, Vo): stable across versions, which the standard library's hasher is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_matches_the_published_vectors() {
        // http://www.isthe.com/chongo/tech/comp/fnv/ ("", "a", "foobar")
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn keys_depend_on_seed_and_node_and_nothing_else() {
        assert_eq!(agent_key_seed(7, "n1"), agent_key_seed(7, "n1"));
        assert_ne!(agent_key_seed(7, "n1"), agent_key_seed(7, "n2"));
        assert_ne!(agent_key_seed(7, "n1"), agent_key_seed(8, "n1"));
    }
}
