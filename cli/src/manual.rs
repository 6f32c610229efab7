//! Manual pages of the three programs, from the declarations that their command lines are parsed by
//! and from the constants they go by.
//!
//! Agent and collector declare theirs in their libraries, so neither carries what makes a page. A
//! page tells all of its program and refers to no page that nobody makes.

use std::path::Path;

use clap::{Command, CommandFactory, ValueEnum};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use driftline_agent::{arguments as agent, config as agent_config, platform};
use driftline_collector::arguments as collector;
use driftline_collector::config::{Config, load};

use crate::Cli;
use crate::help::{self, Listed};

/// A program that has a manual page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Program {
    Driftline,
    DriftlineAgent,
    DriftlineCollector,
}

/// What a page tells beside the declarations: each a name and what is said of it.
struct Facts {
    files: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    exit: Vec<(u8, &'static str)>,
}

impl Program {
    fn command(self) -> Command {
        match self {
            Self::Driftline => Cli::command(),
            Self::DriftlineAgent => agent::Arguments::command(),
            Self::DriftlineCollector => collector::Arguments::command(),
        }
    }

    /// Section 1 holds what anybody runs, 8 what the system's administrator does (man-pages(7)).
    fn section(self) -> &'static str {
        match self {
            Self::Driftline => "1",
            Self::DriftlineAgent | Self::DriftlineCollector => "8",
        }
    }

    fn facts(self) -> Facts {
        match self {
            Self::Driftline => of_the_command(),
            Self::DriftlineAgent => of_the_agent(),
            Self::DriftlineCollector => of_the_collector(),
        }
    }

    /// The pages of the other programs.
    fn see_also(self) -> String {
        let others = Self::value_variants().iter().filter(|other| **other != self);
        let page = |other: &Self| format!("{}({})", other.command().get_name(), other.section());
        others.map(page).collect::<Vec<_>>().join(", ")
    }
}

/// The manual page of `program`, as roff.
///
/// # Errors
/// None in practice: it is written to memory.
pub(crate) fn page(program: Program) -> anyhow::Result<String> {
    let command = program.command().subcommand_value_name("COMMAND");
    let man = Man::new(command.clone()).section(program.section());
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if program == Program::Driftline {
        in_groups(&command).to_writer(&mut text)?;
    } else {
        section("COMMANDS").to_writer(&mut text)?;
        each(command.get_name(), &command, &mut text)?;
    }
    let Facts { files, environment, exit } = program.facts();
    list("FILES", &files).to_writer(&mut text)?;
    list("ENVIRONMENT", &environment).to_writer(&mut text)?;
    let exit: Vec<_> = exit.iter().map(|(code, what)| (code.to_string(), what)).collect();
    list("EXIT STATUS", &exit).to_writer(&mut text)?;
    let mut see_also = section("SEE ALSO");
    see_also.text([roman(program.see_also())]).to_writer(&mut text)?;
    man.render_version_section(&mut text)?;
    let text = String::from_utf8(text)?;
    // Each part begins with the same definition, which is needed once.
    let head = Roff::new().render();
    Ok(format!("{head}{}", text.replace(&head, "")))
}

fn section(heading: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    roff
}

/// Names with what is said of each.
fn list(heading: &str, entries: &[(String, impl AsRef<str>)]) -> Roff {
    let mut roff = section(heading);
    for (name, what) in entries {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(what.as_ref())]);
    }
    roff
}

/// Every command of `driftline` under what people do with it; they are too many to be told whole.
fn in_groups(command: &Command) -> Roff {
    let mut roff = section("COMMANDS");
    for (heading, commands) in help::groups(command) {
        roff.control("SS", [heading]);
        for Listed { name, about } in commands {
            roff.control("TP", []);
            roff.text([bold(format!("driftline {name}"))]);
            roff.text([roman(about)]);
        }
    }
    roff.control("PP", []);
    roff.text([bold("driftline help"), roman(" with the name of a command tells all of it.")]);
    roff
}

/// Every command below `parent`, called `name`, with its options.
fn each(name: &str, parent: &Command, text: &mut Vec<u8>) -> anyhow::Result<()> {
    for command in parent.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("{name} {}", command.get_name());
        if command.has_subcommands() {
            each(&name, command, text)?;
            continue;
        }
        let command = command.clone().disable_help_flag(true);
        let positional = command.get_positionals().map(|argument| {
            let value = argument.get_id().as_str().to_uppercase();
            if argument.is_required_set() { value } else { format!("[{value}]...") }
        });
        let arguments = positional.collect::<Vec<_>>().join(" ");
        let about = command.get_long_about().or_else(|| command.get_about());
        let mut roff = Roff::new();
        roff.control("TP", []);
        let mut head = vec![bold(name)];
        if !arguments.is_empty() {
            head.extend([roman(" "), italic(arguments)]);
        }
        roff.text(head);
        roff.text([roman(about.map(ToString::to_string).unwrap_or_default())]);
        roff.to_writer(text)?;
        // What stands indented below it has no heading of its own.
        let mut options = Vec::new();
        Man::new(command).render_options_section(&mut options)?;
        let options = String::from_utf8(options)?.replace(".SH OPTIONS\n", "");
        if options.contains(".TP") {
            text.extend_from_slice(format!(".RS\n{options}.RE\n").as_bytes());
        }
    }
    Ok(())
}

