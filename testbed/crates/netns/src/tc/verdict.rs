//! A filter on the way out of an interface that drops packets between given addresses.
//!
//! cls_bpf with a *classic* program in direct-action mode: the program's result is the verdict. It needs no action module
//! and no privilege beyond that for the interface, and its jumps make one list of any number of addresses.

use std::net::IpAddr;

use netlink_packet_core::NLM_F_CREATE;

use super::{TCA_KIND, TCA_OPTIONS, header};
use crate::attribute::Attributes;
use crate::netlink::Request;

// From linux/rtnetlink.h, linux/pkt_sched.h and linux/pkt_cls.h.
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const EGRESS: u32 = 0xffff_fff3;
const TCA_BPF_OPS_LEN: u16 = 4;
const TCA_BPF_OPS: u16 = 5;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;
const TC_ACT_UNSPEC: u32 = u32::MAX;
const TC_ACT_SHOT: u32 = 2;
/// `BPF_MAXINSNS` of linux/bpf_common.h.
pub(crate) const MOST_INSTRUCTIONS: usize = 4096;

/// `ETH_P_ALL` in network byte order.
const EVERY_PROTOCOL: u32 = 0x0003_u16.to_be() as u32;
/// Of the first filter; they are asked in the order of their priorities.
const FIRST_PRIORITY: u16 = 100;
/// The one program of each filter.
const HANDLE: u32 = 1;

// Offsets in an Ethernet frame.
const PROTOCOL: u32 = 12;
const IPV4: u32 = 0x0800;
const IPV4_ADDRESSES: [u32; 2] = [26, 30];
const ARP: u32 = 0x0806;
const ARP_ADDRESSES: [u32; 2] = [28, 38];
const IPV6: u32 = 0x86dd;
const IPV6_ADDRESSES: [u32; 2] = [22, 38];
/// In the first byte of the destination: broadcast or multicast.
const GROUP_BIT: u32 = 1;

// From linux/bpf_common.h: BPF_LD | size | BPF_ABS, BPF_JMP | operation | BPF_K, BPF_RET | BPF_K.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// `struct sock_filter`: code, jump if true, jump if false, value.
pub(crate) type Instruction = (u16, u8, u8, u32);

/// Filter number `number` of an interface.
pub(crate) fn put(index: u32, number: u16, program: &[Instruction], operation: String) -> Request {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for (code, if_true, if_false, value) in program {
        bytes.extend(code.to_ne_bytes());
        bytes.extend([*if_true, *if_false]);
        bytes.extend(value.to_ne_bytes());
    }
    let length = u16::try_from(program.len()).unwrap_or(u16::MAX);
    let mut attributes = Attributes::default();
    attributes.put_text(TCA_KIND, "bpf");
    attributes.nest(TCA_OPTIONS, |options| {
        options.put(TCA_BPF_OPS_LEN, &length.to_ne_bytes());
        options.put(TCA_BPF_OPS, &bytes);
        options.put_text(TCA_BPF_NAME, "partition");
        options.put(TCA_BPF_FLAGS, &TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes());
    });
    let mut body = header(index, HANDLE, EGRESS, info(number));
    body.extend(attributes.into_bytes());
    Request::raw(RTM_NEWTFILTER, body, NLM_F_CREATE, operation)
}

/// Takes filter number `number` away.
pub(crate) fn remove(index: u32, number: u16, operation: String) -> Request {
    let mut attributes = Attributes::default();
    attributes.put_text(TCA_KIND, "bpf");
    let mut body = header(index, 0, EGRESS, info(number));
    body.extend(attributes.into_bytes());
    Request::raw(RTM_DELTFILTER, body, 0, operation)
}

fn info(number: u16) -> u32 {
    (u32::from(FIRST_PRIORITY + number) << 16) | EVERY_PROTOCOL
}

