//! TCP, encrypted with Noise, multiplexed with Yamux.

use super::OverlayError;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, Transport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, dns, noise, tcp, yamux};
use std::time::Duration;

/// Encryption and multiplexing cost a few round trips; links of a second each way still pass.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(10);

type Upgraded = Boxed<(PeerId, StreamMuxerBox)>;

/// The transport. Names are resolved only when one of `addresses` has one: a node without name servers needs none.
pub(super) fn build(keypair: &Keypair, addresses: &[Multiaddr]) -> Result<Upgraded, OverlayError> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    if addresses.iter().any(has_name) {
        let named = dns::tokio::Transport::system(tcp).map_err(OverlayError::Names)?;
        return upgrade(named, keypair);
    }
    upgrade(tcp, keypair)
}

fn upgrade<T>(transport: T, keypair: &Keypair) -> Result<Upgraded, OverlayError>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
    T::ListenerUpgrade: Send,
    T::Dial: Send,
    T::Error: Send + Sync,
{
    Ok(transport
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(yamux::Config::default())
        .timeout(UPGRADE_PATIENCE)
        .boxed())
}

fn has_name(address: &Multiaddr) -> bool {
    use Protocol::{Dns, Dns4, Dns6, Dnsaddr};
    address
        .iter()
        .any(|part| matches!(part, Dns(_) | Dns4(_) | Dns6(_) | Dnsaddr(_)))
}
