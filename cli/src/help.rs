//! The first page of help: every command under what people do with it.
//!
//! clap prints all commands in one list under one heading. This page is made of [`GROUPS`] and of
//! what each command says of itself, so that a command is described in one place only. The pages of
//! single commands, completions and usage are clap's own.

use clap::Command;

/// What people do, in the order they come to it, and the commands for it. A test holds the list to
/// the commands there are.
pub(crate) const GROUPS: &[(&str, &[&str])] = &[
    ("Set up", &["up", "token", "import", "completions"]),
    (
        "Look",
        &[
            "hosts", "host", "changes", "rollouts", "findings", "outliers", "events", "rules",
            "ignores", "diff", "replay",
        ],
    ),
    ("Decide", &["finding", "baseline", "exception", "request"]),
    ("Cases, and what goes together with them", &["cases", "suspects", "correlate", "volume"]),
    ("Operate", &["doctor", "retire", "reinstate", "man", "help"]),
];

/// The width of the page, in columns; a terminal has no fewer.
const COLUMNS: usize = 80;

/// What stands left of a name, and between the longest name and what is said of it, in columns.
const GAP: usize = 2;

/// The command with its first page of help in groups.
pub(crate) fn grouped(command: Command) -> Command {
    let page = page(&command);
    command.help_template(page)
}

/// One command in a group: its name, and what it says of itself in a sentence.
pub(crate) struct Listed {
    pub(crate) name: &'static str,
    pub(crate) about: String,
}

/// The commands of each group, under its heading.
pub(crate) fn groups(command: &Command) -> Vec<(&'static str, Vec<Listed>)> {
    let mut built = command.clone();
    // Only then is `help` among the commands.
    built.build();
    let about = |name: &str| {
        let about = built.find_subcommand(name).and_then(Command::get_about);
        about.map(ToString::to_string).unwrap_or_default()
    };
    let listed = |name: &&'static str| Listed { name, about: about(name) };
    GROUPS.iter().map(|(heading, names)| (*heading, names.iter().map(listed).collect())).collect()
}

/// The template clap fills in.
fn page(command: &Command) -> String {
    let (header, literal) = (command.get_styles().get_header(), command.get_styles().get_literal());
    let longest = GROUPS.iter().flat_map(|(_, names)| *names).map(|name| name.len()).max();
    let column = GAP + longest.unwrap_or_default() + GAP;
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (heading, commands) in groups(command) {
        text += &format!("\n{header}{heading}:{header:#}\n");
        for Listed { name, about } in commands {
            let gap = " ".repeat(column - GAP - name.len());
            let about = hanging(&about, column);
            text += &format!("{:GAP$}{literal}{name}{literal:#}{gap}{about}\n", "");
        }
    }
    text + &format!("\n{header}Options:{header:#}\n{{options}}")
}

/// The words of `text` in lines that begin at `column` and end before [`COLUMNS`]; the first one
/// stands there already.
fn hanging(text: &str, column: usize) -> String {
    let mut lines = String::new();
    let mut at = column;
    for word in text.split_whitespace() {
        let long = word.chars().count();
        if at > column && at + 1 + long > COLUMNS {
            lines += &format!("\n{:column$}", "");
            at = column;
        } else if at > column {
            lines.push(' ');
            at += 1;
        }
        lines += word;
        at += long;
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::Cli;

    fn shown() -> String {
        grouped(Cli::command()).term_width(COLUMNS).render_help().to_string()
    }

    #[test]
    fn every_command_stands_in_one_group_and_no_group_names_another() {
        let mut command = Cli::command();
        command.build();
        let mut there: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        let mut listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        there.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, there, "GROUPS of cli/src/help.rs lists the commands");
    }

    /// Headings of a page with what stands below each, the lines of one entry as one.
    fn read(page: &str) -> Vec<(String, Vec<String>)> {
        let mut read: Vec<(String, Vec<String>)> = Vec::new();
        for line in page.lines().filter(|line| !line.is_empty()) {
            let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
            match (line.len() - line.trim_start().len(), read.last_mut()) {
                (0, _) => read.push((line.trim_end_matches(':').to_owned(), Vec::new())),
                (GAP, Some((_, entries))) => entries.push(words),
                (_, Some((_, entries))) => {
                    let entry = entries.last_mut().expect("a line goes on with an entry");
                    *entry = format!("{entry} {words}");
                }
                (_, None) => panic!("nothing stands above {line}"),
            }
        }
        read
    }

    #[test]
    fn the_page_tells_every_command_under_its_heading_within_the_width() {
        let page = shown();
        let (above, _) = page.split_once("\nOptions:\n").expect("the options are below");
        let read = read(above);
        let told = groups(&Cli::command()).into_iter().map(|(heading, commands)| {
            let entry = |one: Listed| format!("{} {}", one.name, one.about);
            (heading.to_owned(), commands.into_iter().map(entry).collect::<Vec<_>>())
        });
        // What it is and how it is called stand above the first of them.
        let lists = read.into_iter().filter(|(_, entries)| !entries.is_empty());
        assert!(lists.eq(told), "{page}");
        let wide: Vec<&str> = page.lines().filter(|l| l.chars().count() > COLUMNS).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }
}