/// The configuration of a program: its file, and the folders beside it.
fn configuration(file: &str, folders: [&str; 2], print: &str) -> Vec<(String, String)> {
    let print = format!("The configuration. {print} prints one with every setting.");
    let beside = folders.map(|folder| Path::new(file).with_file_name(folder).join("*.toml"));
    let [common, own] = beside.map(|path| path.display().to_string());
    let later = "in the order of their names; a later file wins.";
    vec![
        (file.to_owned(), print),
        (common, format!("Read after it by agent and collector, {later}")),
        (own, format!("Read after those, {later}")),
    ]
}

/// What `DRIFTLINE_LOG` does.
fn log(name: &str, default: &str) -> (String, String) {
    let levels = "error, warn, info, debug or trace, or a filter such as info,reqwest=debug";
    (
        name.to_owned(),
        format!("How much is logged to standard error: {levels}. Default: {default}."),
    )
}

fn of_the_command() -> Facts {
    let command = Cli::command();
    let named = command.get_arguments().filter_map(|argument| {
        let name = argument.get_env()?.to_string_lossy().into_owned();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        Some((name, format!("{}.", help.trim_end_matches('.'))))
    });
    let mut environment: Vec<_> = named.collect();
    environment.push(log(collector::LOG_VARIABLE, "warn. Only up logs"));
    Facts {
        files: vec![
            ("/var/lib/driftline".to_owned(), "What up keeps when root runs it.".to_owned()),
            (
                "~/.local/share/driftline".to_owned(),
                "What up keeps otherwise; below XDG_DATA_HOME where that is set.".to_owned(),
            ),
        ],
        environment,
        exit: vec![
            (0, "Fine."),
            (collector::FOUND, "A check was asked for, and something was found."),
            (collector::FAILURE, "The command was wrong, or it failed; standard error says why."),
        ],
    }
}

fn of_the_agent() -> Facts {
    let print = "driftline-agent check-config --sample";
    let mut files = configuration(platform::CONFIG_FILE, agent_config::FOLDERS, print);
    files.push((
        platform::STATE_FOLDER.to_owned(),
        "What the agent keeps: who it is to the collector, and what waits for it. It writes \
         nowhere else; state_dir names another folder."
            .to_owned(),
    ));
    Facts {
        files,
        environment: vec![log(agent::LOG_VARIABLE, "info")],
        exit: vec![
            (0, "Fine; a service that was asked to stop has stopped."),
            (agent::FAILURE, "The command was wrong, or it failed; standard error says why."),
        ],
    }
}

fn of_the_collector() -> Facts {
    let default = Config::default();
    let print = "driftline-collector sample-config";
    let mut files = configuration(load::DEFAULT_FILE, load::FOLDERS, print);
    files.push((
        default.rules.folder.join("*.toml").display().to_string(),
        "Packs of rules of the site's own; [rules] folder names another folder.".to_owned(),
    ));
    files.push((
        default.state_dir.display().to_string(),
        "The store. backup copies it while the collector runs; state_dir names another folder."
            .to_owned(),
    ));
    Facts {
        files,
        environment: vec![log(collector::LOG_VARIABLE, "info")],
        exit: vec![
            (0, "Fine; a service that was asked to stop has stopped."),
            (collector::FOUND, "check-rules found a mistake."),
            (collector::FAILURE, "The command was wrong, or it failed; standard error says why."),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_refers_to_no_page_that_nobody_makes() {
        for program in Program::value_variants() {
            let text = page(*program).unwrap().replace("\\-", "-");
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once('(') {
                let name = before.rsplit(|c: char| c != '-' && !c.is_alphanumeric()).next();
                let section = after.chars().next().filter(char::is_ascii_digit);
                let page = (name.unwrap_or_default(), section.map(String::from));
                let known = |one: &Program| (one.command().get_name().to_owned(), one.section());
                let mut there = Program::value_variants().iter().map(known);
                if let (name, Some(section)) = page {
                    assert!(
                        there.any(|one| one == (name.to_owned(), &section)),
                        "{name}({section}"
                    );
                }
                rest = after;
            }
        }
    }

    #[test]
    fn every_command_stands_on_the_page_of_its_program() {
        fn names(name: &str, command: &Command) -> Vec<String> {
            if !command.has_subcommands() || name.matches(' ').count() == 1 {
                return vec![name.to_owned()];
            }
            let below = command.get_subcommands();
            below.flat_map(|one| names(&format!("{name} {}", one.get_name()), one)).collect()
        }
        for program in Program::value_variants() {
            let text = page(*program).unwrap().replace("\\-", "-");
            let command = program.command();
            for name in names(command.get_name(), &command) {
                assert!(text.contains(&format!("\\fB{name}")), "{name} is not on {text}");
            }
        }
    }

    /// The page that comes with the agent, as it is read where packages put it.
    #[test]
    #[cfg(unix)]
    fn the_agents_page_is_golden() {
        insta::assert_snapshot!(page(Program::DriftlineAgent).unwrap());
    }
}
