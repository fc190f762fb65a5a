//! How a stand-in fails: what it was told, and the chance that decides call by call.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How a stand-in fails. The default is a healthy one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Share of calls (0 to 1) that are answered with 500, with nothing done.
    pub errors: f64,
    /// How long each call takes before anything is done, in milliseconds.
    pub latency_ms: u64,
    /// Out of order until told otherwise: every call is answered with 503, nothing is done.
    pub outage: bool,
    /// Out of order for so many calls.
    pub outage_calls: u64,
    /// Out of order for so long from now, in milliseconds.
    pub outage_ms: u64,
    /// `Retry-After`, in seconds, that goes with 503; without it the 503 says nothing.
    pub retry_after_s: Option<u64>,
    /// Keys (SKU, external ID) whose writes are refused, as content that is at fault.
    pub refuse: Vec<String>,
    /// SKUs whose create the PIM does by half: the object is saved, and the answer says it failed.
    pub half: Vec<String>,
    /// Share of writing calls (0 to 1) that are done, but whose answer is dropped.
    pub drops: f64,
    /// The answers of the next so many writing calls are dropped, after the work is done.
    pub drop_next: u64,
    /// The seed of chance; `None`: any, see [`super::Sandbox::pim_seed`].
    pub seed: Option<u64>,
}

/// What befalls a call before any work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// Nothing.
    Spared,
    /// This status, and nothing is done.
    Failed(u16),
}

/// The faults in force.
pub(super) struct Weather {
    faults: Faults,
    seed: u64,
    chance: StdRng,
    outage_until: Option<Instant>,
}

impl Weather {
    pub(super) fn new(faults: &Faults) -> Self {
        let seed = faults.seed.unwrap_or_else(rand::random);
        let mut weather =
            Self { faults: Faults::default(), seed, chance: StdRng::seed_from_u64(seed), outage_until: None };
        weather.set(faults.clone());
        weather
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Replaces the faults; the chance goes on, unless a seed is given.
    pub(super) fn set(&mut self, faults: Faults) {
        if let Some(seed) = faults.seed {
            self.seed = seed;
            self.chance = StdRng::seed_from_u64(seed);
        }
        let outage = Duration::from_millis(faults.outage_ms);
        self.outage_until = (!outage.is_zero()).then(|| Instant::now() + outage);
        self.faults = faults;
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.faults.latency_ms)
    }

    /// Decides about one call, and counts it.
    pub(super) fn strike(&mut self) -> Strike {
        if self.faults.outage || self.outage_until.is_some_and(|until| Instant::now() < until) {
            return Strike::Failed(503);
        }
        if self.faults.outage_calls > 0 {
            self.faults.outage_calls -= 1;
            return Strike::Failed(503);
        }
        if self.happens(self.faults.errors) { Strike::Failed(500) } else { Strike::Spared }
    }

    /// Decides whether the answer of a call that wrote is dropped, and counts it.
    pub(super) fn drops(&mut self) -> bool {
        if self.faults.drop_next > 0 {
            self.faults.drop_next -= 1;
            return true;
        }
        self.happens(self.faults.drops)
    }

    fn happens(&mut self, rate: f64) -> bool {
        rate > 0.0 && self.chance.random_bool(rate.min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_fails_the_same_calls() {
        let faults = Faults { errors: 0.3, seed: Some(7), ..Faults::default() };
        let strikes = || {
            let mut weather = Weather::new(&faults);
            (0..100).map(|_| weather.strike()).collect::<Vec<_>>()
        };
        assert_eq!(strikes(), strikes());
        let failed = strikes().iter().filter(|strike| **strike == Strike::Failed(500)).count();
        assert!((15..45).contains(&failed), "{failed}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_ends_with_its_calls_or_its_time() {
        let mut weather = Weather::new(&Faults { outage_calls: 2, ..Faults::default() });
        let strikes: Vec<Strike> = (0..3).map(|_| weather.strike()).collect();
        assert_eq!(strikes, [Strike::Failed(503), Strike::Failed(503), Strike::Spared]);

        weather.set(Faults { outage_ms: 500, ..Faults::default() });
        assert_eq!(weather.strike(), Strike::Failed(503));
        tokio::time::advance(Duration::from_millis(501)).await;
        assert_eq!(weather.strike(), Strike::Spared);
    }
}
