//! A hostile peer: it sends forged and garbled messages, and repeats real ones.
//!
//! It has no key of a member, so the model hands its messages to the machines only as far as the machines must cope with them by
//! themselves: those of processes that no Lease names, and old messages of members. Members that lie are out of scope
//! (docs/threat-model.md).

use std::time::Duration;

use super::super::Event;
use super::World;
use crate::fleet::record::{Heartbeat, Incarnation, Member, Phase};

impl World {
    /// Lets the hostile peer note a message of a member. TLS does not let it read any, but it may have been a member's proxy before.
    pub(super) fn overhear(&mut self, heartbeat: &Heartbeat, sent: Duration) {
        if let Some(overheard) = &mut self.overheard {
            let place = self.random.usize(..64);
            match overheard.get_mut(place) {
                Some(old) if self.random.u8(..) < 16 => *old = (heartbeat.clone(), sent),
                Some(_) => {}
                None => overheard.push((heartbeat.clone(), sent)),
            }
        }
    }

    /// Lets the hostile peer send a process a few messages: old ones of members, and forged ones of processes without a Lease.
    pub(super) fn attack(&mut self, p: usize) {
        let Some(overheard) = &self.overheard else { return };
        if overheard.is_empty() || self.random.u8(..) < 200 {
            return;
        }
        let (heartbeat, sent) = overheard[self.random.usize(..overheard.len())].clone();
        let clock = self.clock(p);
        let mut forged = heartbeat.clone();
        forged.member.id.nonce = self.random.u64(..);
        forged.member.life += self.random.u64(..1000);
        forged.member.phase = [Phase::Left, Phase::Leaving, Phase::Fit][self.random.usize(..3)];
        forged.member.address = "203.0.113.1:1".to_owned();
        forged.now = self.random.u64(..);
        forged.confirmed_age = Some(0);
        if let Some(record) = &mut forged.record {
            record.revision += self.random.u64(1..1_000_000);
            record.current.generation = record.revision;
            match self.random.u8(..3) {
                0 => record.current.layout = 2,
                1 => record.current.total = 64,
                _ => record.current.absent = (0..record.current.total).collect(),
            }
        }
        let stranger = Member {
            id: Incarnation { ordinal: self.random.u32(..5), ..forged.member.id.clone() },
            ..forged.member.clone()
        };
        let machine = &mut self.processes[p].machine;
        for event in [
            Event::HeartbeatReceived(heartbeat),
            Event::HeartbeatReceived(forged.clone()),
            Event::HeartbeatReceived(Heartbeat { member: stranger.clone(), ..forged.clone() }),
            // No member sends its heartbeat to the hostile peer, so it answers none: such an answer is one of another connection.
            Event::HeartbeatAnswered(forged.clone(), sent),
            Event::HeartbeatAnswered(Heartbeat { member: stranger, ..forged.clone() }, clock.boot),
            Event::ConnectionLost(forged.member.id),
        ] {
            machine.handle(event, clock);
        }
    }
}
