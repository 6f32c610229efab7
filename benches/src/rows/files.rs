//! What reading files costs, from the outside: whole runs of `driftline-agent snapshot`.
//!
//! The hash pass is that same program over a tree of opaque files, where reading, hashing and
//! reporting attributes is all there is to do.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Contender, Depth, MEGABYTE, Standing, cpu_rows, turns};
use crate::programs::find;
use crate::site::Site;
use crate::statistics::{ratio, significant};
use crate::table::{Reached, Row};
use crate::tree::{self, Face};
use crate::usage;

/// A whole pass may cost this share of AIDE's check.
const OF_AIDE: f64 = 0.25;

/// A semantic snapshot of the tree: CPU in seconds and memory in bytes.
const SEMANTIC: (f64, f64) = (1.5, 60e6);

/// A snapshot of a host: CPU in seconds.
const HOST_CPU: f64 = 0.150;

fn rounds(depth: Depth) -> usize {
    if depth == Depth::Full { 11 } else { 3 }
}

/// Full hash pass over the tree, against integrit and AIDE.
///
/// # Errors
/// When a program cannot be run.
pub fn hash(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let root = tree_root(site, Face::Opaque)?;
    let mut contenders = vec![ours(site, &root)?, floor(&root.join("etc"))?];
    contenders.extend(integrit(site, &root)?);
    contenders.extend(aide(site, &root)?);
    let standings = turns(&contenders, rounds(depth))?;
    let (ours, others) = standings.split_first().context("nobody ran")?;
    let bar = |peer: &Standing| match peer.name {
        "integrit" => Some(1.0),
        "AIDE" => Some(OF_AIDE),
        _ => None,
    };
    let peers: Vec<_> = others.iter().map(|peer| (*peer, bar(peer))).collect();
    let mut rows = cpu_rows("hash pass, 5,000 files / 25 MB, warm", *ours, &peers);
    rows.extend(others.iter().filter(|peer| peer.name == "AIDE").map(|aide| Row {
        what: "hash pass: peak memory, MB".into(),
        ours: significant(ours.peak / MEGABYTE),
        peer: format!("AIDE {}", significant(aide.peak / MEGABYTE)),
        ratio: ratio(ours.peak, aide.peak),
        bar: String::new(),
        reached: Reached::NoBar,
    }));
    Ok(rows)
}

/// Semantic snapshot of the tree as configuration text, against the floor and AIDE.
///
/// # Errors
/// When a program cannot be run.
pub fn semantic(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let root = tree_root(site, Face::Configuration)?;
    let mut contenders = vec![ours(site, &root)?, floor(&root.join("etc"))?];
    contenders.extend(aide(site, &root)?);
    let standings = turns(&contenders, rounds(depth))?;
    let (ours, others) = standings.split_first().context("nobody ran")?;
    let (cpu, memory) = SEMANTIC;
    let peers: Vec<_> = others.iter().map(|peer| (*peer, None)).collect();
    let mut rows = cpu_rows("semantic snapshot of the same tree", *ours, &peers);
    for row in &mut rows {
        row.bar = format!("≤ {} s", significant(cpu));
        row.reached = Reached::at_most(ours.cpu, cpu);
    }
    rows.extend(others.first().map(|floor| Row {
        what: "semantic snapshot: peak memory, MB".into(),
        ours: significant(ours.peak / MEGABYTE),
        peer: format!("floor {}", significant(floor.peak / MEGABYTE)),
        ratio: ratio(ours.peak, floor.peak),
        bar: format!("≤ {} MB", significant(memory / MEGABYTE)),
        reached: Reached::at_most(ours.peak, memory),
    }));
    Ok(rows)
}

