//! TCP, encrypted with Noise or TLS 1.3, multiplexed with Yamux, below all protocols.

use super::OverlayError;
use super::behaviour::Behaviour;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, swarm, tcp, tls, yamux};
use std::time::Duration;

/// Connecting takes some round trips; links of a second each way still pass. Much longer, and TCP's attempts become so
/// rare that a network that is back is not noticed.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(10);

/// A swarm that listens nowhere yet. Names are resolved only when one of `addresses` has one: a node without name
/// servers needs none.
pub(super) fn build(
    keypair: &Keypair,
    behaviour: Behaviour,
    addresses: &[Multiaddr],
) -> Result<Swarm<Behaviour>, OverlayError> {
    let named = addresses.iter().any(has_name);
    // Idle connections stay: being connected is what makes a peer.
    let config = |config: swarm::Config| config.with_idle_connection_timeout(Duration::from_secs(u64::MAX));
    let tcp = tcp::Config::default().nodelay(true);
    // Of two agents that offer both, the dialler's first is taken: Noise needs less memory and no certificates.
    let security = (noise::Config::new, tls::Config::new);
    let builder = SwarmBuilder::with_existing_identity(keypair.clone())
        .with_tokio()
        .with_tcp(tcp, security, yamux::Config::default)
        .map_err(|error| OverlayError::Encryption(error.to_string()))?;
    Ok(if named {
        let builder = builder.with_dns().map_err(OverlayError::Names)?;
        let Ok(builder) = builder.with_behaviour(|_| behaviour);
        let builder = builder.with_swarm_config(config);
        builder.with_connection_timeout(CONNECTION_PATIENCE).build()
    } else {
        let Ok(builder) = builder.with_behaviour(|_| behaviour);
        let builder = builder.with_swarm_config(config);
        builder.with_connection_timeout(CONNECTION_PATIENCE).build()
    })
}

fn has_name(address: &Multiaddr) -> bool {
    use Protocol::{Dns, Dns4, Dns6, Dnsaddr};
    address
        .iter()
        .any(|part| matches!(part, Dns(_) | Dns4(_) | Dns6(_) | Dnsaddr(_)))
}
