//! Cohorts of sites that weigh as much as the exposed ones: which they are, and how they are drawn.
//!
//! A cohort takes sites in random order as long as they fit, wave by wave, until it holds the share
//! of cases the true wave held. Where few sites are eligible, or few cohorts of several waves
//! exist, all cohorts of about that share are listed instead (`listing`).

use driftline_protocol::mutant::{self, Mutant};

use super::listing::{self, Way};
use super::panel::{Panel, add};
use crate::analysis::stats::random::Random;

/// Sites up to which all cohorts of one wave are listed: two to this power are fewer than draws.
const LISTED_SITES: usize = 13;
/// Sites up to which cohorts of several waves are looked for: beyond, one of each of two waves are
/// more than draws.
const LISTED_STAGED_SITES: usize = 100;
/// How far from the true share a cohort may be, as a part of it.
pub(super) const TOLERANCE: f32 = 0.15;

/// Draws cohorts from a panel, and holds the sums of the last one.
pub(super) struct Cohorts<'a> {
    panel: &'a Panel,
    targets: Vec<f32>,
    /// Where the exposed sites truly are.
    own: Way,
    order: Vec<usize>,
    random: Random,
    /// For each wave the sum of the rows of its sites.
    pub(super) sums: Vec<Vec<f32>>,
    /// Whether the last cohort is the true one.
    pub(super) same: bool,
}

impl<'a> Cohorts<'a> {
    /// Cohorts that weigh as the exposed sites of `panel` do.
    pub(super) fn new(panel: &'a Panel, random: Random) -> Self {
        let mut targets = vec![0.0; panel.shape.waves];
        for row in &panel.rows {
            if let Some(target) = row.wave.and_then(|wave| targets.get_mut(wave)) {
                *target += row.size;
            }
        }
        Self::of(panel, random, targets)
    }

    /// Cohorts with half of all cases.
    pub(super) fn halves(panel: &'a Panel, random: Random) -> Self {
        let mut targets = vec![0.0; panel.shape.waves];
        if let Some(first) = targets.first_mut() {
            *first = panel.size / 2.0;
        }
        Self::of(panel, random, targets)
    }

    fn of(panel: &'a Panel, random: Random, targets: Vec<f32>) -> Self {
        let rows = panel.rows.iter().enumerate();
        let own = rows.filter_map(|(site, row)| Some((site, row.wave?)));
        Self {
            panel,
            targets,
            own: own.collect(),
            order: (0..panel.rows.len()).collect(),
            random,
            sums: vec![vec![0.0; panel.shape.width()]; panel.shape.waves],
            same: false,
        }
    }

    /// All cohorts of about the true share; `None` where they are drawn instead, because more than
    /// `most` of several waves exist, or sites are many.
    pub(super) fn listed(&self, most: u32) -> Option<Vec<Way>> {
        let one_wave = !self.is_staged();
        let sites = if one_wave { LISTED_SITES } else { LISTED_STAGED_SITES };
        if self.panel.rows.len() > sites
            || (!one_wave && mutant::active(Mutant::StagedCohortsAreDrawn))
        {
            return None;
        }
        let most = if one_wave { usize::MAX } else { most as usize };
        let sizes: Vec<f32> = self.panel.rows.iter().map(|row| row.size).collect();
        listing::all(&sizes, &self.targets, most)
    }

    /// Whether the true cohort has several waves.
    pub(super) fn is_staged(&self) -> bool {
        self.targets.len() > 1
    }

    /// Brings cohorts into random order.
    pub(super) fn shuffle(&mut self, ways: &mut [Way]) {
        self.random.shuffle(ways);
    }

    /// Takes the cohort of these sites.
    pub(super) fn take(&mut self, way: &[(usize, usize)]) {
        self.clear();
        self.same = *way == *self.own;
        for (site, wave) in way {
            if let (Some(row), Some(sum)) = (self.panel.rows.get(*site), self.sums.get_mut(*wave)) {
                add(sum, &row.numbers);
            }
        }
    }

    /// How many of `ways` hardly any count could tell from the true one: they differ in waves that
    /// are still open, or in sites far lighter than the heaviest of each wave.
    pub(super) fn ties(&self, ways: &[Way]) -> usize {
        if !self.is_staged() {
            return 1;
        }
        let complete = self.panel.shape.complete();
        let size = |site: usize| self.panel.rows.get(site).map_or(0.0, |row| row.size);
        let heaviest = complete.iter().filter_map(|wave| {
            let sites = self.own.iter().filter(|(_, of)| of == wave);
            sites.map(|(site, _)| size(*site)).reduce(f32::max)
        });
        let light = TOLERANCE * heaviest.reduce(f32::min).unwrap_or(0.0);
        let counts =
            |(site, wave): &&(usize, usize)| size(*site) >= light && complete.contains(wave);
        let tied = |way: &&Way| way.iter().filter(counts).eq(self.own.iter().filter(counts));
        ways.iter().filter(tied).count()
    }

    /// Draws a cohort.
    pub(super) fn draw(&mut self) {
        self.clear();
        self.random.shuffle(&mut self.order);
        let mut sizes = vec![0.0; self.targets.len()];
        for place in &self.order {
            let Some(row) = self.panel.rows.get(*place) else { continue };
            let fits = |(size, target): (&f32, &f32)| size + row.size <= target * (1.0 + TOLERANCE);
            let wave = sizes
                .iter()
                .zip(&self.targets)
                .position(|(size, target)| size < target && fits((size, target)));
            self.same &= wave == row.wave;
            let Some(wave) = wave else { continue };
            if let (Some(size), Some(sum)) = (sizes.get_mut(wave), self.sums.get_mut(wave)) {
                *size += row.size;
                add(sum, &row.numbers);
            }
        }
    }

    /// A number below `bound`, from the same sequence as the cohorts.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound)
    }

    fn clear(&mut self) {
        self.same = true;
        for sum in &mut self.sums {
            sum.fill(0.0);
        }
    }
}

/// The sum over waves: what all exposed sites did together.
pub(super) fn together(sums: &[Vec<f32>]) -> Vec<f32> {
    let mut all = vec![0.0; sums.first().map_or(0, Vec::len)];
    for sum in sums {
        add(&mut all, sum);
    }
    all
}
