//! Changes of a running lab, written with the keys and units of the files: `delay=200ms forward.loss=1%`.

use std::collections::HashSet;

use serde::Deserialize;

use crate::document::Override;
use crate::document::decode::decode;
use crate::document::overrides;
use crate::document::sources::Sources;
use crate::document::spanned::Spanned;
use crate::document::tree::{Span, Tree};
use crate::error::{Fault, ModelError, Problem, Problems};
use crate::topology::link_file::{HasImpairments, ImpairmentFile, LinkChangeFile};
use crate::topology::preset::Direction;
use crate::topology::validate::{impairment, nodes};
use crate::topology::{ImpairmentChange, Limits, NodeFile};
use crate::units::ByteSize;

/// A change of a link from the impairment keys of a topology file: one alone is for both directions, one behind
/// `forward.` or `backward.` for that direction only. Returns the change of each direction, `forward` first.
///
/// # Errors
/// Unknown keys, values that do not fit, and keys that are given twice.
pub fn link_change(settings: &[Override]) -> Result<[ImpairmentChange; 2], ModelError> {
    let mut sources = Sources::default();
    let mut problems = Problems::default();
    let file = problems.keep(section(settings, &mut sources).and_then(|tree| decode(&tree)));
    let change = file.map(|file| directions(&file, &mut problems));
    problems.or(change, &sources)
}

/// What `file` changes in each direction.
fn directions(file: &LinkChangeFile, problems: &mut Problems) -> [ImpairmentChange; 2] {
    let both = file.impairments();
    for part in [Some(&both), file.forward.as_ref(), file.backward.as_ref()]
        .into_iter()
        .flatten()
    {
        impairment::refuse_files(part, problems);
    }
    let mut direction = |own: Option<&ImpairmentFile>, direction| {
        let both = impairment::change(&both, direction, problems);
        match own {
            Some(own) => impairment::change(own, direction, problems).or(&both),
            None => both,
        }
    };
    [
        direction(file.forward.as_ref(), Direction::Forward),
        direction(file.backward.as_ref(), Direction::Backward),
    ]
}

/// What a running node may use from now on: `cpus=0.5`, `memory=256MiB`, `pids=100`; `none` takes a limit away.
/// Returns `before` with the change.
///
/// # Errors
/// Unknown keys, values that do not fit, and keys that are given twice.
pub fn limits_change(before: &Limits, settings: &[Override]) -> Result<Limits, ModelError> {
    let mut sources = Sources::default();
    let mut problems = Problems::default();
    let (lifted, set): (Vec<&Override>, Vec<&Override>) = settings
        .iter()
        .partition(|setting| setting.value.trim() == "none" && LIMIT_KEYS.contains(&setting.path.as_str()));
    let file: Option<LimitsFile> =
        problems.keep(section(set.iter().copied(), &mut sources).and_then(|tree| decode(&tree)));
    let after = file.map(|file| {
        let asked = NodeFile {
            cpus: file.cpus,
            memory: file.memory,
            pids: file.pids,
            ..NodeFile::default()
        };
        let asked = nodes::limits(&asked, &mut problems);
        let is_lifted = |key: &str| lifted.iter().any(|setting| setting.path == key);
        Limits {
            cpus: asked.cpus.or(before.cpus.filter(|_| !is_lifted("cpus"))),
            memory_bytes: asked
                .memory_bytes
                .or(before.memory_bytes.filter(|_| !is_lifted("memory"))),
            pids: asked.pids.or(before.pids.filter(|_| !is_lifted("pids"))),
        }
    });
    problems.or(after, &sources)
}

const LIMIT_KEYS: [&str; 3] = ["cpus", "memory", "pids"];

/// The keys of a node that limit it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    cpus: Option<Spanned<f64>>,
    memory: Option<Spanned<ByteSize>>,
    pids: Option<Spanned<u64>>,
}

/// Settings as the section of a file that they stand for.
fn section<'a>(
    settings: impl IntoIterator<Item = &'a Override>,
    sources: &mut Sources,
) -> Result<Tree, Problem> {
    let mut tree = Tree::empty_map(Span::default());
    let mut seen = HashSet::new();
    for setting in settings {
        let assignment = overrides::read(setting, sources)?;
        if !seen.insert(&setting.path) {
            let (key, span) = (setting.path.clone(), assignment.value.span);
            return Err(Problem::new(Fault::DuplicateKey { key }, span));
        }
        overrides::apply(&mut tree, &assignment)?;
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(text: &str) -> Vec<Override> {
        let read = |word: &str| {
            let (path, value) = word.split_once('=').unwrap();
            let (path, value) = (path.to_owned(), value.to_owned());
            Override { path, value }
        };
        text.split(' ')
            .filter(|word| !word.is_empty())
            .map(read)
            .collect()
    }

    fn refused(text: &str) -> String {
        link_change(&settings(text)).unwrap_err().line()
    }

    #[test]
    fn a_key_is_for_both_directions_unless_it_names_one() {
        let [forward, backward] = link_change(&settings("delay=200ms forward.delay=5ms loss=1%")).unwrap();
        assert_eq!(forward.delay, Some(Duration::from_millis(5)));
        assert_eq!(backward.delay, Some(Duration::from_millis(200)));
        assert_eq!([forward.loss, backward.loss], [Some(0.01); 2]);
        assert_eq!([forward.rate, forward.jitter.map(|_| 0)], [None; 2]);
    }

    #[test]
    fn a_mistake_is_named_with_what_was_meant() {
        assert_eq!(refused("dealy=5ms"), "unknown key `dealy`; did you mean `delay`?");
        assert_eq!(
            refused("backward.jiter=5ms"),
            "unknown key `jiter`; did you mean `jitter`?"
        );
        assert!(refused("delay=5").contains("5"), "{}", refused("delay=5"));
        assert_eq!(refused("delay=5ms delay=6ms"), "duplicate key `delay`");
        assert!(refused("sideways.delay=5ms").starts_with("unknown key `sideways`"));
    }

    #[test]
    fn limits_change_one_by_one_and_can_be_lifted() {
        let before = Limits {
            cpus: Some(2.0),
            memory_bytes: Some(1 << 30),
            pids: None,
        };
        let after = limits_change(&before, &settings("cpus=0.5 memory=none pids=64")).unwrap();
        let expected = Limits {
            cpus: Some(0.5),
            memory_bytes: None,
            pids: Some(64),
        };
        assert_eq!(after, expected);
        assert_eq!(limits_change(&before, &[]).unwrap(), before);
        for wrong in [
            "cpus=0",
            "memory=12",
            "cpu=1",
            "cpus=1 cpus=2",
            "pids=none-at-all",
        ] {
            assert!(limits_change(&before, &settings(wrong)).is_err(), "{wrong}");
        }
    }
}