/// Drops IP and ARP packets from a sender to a receiver (or to a group of stations), and says nothing of others.
pub(crate) fn program(senders: &[IpAddr], receivers: &[IpAddr]) -> Vec<Instruction> {
    let words = |addresses: &[IpAddr], v4: bool| -> Vec<[u32; 4]> {
        addresses
            .iter()
            .filter(|address| address.is_ipv4() == v4)
            .map(words)
            .collect()
    };
    let mut program = vec![(LOAD_HALF, 0, 0, PROTOCOL)];
    for (protocol, [source, destination], v4) in [
        (IPV4, IPV4_ADDRESSES, true),
        (ARP, ARP_ADDRESSES, true),
        (IPV6, IPV6_ADDRESSES, false),
    ] {
        let width = if v4 { 1 } else { 4 };
        // Backwards, as each part must know the length of what it jumps over.
        let mut part = vec![(RETURN, 0, 0, TC_ACT_SHOT)];
        part = among(&words(receivers, v4), destination, width, part);
        // A group of stations goes to the drop, which is last.
        let over = u32::try_from(part.len() - 1).unwrap_or(u32::MAX);
        part.splice(
            0..0,
            [
                (LOAD_BYTE, 0, 0, 0),
                (JUMP_IF_BIT, 0, 1, GROUP_BIT),
                (JUMP, 0, 0, over),
            ],
        );
        part = among(&words(senders, v4), source, width, part);
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        program.extend([(JUMP_IF_EQUAL, 1, 0, protocol), (JUMP, 0, 0, length)]);
        program.extend(part);
    }
    program.push((RETURN, 0, 0, TC_ACT_UNSPEC));
    program
}

/// `then`, if the address at `offset` is among `addresses`; else [`TC_ACT_UNSPEC`]. Addresses that differ in the last
/// word only share the comparison of the others.
fn among(addresses: &[[u32; 4]], offset: u32, width: usize, then: Vec<Instruction>) -> Vec<Instruction> {
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut after = vec![(RETURN, 0, 0, TC_ACT_UNSPEC)];
    let mut groups: Vec<&[[u32; 4]]> = sorted.chunk_by(|a, b| a[..width - 1] == b[..width - 1]).collect();
    while let Some(group) = groups.pop() {
        let mut block: Vec<Instruction> = Vec::new();
        let count = u32::try_from(group.len()).unwrap_or(u32::MAX);
        let place = |word: usize| offset + 4 * u32::try_from(word).unwrap_or(0);
        let behind = u32::try_from(after.len()).unwrap_or(u32::MAX);
        // What the jumps of the list have to pass: the rest of the list, then all that is `after` this group.
        let list = |number: u32| 2 * (count - number - 1);
        for (word, value) in group[0].iter().enumerate().take(width - 1) {
            let rest = u32::try_from(3 * (width - 2 - word)).unwrap_or(0) + 1 + 2 * count;
            block.extend([
                (LOAD_WORD, 0, 0, place(word)),
                (JUMP_IF_EQUAL, 1, 0, *value),
                (JUMP, 0, 0, rest),
            ]);
        }
        block.push((LOAD_WORD, 0, 0, place(width - 1)));
        for (number, address) in (0..count).zip(group) {
            block.extend([
                (JUMP_IF_EQUAL, 0, 1, address[width - 1]),
                (JUMP, 0, 0, list(number) + behind),
            ]);
        }
        block.extend(after);
        after = block;
    }
    after.extend(then);
    after
}

