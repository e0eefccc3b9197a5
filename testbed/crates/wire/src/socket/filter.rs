//! Socket filters in classic BPF: which interfaces a socket hears, and which socket of a group hears an
//! interface. Classic programs need no privilege beyond the socket itself.

use std::os::fd::AsFd;

use libc::sock_filter;

use super::option::set_program;
use crate::WireError;

/// Ranges of interface indexes a filter may have. Links whose interfaces are made together have neighbouring
/// indexes, so there is mostly one; beyond this many, ranges with the least between them are joined, and what
/// comes in too much is thrown away by the engine.
const MOST_RANGES: usize = 256;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const RETURN_LOADED: u16 = (libc::BPF_RET | 0x10) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_IF_ABOVE: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const JUMP_IF_NOT_BELOW: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
const INTERFACE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_IFINDEX) as u32;
const WHOLE_PACKET: u32 = u32::MAX;

/// Lets a socket hear the given interfaces only, and only what comes in through them.
pub(super) fn hear_only(socket: impl AsFd, interfaces: &[u32]) -> Result<(), WireError> {
    let program = program_for(interfaces);
    set_program(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program).map_err(|source| {
        WireError::Configure {
            option: "SO_ATTACH_FILTER",
            source,
        }
    })
}

/// Lets a socket hear what leaves its interface, what comes in through it, or both.
pub(super) fn hear_ways(socket: impl AsFd, leaving: bool, coming: bool) -> Result<(), WireError> {
    let verdict = |heard: bool| instruction(RETURN, 0, 0, if heard { WHOLE_PACKET } else { 0 });
    let program = [
        instruction(LOAD, 0, 0, PACKET_TYPE),
        instruction(JUMP_IF_EQUAL, 0, 1, u32::from(libc::PACKET_OUTGOING)),
        verdict(leaving),
        verdict(coming),
    ];
    set_program(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program).map_err(|source| {
        WireError::Configure {
            option: "SO_ATTACH_FILTER",
            source,
        }
    })
}

/// Makes a fanout group choose its socket by the interface index, modulo the number of sockets.
pub(super) fn choose_by_interface(socket: impl AsFd) -> Result<(), WireError> {
    let program = [
        instruction(LOAD, 0, 0, INTERFACE),
        instruction(RETURN_LOADED, 0, 0, 0),
    ];
    set_program(socket, libc::SOL_PACKET, libc::PACKET_FANOUT_DATA, &program).map_err(|source| {
        WireError::Configure {
            option: "PACKET_FANOUT_DATA",
            source,
        }
    })
}

fn program_for(interfaces: &[u32]) -> Vec<sock_filter> {
    let ranges = ranges_of(interfaces);
    if ranges.is_empty() {
        return vec![instruction(RETURN, 0, 0, 0)];
    }
    let mut program = vec![
        instruction(LOAD, 0, 0, PACKET_TYPE),
        instruction(JUMP_IF_EQUAL, 0, 1, u32::from(libc::PACKET_OUTGOING)),
        instruction(RETURN, 0, 0, 0),
        instruction(LOAD, 0, 0, INTERFACE),
    ];
    search(&ranges, &mut program);
    program
}

/// Binary search over the ranges, as a tree of comparisons. Jumps only go forward, as they must.
fn search(ranges: &[(u32, u32)], program: &mut Vec<sock_filter>) {
    if let [(low, high)] = *ranges {
        program.extend([
            instruction(JUMP_IF_NOT_BELOW, 0, 2, low),
            instruction(JUMP_IF_ABOVE, 1, 0, high),
            instruction(RETURN, 0, 0, WHOLE_PACKET),
            instruction(RETURN, 0, 0, 0),
        ]);
        return;
    }
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let Some(&(middle, _)) = right.first() else { return };
    program.push(instruction(JUMP_IF_NOT_BELOW, 0, 1, middle));
    // Conditional jumps reach 255 instructions only, this one everywhere.
    let jump = program.len();
    program.push(instruction(JUMP, 0, 0, 0));
    search(left, program);
    program[jump].k = (program.len() - jump - 1) as u32;
    search(right, program);
}

/// The interfaces as ascending ranges that do not touch.
fn ranges_of(interfaces: &[u32]) -> Vec<(u32, u32)> {
    let mut sorted = interfaces.to_vec();
    sorted.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for interface in sorted {
        match ranges.last_mut() {
            Some((_, high)) if interface <= high.saturating_add(1) => *high = interface,
            _ => ranges.push((interface, interface)),
        }
    }
    join_nearest(ranges)
}

fn join_nearest(ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    if ranges.len() <= MOST_RANGES {
        return ranges;
    }
    let mut gaps: Vec<u32> = ranges.windows(2).map(|pair| pair[1].0 - pair[0].1).collect();
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    let widest_joined = gaps[MOST_RANGES - 1];
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(MOST_RANGES);
    for (low, high) in ranges {
        match joined.last_mut() {
            Some((_, end)) if low - *end <= widest_joined => *end = high,
            _ => joined.push((low, high)),
        }
    }
    joined
}

fn instruction(code: u16, if_true: u8, if_false: u8, value: u32) -> sock_filter {
    sock_filter {
        code,
        jt: if_true,
        jf: if_false,
        k: value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a filter as the kernel would.
    fn run(program: &[sock_filter], packet_type: u32, interface: u32) -> u32 {
        let mut loaded = 0;
        let mut at = 0;
        loop {
            let step = program[at];
            at += 1;
            let branch = |condition: bool| usize::from(if condition { step.jt } else { step.jf });
            match step.code {
                LOAD if step.k == PACKET_TYPE => loaded = packet_type,
                LOAD if step.k == INTERFACE => loaded = interface,
                RETURN => return step.k,
                JUMP => at += step.k as usize,
                JUMP_IF_EQUAL => at += branch(loaded == step.k),
                JUMP_IF_ABOVE => at += branch(loaded > step.k),
                JUMP_IF_NOT_BELOW => at += branch(loaded >= step.k),
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn hears_exactly_the_interfaces_asked_for() {
        let sets: [Vec<u32>; 5] = [
            vec![],
            vec![7],
            vec![9, 3, 4, 5],
            (0..100).map(|number| number * 3 + 2).collect(),
            (10..2010).collect(),
        ];
        for interfaces in sets {
            let program = program_for(&interfaces);
            for interface in 0..2100 {
                let heard = run(&program, 0, interface) > 0;
                assert_eq!(heard, interfaces.contains(&interface), "{interface}");
                assert_eq!(run(&program, u32::from(libc::PACKET_OUTGOING), interface), 0);
            }
        }
    }

    #[test]
    fn very_scattered_interfaces_make_a_coarser_filter() {
        let interfaces: Vec<u32> = (0..1000)
            .map(|number| number * 2 + 1000 * (number / 500))
            .collect();
        let program = program_for(&interfaces);
        assert!(program.len() <= 6 * MOST_RANGES + 4, "{}", program.len());
        assert!(
            interfaces
                .iter()
                .all(|&interface| run(&program, 0, interface) > 0)
        );
        assert_eq!(run(&program, 0, 1500), 0, "the wide gap stays");
    }
}
