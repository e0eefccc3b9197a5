//! Questions and answers.

use super::Found;
use hickory_proto::ProtoError;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long others may remember an answer, in seconds (RFC 6762, section 10).
const LIFE: u32 = 120;
/// libp2p says nothing by it: the port is in the multiaddresses. go-libp2p sends the same.
const PORT_WITHOUT_MEANING: u16 = 4001;
/// What a TXT record's string begins with, and how long it may be.
const PREFIX: &str = "dnsaddr=";
const LONGEST_TEXT: usize = 255;
/// Bounds on what one packet may make this agent do.
const MAXIMUM_PEERS: usize = 16;
const MAXIMUM_ADDRESSES: usize = 8;

/// What a packet means to this service.
#[derive(Debug, PartialEq)]
pub(super) enum Packet {
    /// Somebody asks who is there.
    Question,
    /// These are.
    Peers(Vec<Found>),
}

/// An agent's place in the service of a rendezvous word.
#[derive(Debug)]
pub(super) struct Service {
    own: PeerId,
    /// `WORD.local.`
    name: Name,
    /// `PEERID.WORD.local.`
    instance: Name,
    /// `PEERID.local.`
    host: Name,
}

impl Service {
    /// # Errors
    /// When the word is not made of labels of 1 to 63 bytes.
    pub(super) fn new(word: &str, own: PeerId) -> Result<Self, ProtoError> {
        let local = Name::from_labels(["local".as_bytes()])?;
        let name = Name::from_labels(word.split('.').map(str::as_bytes))?.append_domain(&local)?;
        let own_label = Name::from_labels([own.to_string().as_bytes()])?;
        Ok(Self {
            own,
            instance: own_label.clone().append_domain(&name)?,
            host: own_label.append_domain(&local)?,
            name,
        })
    }

    /// Who is there?
    pub(super) fn question(&self) -> Result<Vec<u8>, ProtoError> {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(self.name.clone(), RecordType::PTR));
        message.to_vec()
    }

    /// This agent is, at these addresses.
    pub(super) fn answer(&self, addresses: &BTreeSet<Multiaddr>) -> Result<Vec<u8>, ProtoError> {
        let mut message = Message::new(0, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = true;
        let record = |name: &Name, data| Record::from_rdata(name.clone(), LIFE, data);
        // Only this agent has records of these names, so they replace what was remembered of them.
        let own_record = |name: &Name, data| {
            let mut record = record(name, data);
            record.mdns_cache_flush = true;
            record
        };
        message.add_answer(record(&self.name, RData::PTR(PTR(self.instance.clone()))));
        let server = SRV::new(0, 0, PORT_WITHOUT_MEANING, self.host.clone());
        message.add_additional(own_record(&self.instance, RData::SRV(server)));
        let texts: Vec<String> = addresses
            .iter()
            .map(|address| format!("{PREFIX}{address}/p2p/{}", self.own))
            .filter(|text| text.len() <= LONGEST_TEXT)
            .collect();
        message.add_additional(own_record(&self.instance, RData::TXT(TXT::new(texts))));
        // go-libp2p ignores an answer without them.
        for protocol in addresses.iter().filter_map(|address| address.iter().next()) {
            let data = match protocol {
                Protocol::Ip4(address) => RData::A(A(address)),
                Protocol::Ip6(address) => RData::AAAA(AAAA(address)),
                _ => continue,
            };
            message.add_additional(own_record(&self.host, data));
        }
        message.to_vec()
    }

    /// What a packet means; nothing when it is about something else, or no DNS at all.
    pub(super) fn read(&self, packet: &[u8]) -> Option<Packet> {
        let message = Message::from_vec(packet).ok()?;
        if message.metadata.message_type == MessageType::Query {
            let about_us = |query: &Query| {
                query.name == self.name && matches!(query.query_type, RecordType::PTR | RecordType::ANY)
            };
            return message.queries.iter().any(about_us).then_some(Packet::Question);
        }
        let mut peers: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        let texts = message
            .all_sections()
            .filter(|record| record.ttl > 0 && self.name.zone_of(&record.name))
            .filter_map(|record| match &record.data {
                RData::TXT(text) => Some(text),
                _ => None,
            })
            .flat_map(|text| text.txt_data.iter());
        for text in texts {
            let Some((peer, address)) = std::str::from_utf8(text).ok().and_then(whereabouts) else {
                continue;
            };
            if peer == self.own || (peers.len() >= MAXIMUM_PEERS && !peers.contains_key(&peer)) {
                continue;
            }
            let addresses = peers.entry(peer).or_default();
            if addresses.len() < MAXIMUM_ADDRESSES {
                addresses.push(address);
            }
        }
        (!peers.is_empty()).then(|| Packet::Peers(peers.into_iter().collect()))
    }

    /// How long to wait before an answer, so that not all answer at once: 20 ms to 120 ms (RFC 6762, section 6), always
    /// the same for one agent.
    pub(super) fn patience(&self) -> Duration {
        let sum: u64 = self.own.to_bytes().iter().map(|byte| u64::from(*byte)).sum();
        Duration::from_millis(20 + sum % 100)
    }
}

