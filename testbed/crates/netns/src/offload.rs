//! Switches segmentation offloads of an interface off, through `SIOCETHTOOL`.

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;

use crate::attribute::{read_text, read_u32};
use crate::error::NetnsError;
use crate::netlink::Netlink;

// From linux/sockios.h and linux/ethtool.h.
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETH_SS_FEATURES: u32 = 4;
const ETH_GSTRING_LEN: usize = 32;

/// Segmentation that `PACKET_VNET_HDR` cannot describe: such frames would be refused (ENOBUFS) by a packet socket.
const TUNNELS: [&str; 9] = [
    "tx-gre-segmentation",
    "tx-gre-csum-segmentation",
    "tx-ipxip4-segmentation",
    "tx-ipxip6-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
    "tx-tunnel-remcsum-segmentation",
    "tx-esp-segmentation",
    "tx-sctp-segmentation",
];

/// Segmentation of TCP and UDP over IPv4 and IPv6, in the driver and in the kernel's last step before it.
const TRANSPORT: [&str; 7] = [
    "tx-tcp-segmentation",
    "tx-tcp-ecn-segmentation",
    "tx-tcp-mangleid-segmentation",
    "tx-tcp-accecn-segmentation",
    "tx-tcp6-segmentation",
    "tx-udp-segmentation",
    "tx-generic-segmentation",
];

/// The positions of the kernel's feature names; the same for every interface.
#[derive(Debug)]
pub(crate) struct Features {
    positions: HashMap<String, usize>,
    words: usize,
}

impl Features {
    /// Asks the kernel for the names, at any interface of the socket's namespace.
    pub(crate) fn read(netlink: &Netlink, interface: &str) -> Result<Self, NetnsError> {
        let names = read_names(netlink.descriptor(), interface).map_err(|source| {
            system(
                netlink,
                format!("read the feature names of interface `{interface}`"),
                source,
            )
        })?;
        let words = names.len().div_ceil(32);
        let positions = names
            .into_iter()
            .enumerate()
            .map(|(at, name)| (name, at))
            .collect();
        Ok(Self { positions, words })
    }

    /// Switches off segmentation of tunnelled packets, and with `all` of every packet. Checksum offload is left as it is.
    pub(crate) fn disable_segmentation(
        &self,
        netlink: &Netlink,
        interface: &str,
        all: bool,
    ) -> Result<(), NetnsError> {
        let transport = if all { TRANSPORT.as_slice() } else { &[] };
        let mut request = self.request(TUNNELS.iter().chain(transport).copied());
        ethtool(netlink.descriptor(), interface, &mut request).map_err(|source| {
            system(
                netlink,
                format!("switch off segmentation of interface `{interface}`"),
                source,
            )
        })
    }

    /// `struct ethtool_sfeatures`: per 32 features a mask of those meant and their values, here all off.
    fn request<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<u32> {
        let mut request = vec![0; 2 + 2 * self.words];
        request[0] = ETHTOOL_SFEATURES;
        request[1] = u32::try_from(self.words).unwrap_or(0);
        // A name this kernel does not have is a feature that cannot be on.
        for position in names.filter_map(|name| self.positions.get(name)) {
            request[2 + 2 * (position / 32)] |= 1 << (position % 32);
        }
        request
    }
}

fn read_names(socket: RawFd, interface: &str) -> io::Result<Vec<String>> {
    // struct ethtool_sset_info: command, reserved, 64-bit mask, one count.
    let mut info = [ETHTOOL_GSSET_INFO, 0, 0, 0, 0];
    let mask = (1_u64 << ETH_SS_FEATURES).to_ne_bytes();
    for (word, half) in info[2..4].iter_mut().zip(mask.chunks_exact(4)) {
        *word = read_u32(half, 0).unwrap_or(0);
    }
    ethtool(socket, interface, &mut info)?;
    let count = usize::try_from(info[4]).unwrap_or(0);
    // struct ethtool_gstrings: command, set, count, then the names.
    let mut strings = vec![0_u32; 3 + count * ETH_GSTRING_LEN / 4];
    strings[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, ETH_SS_FEATURES, info[4]]);
    ethtool(socket, interface, &mut strings)?;
    let bytes: Vec<u8> = strings[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    Ok(bytes.chunks_exact(ETH_GSTRING_LEN).map(read_text).collect())
}

/// One `SIOCETHTOOL` call. The kernel hands an `ioctl` that a socket does not know to the devices of the socket's namespace, so a
/// netlink socket will do.
///
/// `request` must be as long as the command in its first word says; the functions above see to that.
fn ethtool(socket: RawFd, interface: &str, request: &mut [u32]) -> io::Result<()> {
    // SAFETY: `ifreq` is plain data for which all zeroes are valid.
    let mut header: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero; longer names were refused when the description was checked.
    let room = header.ifr_name.len() - 1;
    for (place, byte) in header.ifr_name.iter_mut().take(room).zip(interface.bytes()) {
        *place = byte.cast_signed();
    }
    header.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
    // SAFETY: `header` is an `ifreq` whose data pointer leads to `request`, which outlives the call and is as large as its command
    // needs.
    let result = unsafe { libc::ioctl(socket, SIOCETHTOOL as _, &raw mut header) };
    // A positive answer says that some features were fixed or depend on others, which is as good.
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn system(netlink: &Netlink, operation: String, source: io::Error) -> NetnsError {
    NetnsError::System {
        operation,
        namespace: netlink.namespace().into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_bit_per_known_name() {
        let features = Features {
            positions: HashMap::from([
                ("tx-gre-segmentation".into(), 3),
                ("tx-tcp6-segmentation".into(), 33),
            ]),
            words: 2,
        };
        let request = features.request(TUNNELS.into_iter().chain(TRANSPORT));
        assert_eq!(request, [ETHTOOL_SFEATURES, 2, 1 << 3, 0, 1 << 1, 0]);
    }
}
