//! Many trials of one world, a few at a time.
//!
//! Outcomes come back in order of trials, whoever finished first.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};

use super::answer::Respond;
use super::outcome::Outcome;
use super::plan::{Design, World, trial};

/// How many programs run at once.
const WORKERS: usize = 2;

/// A design, and how many files of it.
pub type Files = (Design, u64);

/// Makes and answers every file.
///
/// # Errors
/// When the responder fails or does not answer every change exactly once.
pub fn run(
    world: &World,
    responder: &dyn Respond,
    designs: &[Files],
    seed: u64,
) -> anyhow::Result<Vec<Outcome>> {
    let tasks: Vec<(Design, u64)> =
        designs.iter().flat_map(|(design, files)| (0..*files).map(|n| (*design, n))).collect();
    let next = AtomicU64::new(0);
    let done = Mutex::new(Vec::new());
    let work = || -> anyhow::Result<()> {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed) as usize;
            let Some((design, number)) = tasks.get(place) else { return Ok(()) };
            let outcomes = answered(world, responder, (*design, *number), seed)
                .with_context(|| format!("{}, {design:?} {number}", world.name()))?;
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((place, outcomes));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(_) => anyhow::bail!("a trial panicked"),
        })
    })?;
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().flat_map(|(_, outcomes)| outcomes).collect())
}

fn answered(
    world: &World,
    responder: &dyn Respond,
    (design, file): (Design, u64),
    seed: u64,
) -> anyhow::Result<Vec<Outcome>> {
    let Some(mut trial) = trial(world, design, seed, file) else { return Ok(Vec::new()) };
    let answers = responder.respond(&trial)?;
    ensure!(answers.len() == trial.planted.len(), "{} answers", answers.len());
    let mut outcomes = Vec::new();
    for (rank, answer) in answers.into_iter().enumerate() {
        let place = trial.planted.iter().position(|planted| planted.change.id == answer.id);
        let planted = trial.planted.swap_remove(place.with_context(|| answer.id.clone())?);
        outcomes.push(Outcome { design, file, planted, answer, rank });
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::simple::Simple;
    use crate::trials::synthetic::{ALL, Shape};
    use crate::trials::truth::Truth;

    #[test]
    fn outcomes_come_in_the_order_of_trials() {
        let world = World::Made(Shape { services: 2, ..ALL[0].clone() });
        let designs = [(Design::Each(Truth::Effect), 3), (Design::Ten, 1)];
        let read = || {
            let outcomes = run(&world, &Simple, &designs, 5).unwrap();
            let key = |o: &Outcome| (o.design, o.file, o.rank, o.answer.p_value.map(f64::to_bits));
            outcomes.iter().map(key).collect::<Vec<_>>()
        };
        let outcomes = read();
        assert_eq!(outcomes.len(), 16);
        assert!(outcomes.is_sorted_by_key(|outcome| (outcome.0, outcome.1, outcome.2)));
        assert_eq!(outcomes, read());
    }
}