/// A peer and its TCP address out of `dnsaddr=/ip4/…/tcp/…/p2p/…`.
fn whereabouts(text: &str) -> Option<(PeerId, Multiaddr)> {
    let mut address: Multiaddr = text.strip_prefix(PREFIX)?.parse().ok()?;
    let Some(Protocol::P2p(peer)) = address.pop() else {
        return None;
    };
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    let dialable = matches!(parts[..], [Protocol::Ip4(_) | Protocol::Ip6(_), Protocol::Tcp(_)]);
    dialable.then_some((peer, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(texts: &[&str]) -> BTreeSet<Multiaddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_agent_answers_where_it_is() {
        let [own, other] = [PeerId::random(), PeerId::random()];
        let (here, there) = (
            Service::new("dfaasagent-mYRGdJPC3chmJ", own).unwrap(),
            Service::new("DFAASAGENT-mYRGdJPC3chmJ", other).unwrap(),
        );
        assert_eq!(there.read(&here.question().unwrap()), Some(Packet::Question));
        let own_addresses = addresses(&["/ip4/10.0.0.1/tcp/6000", "/ip6/fd00::1/tcp/6000"]);
        let answer = here.answer(&own_addresses).unwrap();
        let found = Packet::Peers(vec![(own, own_addresses.into_iter().collect())]);
        assert_eq!(there.read(&answer), Some(found));
        assert_eq!(here.read(&answer), None, "it does not find itself");
    }

    #[test]
    fn another_service_is_ignored() {
        let [one, other] =
            ["dfaasagent", "_p2p._udp"].map(|word| Service::new(word, PeerId::random()).unwrap());
        assert_eq!(one.read(&other.question().unwrap()), None);
        let address = addresses(&["/ip4/10.0.0.1/tcp/6000"]);
        assert_eq!(one.read(&other.answer(&address).unwrap()), None);
    }

    #[test]
    fn addresses_that_cannot_be_dialled_are_ignored() {
        let [own, other] = [PeerId::random(), PeerId::random()];
        let (here, there) = (
            Service::new("dfaasagent", own).unwrap(),
            Service::new("dfaasagent", other).unwrap(),
        );
        let strange = addresses(&[
            "/ip4/10.0.0.1/udp/6000/quic-v1",
            "/dns4/example.org/tcp/80",
            "/ip4/10.0.0.1/tcp/80/ws",
        ]);
        assert_eq!(there.read(&here.answer(&strange).unwrap()), None);
        let many: Vec<String> = (1..100).map(|port| format!("/ip4/10.0.0.1/tcp/{port}")).collect();
        let many = many.iter().map(String::as_str).collect::<Vec<_>>();
        let Some(Packet::Peers(peers)) = there.read(&here.answer(&addresses(&many)).unwrap()) else {
            panic!("addresses are lost")
        };
        assert_eq!(peers[0].1.len(), MAXIMUM_ADDRESSES);
    }

    #[test]
    fn words_that_are_no_names_are_refused() {
        for word in ["", "a..b", &"x".repeat(64)] {
            assert!(Service::new(word, PeerId::random()).is_err(), "{word:?}");
        }
    }

    proptest! {
        #[test]
        fn any_packet_is_answered(packet: Vec<u8>, cut in 0_usize..400, noise in 0_u8..255) {
            let service = Service::new("dfaasagent", PeerId::random()).unwrap();
            let _ = service.read(&packet);
            let other = Service::new("dfaasagent", PeerId::random()).unwrap();
            let mut packet = other.answer(&addresses(&["/ip4/10.0.0.1/tcp/6000"])).unwrap();
            let at = cut % packet.len();
            packet[at] ^= noise;
            let _ = service.read(&packet);
            let _ = service.read(&packet[..at]);
        }
    }
}