/// An address as the words that a program loads; IPv4 fills the first only.
fn words(address: &IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => [u32::from(*address), 0, 0, 0],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would; a load beyond the end ends it with 0, "pass".
    fn run(program: &[Instruction], packet: &[u8]) -> u32 {
        let (mut loaded, mut at) = (0_u32, 0);
        loop {
            let (code, if_true, if_false, value) = program[at];
            at += 1;
            let load = |count: usize| {
                let start = value as usize;
                let bytes = packet.get(start..start + count)?;
                Some(bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
            };
            let branch = |condition: bool| usize::from(if condition { if_true } else { if_false });
            match code {
                LOAD_WORD | LOAD_HALF | LOAD_BYTE => {
                    let count = [(LOAD_WORD, 4), (LOAD_HALF, 2), (LOAD_BYTE, 1)];
                    let count = count.iter().find(|(it, _)| *it == code).unwrap().1;
                    match load(count) {
                        Some(word) => loaded = word,
                        None => return 0,
                    }
                }
                JUMP => at += value as usize,
                JUMP_IF_EQUAL => at += branch(loaded == value),
                JUMP_IF_BIT => at += branch(loaded & value != 0),
                RETURN => return value,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    fn packet(group: bool, from: &str, to: &str) -> Vec<u8> {
        let mut bytes = vec![u8::from(group), 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8];
        match (from.parse().unwrap(), to.parse().unwrap()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                bytes.extend([0x08, 0x00]);
                bytes.extend([0; 12]);
                bytes.extend([from.octets(), to.octets()].concat());
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                bytes.extend([0x86, 0xdd]);
                bytes.extend([0; 8]);
                bytes.extend([from.octets(), to.octets()].concat());
            }
            _ => panic!("two families"),
        }
        bytes
    }

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|it| it.parse().unwrap()).collect()
    }

    #[test]
    fn only_packets_between_the_two_are_dropped() {
        let senders = addresses("10.0.0.2 10.0.0.4 fd00::2 fd00::4 fd00:1::2");
        let program = program(&senders, &addresses("10.0.0.1 10.1.0.1 fd00::1"));
        for (group, from, to, expected) in [
            (false, "10.0.0.2", "10.0.0.1", TC_ACT_SHOT),
            (false, "10.0.0.4", "10.1.0.1", TC_ACT_SHOT),
            (false, "10.0.0.3", "10.0.0.1", TC_ACT_UNSPEC),
            (false, "10.0.0.2", "10.0.0.9", TC_ACT_UNSPEC),
            (true, "10.0.0.2", "224.0.0.251", TC_ACT_SHOT),
            (true, "10.0.0.3", "224.0.0.251", TC_ACT_UNSPEC),
            (false, "fd00::2", "fd00::1", TC_ACT_SHOT),
            (false, "fd00::4", "fd00::1", TC_ACT_SHOT),
            (false, "fd00:1::2", "fd00::1", TC_ACT_SHOT),
            (false, "fd00:1::4", "fd00::1", TC_ACT_UNSPEC),
            (false, "fd00::2", "fd00::9", TC_ACT_UNSPEC),
            (true, "fd00::4", "ff02::1", TC_ACT_SHOT),
        ] {
            let verdict = run(&program, &packet(group, from, to));
            assert_eq!(verdict, expected, "{from} to {to}");
        }
        let mut arp = packet(true, "10.0.0.2", "10.0.0.1");
        arp[12..14].copy_from_slice(&[0x08, 0x06]);
        arp.splice(14..14, [0; 2]); // its sender lies two bytes further on
        arp.resize(60, 0);
        assert_eq!(run(&program, &arp), TC_ACT_SHOT);
        assert_eq!(run(&program, &[0; 60]), TC_ACT_UNSPEC, "another protocol");
        assert_eq!(run(&program, &[0; 13]), 0, "no frame at all");
    }

    #[test]
    fn every_address_of_a_long_list_counts() {
        let numbered = |kind: &str| -> Vec<IpAddr> {
            let address = |number: u32| match kind {
                "v4" => IpAddr::from((0x0a00_0000 + number).to_be_bytes()),
                _ => IpAddr::from((0xfd00_u128 << 112 | u128::from(number)).to_be_bytes()),
            };
            (1..=250).map(address).collect()
        };
        let senders = [numbered("v4"), numbered("v6")].concat();
        let program = program(&senders, &addresses("10.9.0.1 fd09::1"));
        assert!(program.len() < MOST_INSTRUCTIONS, "{}", program.len());
        for sender in &senders {
            let to = if sender.is_ipv4() { "10.9.0.1" } else { "fd09::1" };
            let verdict = run(&program, &packet(false, &sender.to_string(), to));
            assert_eq!(verdict, TC_ACT_SHOT, "{sender}");
        }
        let verdict = run(&program, &packet(false, "10.0.1.1", "10.9.0.1"));
        assert_eq!(verdict, TC_ACT_UNSPEC);
    }
}