/// One full snapshot of this host, against the floor and facter.
///
/// # Errors
/// When a program cannot be run.
pub fn snapshot(site: &Site, depth: Depth) -> anyhow::Result<Vec<Row>> {
    let mut whole_floor = floor(Path::new("/etc"))?;
    whole_floor.command.push("--host".into());
    let mut contenders = vec![ours(site, Path::new("/"))?, whole_floor];
    contenders.extend(find("facter").map(|facter| Contender::new("facter", [&facter, "--json"])));
    let standings = turns(&contenders, rounds(depth))?;
    let (ours, others) = standings.split_first().context("nobody ran")?;
    let peers: Vec<_> = others.iter().map(|peer| (*peer, None)).collect();
    let mut rows = cpu_rows("snapshot of this host, all sources, warm", *ours, &peers);
    for row in &mut rows {
        row.bar = format!("≤ {} s", significant(HOST_CPU));
        row.reached = Reached::at_most(ours.cpu, HOST_CPU);
    }
    rows.extend(others.last().map(|peer| Row {
        what: "snapshot of this host: peak memory, MB".into(),
        ours: significant(ours.peak / MEGABYTE),
        peer: format!("{} {}", peer.name, significant(peer.peak / MEGABYTE)),
        ratio: ratio(ours.peak, peer.peak),
        bar: String::new(),
        reached: Reached::NoBar,
    }));
    Ok(rows)
}

/// The root folder with the tree in `etc`, written on first use.
///
/// # Errors
/// Any error of writing.
pub fn tree_root(site: &Site, face: Face) -> anyhow::Result<PathBuf> {
    let root = site.path(if face == Face::Opaque { "opaque" } else { "configuration" });
    if !root.exists() {
        tree::write(&root.join("etc"), (face, tree::FILES)).context("writing the tree")?;
    }
    Ok(root)
}

fn ours(site: &Site, root: &Path) -> anyhow::Result<Contender> {
    // A configuration that is not there: the defaults, whatever this machine has in /etc.
    let config = site.path("none.toml").display().to_string();
    let agent = site.program("driftline-agent");
    let root = root.display().to_string();
    let command = [&agent, "--config", &config, "snapshot", "--root", &root];
    Ok(Contender::new("Driftline", command))
}

fn floor(tree: &Path) -> anyhow::Result<Contender> {
    let own = std::env::current_exe()?.display().to_string();
    Ok(Contender::new("floor", [&own, "floor", &tree.display().to_string()]))
}

/// integrit's check against a database made just now, if it is installed.
fn integrit(site: &Site, root: &Path) -> anyhow::Result<Option<Contender>> {
    let Some(program) = find("integrit") else { return Ok(None) };
    let (config, known) = (site.path("integrit.conf"), site.path("known.cdb"));
    let current = site.path("current.cdb");
    let (tree, config_text) = (root.display(), config.display().to_string());
    let text = format!("root={tree}\nknown={}\ncurrent={}\n", known.display(), current.display());
    fs::write(&config, text)?;
    usage::measure(&[program.clone(), "-C".into(), config_text.clone(), "-u".into()])?;
    fs::rename(&current, &known).context("integrit made no database")?;
    Ok(Some(Contender::new("integrit", [program, "-C".into(), config_text, "-c".into()])))
}

/// AIDE's check against a database made just now, if it is installed.
fn aide(site: &Site, root: &Path) -> anyhow::Result<Option<Contender>> {
    let Some(program) = find("aide") else { return Ok(None) };
    let (config, database) = (site.path("aide.conf"), site.path("aide.db"));
    let text = format!(
        "database_in=file:{0}\ndatabase_out=file:{0}.new\ngzip_dbout=no\nreport_url=stdout\n\
         R=p+i+n+u+g+s+m+c+sha256\n{1} R\n",
        database.display(),
        root.display(),
    );
    fs::write(&config, text)?;
    let config = format!("--config={}", config.display());
    usage::measure(&[program.clone(), config.clone(), "--init".into()])?;
    let made = site.path("aide.db.new");
    fs::rename(made, database).context("AIDE made no database")?;
    Ok(Some(Contender::new("AIDE", [program, config, "--check".into()])))
}
