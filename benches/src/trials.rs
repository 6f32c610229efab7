//! The full trials of the correlation engine: every truth, every world, and the simple method of
//! the literature beside it in the same worlds, so that the numbers say how hard the trials are.
//!
//! Knows which designs make a campaign and how the page is headed; worlds, truths and tables are
//! the judge's own (`driftline_tests::trials`). A campaign follows from its seed.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use driftline_tests::trials::answer::{Program, Respond};
use driftline_tests::trials::campaign::{self, Files};
use driftline_tests::trials::plan::{Design, World};
use driftline_tests::trials::report::Report;
use driftline_tests::trials::simple::Simple;
use driftline_tests::trials::truth::Truth;
use driftline_tests::trials::{servicenow, synthetic};

/// What is tried.
#[derive(Debug, Args)]
pub struct Trials {
    /// The program `driftline`.
    #[arg(long)]
    program: PathBuf,
    /// The incidents of UCI data set 498, unpacked; without it only made streams are tried.
    #[arg(long)]
    cases: Option<PathBuf>,
    /// Shapes of made streams by name; all when none is named.
    #[arg(long)]
    shape: Vec<String>,
    /// Trials of each kind.
    #[arg(long, default_value_t = 400)]
    trials: u64,
    /// Repeats a campaign; a new one from the clock when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the page is written; only printed when absent.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// Tries everything and gives the page; each world's part is handed to `done` as it is ready.
///
/// # Errors
/// When a file cannot be read, or the program does not answer.
pub fn page(trials: &Trials, done: &dyn Fn(&str)) -> anyhow::Result<String> {
    let seed = trials.seed.unwrap_or_else(|| jiff::Timestamp::now().as_second().unsigned_abs());
    let program = Program::at(trials.program.canonicalize().context("finding the program")?);
    let mut page = head(trials, seed);
    done(&page);
    for world in worlds(trials)? {
        let designs = designs(&world, trials.trials);
        let (ours, seconds) = part(&world, &program, &designs, seed)?;
        let (simple, _) = part(&world, &Simple, &designs, seed)?;
        let part = format!(
            "## {}\n\n{} by `{}`, {seconds:.0} s.\n\n{}\n{}",
            world.name(),
            eligible(&world),
            program.name(),
            Report(&ours).markdown(),
            beside(&Report(&simple)),
        );
        done(&part);
        page.push_str(&part);
    }
    Ok(page)
}

fn head(trials: &Trials, seed: u64) -> String {
    format!(
        "# Trials of the correlation engine\n\n\
         Written by `benches/run trials`. Every share has its 95 % Wilson interval. Truths are\n\
         known because they were put in; the simulator's author has not read the engine. The\n\
         simple method (exposed against unexposed, window against the same hours of four weeks\n\
         before) answers the same trials.\n\n\
         - date: {}\n- driftline: {}\n- seed: {seed}\n- trials of each kind: {}\n\n",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        env!("CARGO_PKG_VERSION"),
        trials.trials,
    )
}

fn worlds(trials: &Trials) -> anyhow::Result<Vec<World>> {
    let mut worlds = Vec::new();
    if let Some(path) = &trials.cases {
        let text = std::fs::read_to_string(path).context("reading the cases")?;
        worlds.push(World::Real(servicenow::read(&text)?));
    }
    let named = |name: &str| trials.shape.is_empty() || trials.shape.iter().any(|n| n == name);
    worlds.extend(synthetic::ALL.into_iter().filter(|s| named(s.name)).map(World::Made));
    ensure!(!worlds.is_empty(), "no shape has this name");
    Ok(worlds)
}

/// As many files as give `trials` of every kind: of a real stream one change a file, of a made one
/// a change for each service.
fn designs(world: &World, trials: u64) -> Vec<Files> {
    let changes = match world {
        World::Real(_) => 1,
        World::Made(shape) => shape.services as u64,
    };
    let mut designs: Vec<Files> = Truth::ALL
        .into_iter()
        .map(|truth| {
            // Of each ratio as many as of any other truth.
            let kinds = if truth == Truth::Effect { 5 } else { 1 };
            (Design::Each(truth), (kinds * trials).div_ceil(changes))
        })
        .collect();
    designs.push((Design::Shuffled, (trials * 5 / 2).div_ceil(changes)));
    designs.push((Design::Ten, trials));
    designs.push((Design::Mix, trials.div_ceil(4)));
    designs
}

fn part(
    world: &World,
    responder: &dyn Respond,
    designs: &[Files],
    seed: u64,
) -> anyhow::Result<(Vec<driftline_tests::trials::outcome::Outcome>, f64)> {
    let begin = std::time::Instant::now();
    let outcomes = campaign::run(world, responder, designs, seed)?;
    Ok((outcomes, begin.elapsed().as_secs_f64()))
}

/// Who takes part.
fn eligible(world: &World) -> String {
    match world {
        World::Real(stream) => format!(
            "{} cases, {} sites, {} services of which the {} with 600 cases or more are changed; \
             a site is eligible for a cohort when it had a case of the service before the change. \
             Answers",
            stream.cases.len(),
            stream.sites.len(),
            stream.services.len(),
            world.eligible(stream).len(),
        ),
        World::Made(shape) => format!(
            "{} services with about {} cases a week, {} sites in {} regions, {} weeks. Answers",
            shape.services, shape.weekly, shape.sites, shape.regions, shape.weeks,
        ),
    }
}

fn beside(simple: &Report<'_>) -> String {
    let mut text = String::from("| the simple method here | measured |\n|---|---|\n");
    for bar in simple.bars() {
        text.push_str(&format!("| {} | {} |\n", bar.what, bar.measured));
    }
    text.push('\n');
    text
}
