use jiff::Timestamp;
use stillpoint_core::{ResourceKind, ResourceRef, Result};

use super::effect::is_of;
use super::observe::{Question, done, output};
use super::thing::Thing;
use super::world::World;
use crate::key::Ticket;
use crate::observation::Observation;
use crate::operation::Operation;
use crate::output::Output;

/// Between the content id and the time in a ticket: neither has it.
const THEN: char = ' ';

/// A system in which only the reply says what came of a call.
impl World {
    /// What the reply of a call that is over says: the content id it made, and when.
    pub(super) fn reply(&self, now: Timestamp, number: u64) -> Ticket {
        let mut made = self.things.iter().filter(|(_, thing)| is_of(thing, number));
        match made.next() {
            Some((reference, _)) => Ticket::new(format!("{}{THEN}{now}", reference.id())),
            None => Ticket::new("null"),
        }
    }

    pub(super) fn observe_by_reply(&self, ask: Question<'_>) -> Result<Observation> {
        Ok(match ask.operation {
            Operation::Attach { .. } | Operation::Detach { .. } => {
                // `get_disks` tells.
                match self.is_so(ask.operation)? {
                    true => done(Output::Nothing),
                    false => Observation::Absent,
                }
            }
            Operation::CreateInstance { .. } => self.observe_cid(ask, ResourceKind::Instance)?,
            Operation::CreateVolume { .. } => self.observe_cid(ask, ResourceKind::Volume)?,
            Operation::DeleteInstance { instance: gone }
            | Operation::DeleteVolume { volume: gone } => {
                // `has_vm` and `has_disk` tell.
                match self.things.contains_key(gone) {
                    true => Observation::Absent,
                    false => done(Output::Nothing),
                }
            }
            Operation::Snapshot(_) => self.observe_cid(ask, ResourceKind::Snapshot)?,
            _ if ask.ticket.is_some() => done(Output::Nothing),
            _ => unknown(ask),
        })
    }

    fn observe_cid(&self, ask: Question<'_>, kind: ResourceKind) -> Result<Observation> {
        let Some(cid) = ask
            .ticket
            .and_then(|ticket| ticket.as_str().split(THEN).next())
        else {
            return Ok(unknown(ask));
        };
        let reference: ResourceRef = self.reference(kind, cid)?;
        let thing: Option<&Thing> = self.things.get(&reference);
        Ok(
            match thing.and_then(|thing| output(&vec![(&reference, thing)])) {
                Some(output) => done(output),
                None => Observation::Absent,
            },
        )
    }
}

fn unknown(ask: Question<'_>) -> Observation {
    Observation::Unknown {
        settles_at: None,
        evidence: format!(
            "the CPI was called to {} under {}, its reply is lost, and it has no call to ask",
            ask.operation, ask.key
        ),
    }
}
