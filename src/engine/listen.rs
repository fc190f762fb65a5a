//! Listening: what takes time answers with a note, and what follows from it is the core's to say.

use std::sync::Arc;

use rand::Rng;

use crate::core::arrival::Arrival;
use crate::core::event::RunEvent;
use crate::core::time::Timestamp;

use super::astray::at_hand;
use super::drive::{Drive, Error};
use super::note::Note;

impl Drive {
    /// Waits for the first note, or until it is time, and takes in all that is there.
    pub(super) async fn listen(&mut self, wake_at: Option<Timestamp>) -> Result<(), Error> {
        let others = [self.mail.extend_at(), self.steering.deadline(), self.intake_wakes_at()];
        let wake_at = others.into_iter().chain([wake_at]).flatten().min();
        let clock = Arc::clone(&self.ports.clock);
        let timer = async {
            match wake_at {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let first = tokio::select! {
            biased;
            // First, or a busy run would never hear what it is asked for.
            asked = self.control.next() => {
                self.asked(asked, clock.now())?;
                None
            }
            note = self.inbox.recv() => note,
            () = timer => None,
        };
        let now = self.ports.clock.now();
        if let Some(note) = first {
            self.hear(note, now)?;
        }
        while let Ok(note) = self.inbox.try_recv() {
            self.hear(note, now)?;
        }
        self.mail.extend(now, &self.sender);
        self.watch_deadline(now);
        self.watch_intake(now)
    }

    fn hear(&mut self, note: Note, now: Timestamp) -> Result<(), Error> {
        match note {
            Note::Arrivals(arrivals) => {
                arrivals.into_iter().try_for_each(|arrival| self.arrived(arrival, now))
            }
            Note::Fetched { plan, fetched } => self.read_in(&plan, fetched, now),
            Note::Claimed { step, units, claims, result } => self.claimed(step, units, claims, result, now),
            Note::KeysDown(error) => self.keys_are_down(&error),
            Note::Released(settlement) => {
                self.released(settlement);
                Ok(())
            }
            Note::Looked { step, unit, probed, keys } => {
                self.settled(step, unit, keys)?;
                self.arrived(Arrival::Looked { step, unit, probed }, now)
            }
            Note::Ended { step, outcomes, said, calls, keys } => {
                self.count(step, &outcomes, calls);
                if let Some((unit, _)) = outcomes.first() {
                    self.settled(step, *unit, keys)?;
                }
                for message in said {
                    self.tell(RunEvent::Alert { message, dead_letters: None })?;
                }
                self.arrived(Arrival::Ended { step, outcomes }, now)
            }
            Note::Pinned { step, result } => self.pinned(step, result, now),
            Note::Delivered { step, received } => {
                self.desk.queue_answered(step, now);
                self.received(step, received, now)
            }
            Note::Read(items) => {
                self.take_in(items, now);
                Ok(())
            }
            Note::Dried { step } => {
                self.mail.poller_dried(step);
                Ok(())
            }
            Note::QueueAway { step, fault } => {
                self.desk.queue_failed(step, &fault, now);
                self.lost_touch(step);
                Ok(())
            }
            Note::Led(led) => self.led(led),
            Note::QueueDone(result) => {
                self.mail.queue_done();
                at_hand(result).map(drop)
            }
            Note::Failed(error) => Err(Error::Store(error)),
        }
    }

    pub(super) fn arrived(&mut self, arrival: Arrival, now: Timestamp) -> Result<(), Error> {
        let chance = self.chance.random::<f64>();
        Ok(self.desk.hear(arrival, now, chance)?)
    }
}
