//! `driftline-collector`: reads the command line and the environment, and nothing else does.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line talks to people on standard output and standard error"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use driftline_collector::arguments::{
    Arguments, Command, FAILURE, FOUND, LOG_VARIABLE, TokenCommand,
};
use driftline_collector::auth;
use driftline_collector::auth::ending::Standing;
use driftline_collector::auth::tokens::{self, Namesake};
use driftline_collector::check_rules;
use driftline_collector::config::{self, Config, load};
use driftline_collector::serve::{self, Start, upkeep};
use driftline_collector::standards::Standards;
use driftline_collector::store::{Scope, TokenRecord, backup};
use driftline_collector::telemetry;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    #[cfg(feature = "mutants")]
    if let Err(unknown) = driftline_protocol::mutant::check() {
        eprintln!("{unknown}");
        return ExitCode::from(FAILURE);
    }
    let arguments = Arguments::parse();
    let filter = std::env::var(LOG_VARIABLE).ok();
    let done = telemetry::start(arguments.log, filter.as_deref())
        .and_then(|()| run(&arguments.config, arguments.command));
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("driftline-collector: {error:#}");
            ExitCode::from(FAILURE)
        }
    }
}

fn run(file: &Path, command: Command) -> anyhow::Result<ExitCode> {
    if let Command::CheckRules { files } = command {
        return check_the_rules(file, &files);
    }
    obey(file, command).map(|()| ExitCode::SUCCESS)
}

/// Prints what is fine to standard output and every mistake to standard error.
fn check_the_rules(file: &Path, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let checked = match files {
        [] => {
            let there = file.exists() || file != Path::new(load::DEFAULT_FILE);
            check_rules::everything(if there { load::load(file)? } else { Config::default() })?
        }
        files => check_rules::files(files)?,
    };
    for line in &checked.fine {
        println!("{line}");
    }
    for doubt in &checked.doubts {
        eprintln!("warning: {doubt}");
    }
    for mistake in &checked.mistakes {
        eprintln!("{mistake}");
    }
    Ok(if checked.mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn obey(file: &Path, command: Command) -> anyhow::Result<()> {
    match command {
        Command::CheckRules { .. } => Ok(()),
        Command::Serve => {
            let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
            runtime.block_on(run_collector(file))
        }
        Command::CheckConfig => {
            let config = load::load(file)?;
            serve::check(&config)?;
            Standards::load(&Arc::new(config.clone()))?;
            for warning in config.warnings(Timestamp::now()) {
                eprintln!("warning: {warning}");
            }
            println!("{} is fine: listens on {}", file.display(), config.listen);
            Ok(())
        }
        Command::SampleConfig => {
            print!("{}", config::sample());
            Ok(())
        }
        Command::Backup { file: to } => back_up(&load::load(file)?, &to),
        Command::Restore { file: from } => restore(&load::load(file)?, &from),
        Command::Token(command) => manage_tokens(&load::load(file)?, command),
    }
}

async fn run_collector(file: &Path) -> anyhow::Result<()> {
    let config = load::load(file)?;
    let stores = upkeep::open_alone(&config)?;
    let start = Start { config, config_file: Some(file.to_path_buf()), stores };
    let mut terminated = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let shutdown = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    };
    serve::start(start, shutdown).await?.finished().await
}

fn store_file(config: &Config) -> PathBuf {
    config.state_dir.join(upkeep::STORE_FILE)
}

fn manage_tokens(config: &Config, command: TokenCommand) -> anyhow::Result<()> {
    let mut stores = upkeep::open(config)?;
    let uid = rustix::process::getuid().as_raw();
    let who = auth::on_this_machine(uid, std::env::var("SUDO_USER").ok().as_deref());
    let by = (who.as_str(), Timestamp::now());
    match command {
        TokenCommand::Create { name, scope, days, replace } => {
            let scope = Scope::from(scope);
            let named = (name.as_str(), Namesake::of(replace));
            let (append, read) = (&mut *stores.append, &*stores.read);
            let token = tokens::create((append, read), by, named, (scope, days))?;
            println!("{token}");
            eprintln!("shown this once; lives {days} days, and nothing renews it");
        }
        TokenCommand::List => {
            for token in tokens::list(&*stores.read)? {
                let TokenRecord { name, scope, expires_at, .. } = &token;
                let state = Standing::of(&token, by.1).as_str();
                println!("{name}\t{scope:?}\texpires {expires_at}\t{state}");
            }
        }
        TokenCommand::Remove { name } => {
            tokens::remove(&mut *stores.append, &*stores.read, by, &name)?;
        }
    }
    Ok(())
}

fn back_up(config: &Config, to: &Path) -> anyhow::Result<()> {
    backup::save(&store_file(config), to)?;
    println!("{} holds the store as it was a moment ago", to.display());
    Ok(())
}

/// Puts a checked copy of the backup in the place of the store, which stays beside it under another
/// name.
fn restore(config: &Config, from: &Path) -> anyhow::Result<()> {
    upkeep::make_state_dir(config)?;
    let _lock = upkeep::lock(config)?;
    if let Some(aside) = backup::restore(from, &store_file(config))? {
        println!("the store before it is now {}", aside.display());
    }
    println!("{} is the store again; agents fill the gap by themselves", from.display());
    Ok(())
}
