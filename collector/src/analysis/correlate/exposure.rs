//! When a change reached which site, and in which waves.
//!
//! Waves are the distinct moments at which sites were reached. A site that is reached later is a
//! clean control until then; one that was reached earlier never is.

use super::coverage::HOUR;
use super::settings::Settings;
use super::verdict::Reason;
use crate::analysis::cases::{Candidate, Exposure, Stream};

/// Above this many distinct moments neighbours are taken together, earliest first.
const MAX_WAVES: usize = 16;
/// Longest window, so that four reference weeks cannot overlap it.
pub const MAX_WINDOW_HOURS: u32 = 7 * 24;

/// Where and when a change was made.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// For each site of the stream, the wave that reached it.
    pub(super) wave_of: Vec<Option<usize>>,
    /// The moment of each wave, earliest first.
    pub(super) waves: Vec<i64>,
    /// How long after its moment a wave is looked at, in seconds.
    pub(super) window: i64,
}

impl Reach {
    /// Where `candidate` was made, or why nobody can say.
    pub(super) fn of(
        candidate: &Candidate,
        stream: &Stream,
        window_hours: u32,
    ) -> Result<Self, Reason> {
        let mut moments: Vec<Option<i64>> = match &candidate.exposure {
            Exposure::Unknown => return Err(Reason::UnknownExposure),
            Exposure::Everywhere => vec![Some(candidate.at); stream.sites.len()],
            Exposure::Sites(names) => {
                let mut moments = vec![None; stream.sites.len()];
                for name in names {
                    set(&mut moments, (stream, name), candidate.at);
                }
                moments
            }
        };
        for (name, at) in &candidate.waves {
            set(&mut moments, (stream, name), *at);
        }
        let waves = grouped(moments.iter().flatten().copied().collect());
        if waves.is_empty() {
            return Err(Reason::NoEligibleSite);
        }
        let wave = |at: &i64| waves.partition_point(|start| start <= at).saturating_sub(1);
        let wave_of = moments.iter().map(|moment| moment.as_ref().map(wave)).collect();
        Ok(Self { wave_of, waves, window: i64::from(window_hours) * HOUR })
    }

    /// The moment of the first wave.
    pub(super) fn first(&self) -> i64 {
        self.waves.first().copied().unwrap_or(0)
    }

    /// When the change reached `site`, if it did.
    pub(super) fn reached(&self, site: usize) -> Option<i64> {
        let wave = (*self.wave_of.get(site)?)?;
        self.waves.get(wave).copied()
    }
}

/// How long `candidate` is looked at, in hours: its own word, its kind's, or the default.
pub(super) fn window_hours(candidate: &Candidate, settings: &Settings) -> u32 {
    let of_kind = || candidate.kind.as_ref().and_then(|kind| settings.windows.get(kind)).copied();
    let hours = candidate.window_hours.or_else(of_kind).unwrap_or(settings.window_hours);
    hours.clamp(1, MAX_WINDOW_HOURS)
}

fn set(moments: &mut [Option<i64>], (stream, name): (&Stream, &String), at: i64) {
    if let Ok(index) = stream.sites.binary_search(name)
        && let Some(moment) = moments.get_mut(index)
    {
        *moment = Some(at);
    }
}

/// The distinct moments, neighbours taken together until there are few enough.
fn grouped(mut moments: Vec<i64>) -> Vec<i64> {
    moments.sort_unstable();
    moments.dedup();
    let mut width = HOUR;
    while moments.len() > MAX_WAVES {
        let mut kept: Vec<i64> = Vec::new();
        for moment in moments {
            if kept.last().is_none_or(|start| moment - start >= width) {
                kept.push(moment);
            }
        }
        moments = kept;
        width *= 2;
    }
    moments
}
