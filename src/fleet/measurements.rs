//! The last measured switch of each cause. The coordinator measures, and heartbeats tell the others, so that the next coordinator
//! knows what the last one measured, and a member that leaves knows that its switch was measured.

use std::collections::BTreeMap;

use super::handover::Cause;
use super::record::MeasuredSwitch;
use crate::sync::watch;

/// The last measured switches.
#[derive(Debug, Default)]
pub struct Measurements(watch::Sender<BTreeMap<Cause, MeasuredSwitch>>);

impl Measurements {
    /// Returns the last measured switch of each cause.
    pub fn get(&self) -> BTreeMap<Cause, MeasuredSwitch> {
        self.0.borrow().clone()
    }

    /// Notes a measured switch, unless a later one of its cause is known. Returns whether it is news.
    pub fn note(&self, cause: Cause, switch: MeasuredSwitch) -> bool {
        self.0.send_if_modified(|known| {
            let is_new = known.get(&cause).is_none_or(|known| known.generation < switch.generation);
            if is_new {
                known.insert(cause, switch);
            }
            is_new
        })
    }

    /// Notifies of news.
    pub(super) fn changed(&self) -> watch::Receiver<BTreeMap<Cause, MeasuredSwitch>> {
        self.0.subscribe()
    }

    /// Notes the measurements in a heartbeat. A cause that this version does not know is left out.
    pub(super) fn note_all(&self, measured: &BTreeMap<String, MeasuredSwitch>) {
        for cause in Cause::ALL {
            if let Some(switch) = measured.get(cause.name()) {
                self.note(cause, *switch);
            }
        }
    }

    /// Returns the measurements for a heartbeat.
    pub(super) fn named(&self) -> BTreeMap<String, MeasuredSwitch> {
        self.0.borrow().iter().map(|(cause, switch)| (cause.name().to_owned(), *switch)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_measurement_of_a_cause_replaces_an_earlier_one_whoever_tells_it() {
        let of = |generation| MeasuredSwitch { generation, gap: generation, overlap: None };
        let measurements = Measurements::default();
        assert!(measurements.note(Cause::Leave, of(5)));
        assert!(!measurements.note(Cause::Leave, of(5)) && !measurements.note(Cause::Leave, of(4)));
        let told = [("leave".to_owned(), of(3)), ("rejoin".to_owned(), of(6)), ("unheard-of".to_owned(), of(9))];
        measurements.note_all(&told.into());
        assert_eq!(measurements.get(), [(Cause::Leave, of(5)), (Cause::Rejoin, of(6))].into());
        assert_eq!(measurements.named().len(), 2);
    }
}
