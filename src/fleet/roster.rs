//! The keys of the members, as their Leases publish them. Only the right to write a Lease of the fleet makes a process a member.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::record::{Incarnation, KeyDigest, Member};
use super::refusals::{Reason, Refusals};
use crate::sharding::MOST_SHARDS;
use crate::sync::lock;

/// The ordinal, the resourceVersion and the content of a member's Lease; no content if it is not valid.
pub(super) type ReadLease = (u32, u64, Option<Member>);

/// The keys of all members. While the API server is away, the known keys hold.
#[derive(Debug, Default)]
pub struct Roster {
    entries: Mutex<BTreeMap<u32, Entry>>,
    /// Notifies that a stranger showed an unknown key.
    unknown: Notify,
    /// What this member refused.
    pub refusals: Arc<Refusals>,
}

/// The Lease of one ordinal.
#[derive(Debug)]
struct Entry {
    /// Its resourceVersion, or that of its deletion.
    version: u64,
    /// `None` if it was deleted, or has no key.
    holder: Option<(KeyDigest, Incarnation)>,
    /// The IP address at which the member is reached.
    ip: Option<IpAddr>,
}

impl Entry {
    fn new(version: u64, member: Option<&Member>) -> Self {
        let address = |member: &Member| member.address.parse::<SocketAddr>().ok();
        Self {
            version,
            holder: member.and_then(|member| Some((member.key?, member.id.clone()))),
            ip: member.and_then(address).map(|address| address.ip().to_canonical()),
        }
    }
}

impl Roster {
    /// Returns the process that has `key`, if its Lease publishes the key.
    pub fn identify(&self, key: &KeyDigest) -> Option<Incarnation> {
        let entries = self.entries();
        let mut holders = entries.values().filter_map(|entry| entry.holder.as_ref());
        holders.find(|(known, _)| known == key).map(|(_, id)| id.clone())
    }

    /// Whether a Lease names this IP address. It proves nothing: others may share it.
    pub fn is_member_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.entries().values().any(|entry| entry.ip == Some(ip))
    }

    /// Notes the Lease of an ordinal as of a resourceVersion; no member if it was deleted or is not valid. An older version than
    /// the known one changes nothing.
    pub(super) fn learn(&self, ordinal: u32, version: u64, member: Option<&Member>) {
        let mut entries = self.entries();
        if ordinal < MOST_SHARDS && entries.get(&ordinal).is_none_or(|known| known.version <= version) {
            entries.insert(ordinal, Entry::new(version, member));
        }
    }

    /// Replaces all entries by those of a complete list.
    pub(super) fn reset<'a>(&self, leases: impl Iterator<Item = &'a ReadLease>) {
        let listed = leases.filter(|(ordinal, ..)| *ordinal < MOST_SHARDS);
        *self.entries() =
            listed.map(|(ordinal, version, member)| (*ordinal, Entry::new(*version, member.as_ref()))).collect();
    }

    /// Notes that a stranger showed an unknown key: its Lease may be newer than the known ones.
    pub fn note_unknown(&self, key: &KeyDigest) {
        self.refusals.note(Reason::UnknownKey, format_args!("key {key} on the fleet port"));
        self.unknown.notify_one();
    }

    /// Waits until a stranger has shown an unknown key.
    pub(super) async fn unknown(&self) {
        self.unknown.notified().await;
    }

    /// The roster of members with these ordinals and IP addresses.
    #[cfg(test)]
    pub(crate) fn of_members(members: impl Iterator<Item = (u32, IpAddr)>) -> Self {
        let roster = Self::default();
        *roster.entries() =
            members.map(|(ordinal, ip)| (ordinal, Entry { version: 1, holder: None, ip: Some(ip) })).collect();
        roster
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u32, Entry>> {
        lock(&self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::handover::{Config, Machine};

    fn member(ordinal: u32, nonce: u64) -> Member {
        let id = Incarnation { ordinal, pod: "pod".to_owned(), nonce };
        let (address, fleet) = (String::new(), String::new());
        let key = Some(KeyDigest([nonce as u8; 32]));
        let config = Config {
            owns_pod: Some(true),
            id,
            address,
            key,
            fleet,
            hash: crate::sharding::Hasher::default(),
            overlap: Default::default(),
            on_lost_quorum: Default::default(),
            seamless: false,
        };
        Machine::new(config).heartbeat(super::super::clock::now()).member
    }

    #[test]
    fn a_key_holds_until_its_lease_names_another_one_or_is_deleted() {
        let roster = Roster::default();
        let learn = |member: &Member, version| roster.learn(member.id.ordinal, version, Some(member));
        let key = |nonce: u8| KeyDigest([nonce; 32]);
        learn(&member(1, 7), 10);
        assert_eq!(roster.identify(&key(7)), Some(member(1, 7).id));
        learn(&member(1, 8), 11);
        assert_eq!(roster.identify(&key(7)), None, "another process holds the Lease");
        learn(&member(1, 7), 10);
        assert_eq!(roster.identify(&key(7)), None, "an older version arrives late");
        roster.learn(1, 12, None);
        learn(&member(1, 8), 11);
        assert_eq!(roster.identify(&key(8)), None, "the Lease was deleted");
        learn(&member(1, 9), 13);
        assert_eq!(roster.identify(&key(9)), Some(member(1, 9).id));
        learn(&member(MOST_SHARDS, 10), 14);
        assert_eq!(roster.identify(&key(10)), None, "no fleet has so many members");
        roster.reset(std::iter::empty());
        assert_eq!(roster.identify(&key(9)), None);
    }
}
