//! What operators ask of a fleet, in annotations of its StatefulSet. Every member reads them, and the coordinator follows them.
//!
//! All of them describe a state and not an action: any coordinator follows them alike, and removing one ends its effect.
//! docs/fleet.md explains them. May not know the state machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::sharding::MOST_SHARDS;
use crate::shown;

/// The prefix of all annotations of this program.
const PREFIX: &str = "kube-state-fleet.io/";
/// While it is `true`, the coordinator starts no handover except for members that leave.
pub const PAUSE: &str = "kube-state-fleet.io/pause-handovers";
/// The ordinals that the coordinator treats as absent. The others take over their ranges.
pub const EXCLUDE: &str = "kube-state-fleet.io/exclude-members";
/// The ordinals that give up the coordinator role to any other member.
pub const AVOID: &str = "kube-state-fleet.io/avoid-coordinators";

/// The most problems that are reported.
const MOST_PROBLEMS: usize = 8;

/// The instructions of one StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instructions {
    /// Whether handovers are paused.
    pub paused: bool,
    /// The ordinals that should serve nothing.
    pub excluded: BTreeSet<u32>,
    /// The ordinals that should not coordinate.
    pub avoided: BTreeSet<u32>,
    /// What could not be read, each as a short line; such an annotation has no effect.
    pub problems: Vec<String>,
}

impl Instructions {
    /// Reads the annotations of a StatefulSet.
    pub fn read(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let mut read = Self::default();
        for (name, value) in annotations.into_iter().flatten().filter(|(name, _)| name.starts_with(PREFIX)) {
            let expected = match name.as_str() {
                PAUSE => bool_of(value).map(|paused| read.paused = paused).ok_or("true or false"),
                EXCLUDE => ordinals(value).map(|ordinals| read.excluded = ordinals).ok_or(ORDINALS),
                AVOID => ordinals(value).map(|ordinals| read.avoided = ordinals).ok_or(ORDINALS),
                _ => Err(""),
            };
            let name = shown::value(name);
            match expected {
                Ok(()) => {}
                Err(_) if read.problems.len() >= MOST_PROBLEMS => {}
                Err("") => read.problems.push(format!("unknown annotation {name}")),
                Err(expected) => {
                    let value = shown::value(value);
                    read.problems
                        .push(format!("annotation {name}: \"{value}\" is ignored, because it is not {expected}"));
                }
            }
        }
        read
    }
}

const ORDINALS: &str = "a list of ordinals such as 0,2";

fn bool_of(value: &str) -> Option<bool> {
    value.trim().parse().ok()
}

fn ordinals(value: &str) -> Option<BTreeSet<u32>> {
    let ordinal = |text: &str| text.trim().parse().ok().filter(|ordinal| *ordinal < MOST_SHARDS);
    if value.trim().is_empty() { Some(BTreeSet::new()) } else { value.split(',').map(ordinal).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(annotations: &[(&str, &str)]) -> Instructions {
        let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Instructions::read(Some(&annotations.collect()))
    }

    #[test]
    fn instructions_are_read_from_annotations() {
        let all = read(&[(PAUSE, "true"), (EXCLUDE, "3, 1"), (AVOID, "0"), ("other.io/pause-handovers", "x")]);
        let expected =
            Instructions { paused: true, excluded: [1, 3].into(), avoided: [0].into(), ..Instructions::default() };
        assert_eq!(all, expected);
        assert_eq!(read(&[(PAUSE, "false"), (EXCLUDE, "")]), Instructions::default());
        assert_eq!(Instructions::read(None), Instructions::default());
    }

    #[test]
    fn an_instruction_that_cannot_be_read_has_no_effect_and_is_reported() {
        let bad =
            read(&[(PAUSE, "yes\n"), (EXCLUDE, "1,-2"), (AVOID, "99999999"), ("kube-state-fleet.io/pauze", "true")]);
        assert_eq!((bad.paused, bad.excluded.len(), bad.avoided.len()), (false, 0, 0));
        assert_eq!(bad.problems.len(), 4);
        assert!(bad.problems.iter().all(|line| line.len() < 600 && !line.contains('\n')), "{:?}", bad.problems);
    }
}
