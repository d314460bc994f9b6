//! Finds missing and duplicated objects, given the objects of the cluster and those that replicas serve. No clock, no I/O.

use std::collections::{BTreeMap, HashMap};

/// The objects of a resource: UID -> `namespace/name`, or the name alone.
pub(super) type Objects = HashMap<String, String>;

/// The result of one comparison of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    /// The plural of the resource.
    pub resource: String,
    /// The number of objects in the cluster.
    pub objects: usize,
    /// The number of different objects that are served.
    pub served: usize,
    /// The number of objects of each replica, in the order of the replicas.
    pub by_replica: Vec<usize>,
    /// Objects that no replica serves: UID -> name. Only those that existed both before and after the replicas were asked.
    pub missing: BTreeMap<String, String>,
    /// Objects that several replicas serve: UID -> name and replicas.
    pub doubled: BTreeMap<String, (String, Vec<usize>)>,
}

impl Finding {
    /// Compares `served`, the UIDs of each replica, with the objects of the cluster before and after.
    pub fn new(resource: &str, before: &Objects, served: &[Vec<String>], after: &Objects) -> Self {
        let mut servers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (replica, uids) in served.iter().enumerate() {
            for uid in uids {
                servers.entry(uid).or_default().push(replica);
            }
        }
        let there = before.iter().filter(|(uid, _)| after.contains_key(*uid));
        let missing = there.filter(|(uid, _)| !servers.contains_key(uid.as_str()));
        // NB: ignores deleted objects, which replicas may serve for a moment longer.
        let named = |uid: &str| after.get(uid).filter(|_| before.contains_key(uid));
        let doubled = servers.iter().filter(|(_, by)| by.len() > 1).filter_map(|(uid, by)| {
            let name = named(uid)?;
            Some(((*uid).to_owned(), (name.clone(), by.clone())))
        });
        Self {
            resource: resource.to_owned(),
            objects: after.len(),
            served: servers.len(),
            by_replica: served.iter().map(Vec::len).collect(),
            missing: missing.map(|(uid, name)| (uid.clone(), name.clone())).collect(),
            doubled: doubled.collect(),
        }
    }

    /// Whether an object is missing or served more than once.
    pub fn has_differences(&self) -> bool {
        !self.missing.is_empty() || !self.doubled.is_empty()
    }

    /// Keeps only the differences that are also in `earlier`.
    pub fn confirming(mut self, earlier: &Self) -> Self {
        self.missing.retain(|uid, _| earlier.missing.contains_key(uid));
        self.doubled.retain(|uid, _| earlier.doubled.contains_key(uid));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn objects(uids: &[&str]) -> Objects {
        uids.iter().map(|uid| ((*uid).to_owned(), format!("ns/{uid}"))).collect()
    }

    fn look(before: &[&str], served: &[&[&str]], after: &[&str]) -> Finding {
        let served: Vec<Vec<_>> = served.iter().map(|uids| uids.iter().map(|u| (*u).to_owned()).collect()).collect();
        Finding::new("pods", &objects(before), &served, &objects(after))
    }

    fn missing(finding: &Finding) -> Vec<&str> {
        finding.missing.values().map(String::as_str).collect()
    }

    #[test]
    fn an_object_that_no_replica_serves_is_missing_if_it_existed_all_the_time() {
        let finding = look(&["a", "b", "gone"], &[&["a"], &[]], &["a", "b", "new"]);
        assert_eq!((missing(&finding), finding.doubled.len()), (vec!["ns/b"], 0));
        assert_eq!((finding.objects, finding.served, finding.by_replica.as_slice()), (3, 1, [1, 0].as_slice()));
    }

    #[test]
    fn an_object_of_several_replicas_is_doubled_and_they_are_named() {
        let finding = look(&["a", "b"], &[&["a", "b"], &["b"], &["b", "gone"], &["gone"]], &["a", "b"]);
        assert_eq!(finding.missing.len(), 0);
        assert_eq!(finding.doubled.values().collect::<Vec<_>>(), [&("ns/b".to_owned(), vec![0, 1, 2])]);
    }

    #[test]
    fn only_findings_of_two_rounds_are_reported() {
        let first = look(&["a", "b", "c", "d"], &[&["c", "d"], &["c", "d"]], &["a", "b", "c", "d"]);
        let second = look(&["a", "b", "c", "d"], &[&["a", "c"], &["c", "d"]], &["a", "b", "c", "d"]).confirming(&first);
        assert_eq!(missing(&second), ["ns/b"]);
        assert_eq!(second.doubled.values().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["ns/c"]);
        assert!(!look(&["a"], &[&["a"]], &["a"]).confirming(&first).has_differences());
    }

    proptest! {
        /// A cluster that lives and replicas that are a bounded number of events behind: once they have had that many
        /// events more, nothing of the first look is confirmed.
        #[test]
        fn a_healthy_fleet_is_not_accused(
            events in proptest::collection::vec((any::<bool>(), 0..60_usize), 1..60),
            at in 0..60_usize,
            behind in proptest::collection::vec(0..5_usize, 3),
        ) {
            // A UID is born once, and dies once.
            let state = |count: usize| {
                let mut there = Objects::new();
                for (i, (born, other)) in events.iter().take(count).enumerate() {
                    if *born {
                        there.insert(format!("uid-{i}"), String::new());
                    } else {
                        there.remove(&format!("uid-{other}"));
                    }
                }
                there
            };
            let served = |at: usize| -> Vec<Vec<String>> {
                let slice = |replica: usize| {
                    let owned = move |uid: &String| uid.bytes().map(usize::from).sum::<usize>() % 3 == replica;
                    state(at.saturating_sub(behind[replica])).into_keys().filter(owned).collect()
                };
                (0..3).map(slice).collect()
            };
            let first = Finding::new("pods", &state(at), &served(at), &state(at + 1));
            // The second look begins when all that was there at the first has arrived.
            let later = at + 5;
            let second = Finding::new("pods", &state(later), &served(later), &state(later + 1)).confirming(&first);
            prop_assert!(!second.has_differences(), "{second:?}");
        }
    }
}
