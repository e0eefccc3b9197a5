//! The limits of before a step 1.

use crate::strategy::join::{beside, join};
use crate::strategy::{FunctionName, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Limits by peer and function.
#[derive(Clone, Debug, Default)]
pub(super) struct LimitsBefore {
    /// Names are kept once for all peers, so that remembering costs little.
    functions: BTreeSet<FunctionName>,
    /// In the order of the functions; 0 where a peer has no part in one.
    limits: BTreeMap<NodeId, Vec<u32>>,
}

impl LimitsBefore {
    /// These limits, which are of some of these functions.
    pub(super) fn new<'a, Limits>(
        functions: &BTreeSet<FunctionName>,
        limits: impl IntoIterator<Item = (&'a NodeId, Limits)>,
    ) -> Self
    where
        Limits: IntoIterator<Item = (&'a FunctionName, u32)>,
    {
        let row = |limits| {
            let mut row = vec![0; functions.len()];
            for (place, limit) in join(functions.iter().zip(0_usize..), limits) {
                row[place] = limit;
            }
            row
        };
        let limits = limits.into_iter();
        Self {
            functions: functions.clone(),
            limits: limits.map(|(peer, limits)| (peer.clone(), row(limits))).collect(),
        }
    }

    /// Limits of a peer, each the higher of what is given and what was before.
    pub(super) fn raise<'a>(
        &self,
        peer: &str,
        limits: impl IntoIterator<Item = (&'a FunctionName, u32)>,
    ) -> impl Iterator<Item = (&'a FunctionName, u32)> {
        let row = self.limits.get(peer).into_iter().flatten().copied();
        beside(self.functions.iter().zip(row), limits)
            .map(|(before, function, limit)| (function, limit.max(before.unwrap_or(0))))
    }

    pub(super) fn clear(&mut self) {
        self.limits.clear();
    }
}
