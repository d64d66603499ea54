//! How long the first epoch of a stage will take: by what a token took in the stage before, or by its own first steps.
//!
//! In: what a fit tells its watcher, and the time. Out: seconds, where they can be told. Says nothing by itself; no result depends
//! on it.

use std::time::Instant;

use crate::train::{EpochCost, EpochReport};

/// Of the fits that one process does after each other.
#[derive(Debug, Default)]
pub struct Pace {
    /// Seconds a token of the last epoch that began here, whichever stage it was of.
    a_token: Option<f64>,
    /// Begun here: of one that an earlier process began the tokens are not known.
    epoch: Option<EpochCost>,
    first_steps: Option<FirstSteps>,
}

/// Steps of an epoch whose time could not be told before it.
#[derive(Debug)]
struct FirstSteps {
    /// Left out: memory is touched first, threads wake.
    warm: usize,
    /// Timed after these.
    timed: usize,
    done: usize,
    begun: Option<Instant>,
}

impl Pace {
    /// The cost of an epoch that begins, with its time where it can be told. `warm`: how many of its steps say nothing of the others,
    /// where it is the first of a process.
    pub fn epoch_begins(&mut self, cost: &EpochCost, warm: usize) -> EpochCost {
        let by_token = self.a_token.map(|seconds| seconds * cost.tokens as f64);
        let cost = EpochCost {
            seconds: cost.seconds.or(by_token),
            ..*cost
        };
        let others = cost.steps.saturating_sub(warm);
        self.first_steps = cost.seconds.is_none().then(|| FirstSteps {
            warm,
            timed: warm.min(others / 4).max(1), // while most of the epoch is still to come
            done: 0,
            begun: (warm == 0).then(Instant::now),
        });
        self.epoch = Some(cost);
        cost
    }

    /// A step is done. Gives the seconds that all steps of the epoch may take, once, where they were not known before it.
    pub fn step(&mut self, now: Instant) -> Option<f64> {
        let (first, steps) = (self.first_steps.as_mut()?, self.epoch?.steps);
        first.done += 1;
        if first.done == first.warm {
            first.begun = Some(now);
        }
        if first.done < first.warm + first.timed {
            return None;
        }
        let FirstSteps { timed, begun, .. } = self.first_steps.take()?;
        let seconds = now.saturating_duration_since(begun?).as_secs_f64();
        Some(seconds / timed as f64 * steps as f64)
    }

    /// An epoch is over.
    pub fn epoch_ends(&mut self, report: &EpochReport) {
        self.first_steps = None;
        let begun_here = self.epoch.take().filter(|cost| cost.epoch == report.epoch);
        if let Some(cost) = begun_here.filter(|cost| cost.tokens > 0) {
            self.a_token = Some(report.seconds / cost.tokens as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::{MetricName, ValidFigures};
    use crate::objective::ObjectiveName;

    fn cost(stage: usize, epoch: usize, steps: usize) -> EpochCost {
        EpochCost {
            stage,
            epoch,
            steps,
            tokens: 100 * steps,
            seconds: None,
        }
    }

    fn report(epoch: usize, seconds: f64) -> EpochReport {
        EpochReport {
            stage: "mlm".to_owned(),
            objective: ObjectiveName::Mlm,
            valid: ValidFigures::new(MetricName::Auc, Default::default()),
            epoch,
            steps: 0,
            loss: 0.0,
            losses: Default::default(),
            learning_rate: 0.0,
            seconds,
            tokens_per_second: 0.0,
            held_out: Default::default(),
            curve: Vec::new(),
        }
    }

    /// What is told at which step, where each takes a second.
    fn told(pace: &mut Pace, steps: usize) -> Vec<(usize, f64)> {
        let begun = Instant::now();
        let after = |step: usize| begun + Duration::from_secs(step as u64);
        (1..=steps)
            .filter_map(|step| Some((step, pace.step(after(step))?)))
            .collect()
    }

    #[test]
    fn the_first_epoch_is_told_once_its_warm_steps_are_over() {
        let mut pace = Pace::default();
        assert_eq!(pace.epoch_begins(&cost(0, 1, 400), 10).seconds, None);
        assert_eq!(told(&mut pace, 400), [(20, 400.0)]);
        // A short one, while most of it is to come.
        let mut pace = Pace::default();
        pace.epoch_begins(&cost(0, 1, 18), 10);
        assert_eq!(told(&mut pace, 18), [(12, 18.0)]);
        // One that is all warm.
        let mut pace = Pace::default();
        pace.epoch_begins(&cost(0, 1, 8), 10);
        assert_eq!(told(&mut pace, 8), []);
    }

    #[test]
    fn a_stage_is_told_by_the_tokens_of_the_one_before() {
        let mut pace = Pace::default();
        pace.epoch_begins(&cost(0, 1, 40), 10);
        pace.epoch_ends(&report(1, 80.0));
        assert_eq!(pace.epoch_begins(&cost(1, 2, 10), 10).seconds, Some(20.0));
        assert_eq!(told(&mut pace, 10), []);
        // The stage itself knows better.
        let known = EpochCost {
            seconds: Some(7.0),
            ..cost(1, 3, 10)
        };
        assert_eq!(pace.epoch_begins(&known, 10).seconds, Some(7.0));
    }

    #[test]
    fn an_epoch_that_an_earlier_process_began_tells_nothing() {
        let mut pace = Pace::default();
        assert_eq!(told(&mut pace, 30), []);
        pace.epoch_ends(&report(1, 80.0));
        assert_eq!(pace.epoch_begins(&cost(1, 2, 40), 10).seconds, None);
        assert_eq!(told(&mut pace, 40), [(17, 40.0)]);
    }
}
