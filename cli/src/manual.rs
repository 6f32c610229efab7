//! The manual page, from the declarations that the command line is parsed by.
//!
//! There is one page for all commands, so it refers to no pages of single ones.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::help::{self, Listed};

/// The manual page of `driftline`, as roff.
///
/// # Errors
/// None in practice: it is written to memory.
pub(crate) fn page(command: Command) -> anyhow::Result<String> {
    let groups = help::groups(&command);
    let man = Man::new(command);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    commands(groups).to_writer(&mut text)?;
    man.render_version_section(&mut text)?;
    let text = String::from_utf8(text)?;
    // Each part begins with the same definition, which is needed once.
    let head = Roff::new().render();
    Ok(format!("{head}{}", text.replace(&head, "")))
}

/// Every command under what people do with it.
fn commands(groups: Vec<(&'static str, Vec<Listed>)>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for (heading, commands) in groups {
        roff.control("SS", [heading]);
        for Listed { name, about } in commands {
            roff.control("TP", []);
            roff.text([bold(format!("driftline {name}"))]);
            roff.text([roman(about)]);
        }
    }
    roff.control("PP", []);
    roff.text([
        bold("driftline help "),
        roman("followed by the name of a command tells all of it."),
    ]);
    roff
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::Cli;

    #[test]
    fn the_manual_tells_every_command_and_refers_to_no_page_that_nobody_makes() {
        let text = page(Cli::command()).unwrap();
        assert_eq!(text.matches("(1)").count(), 0, "{text}");
        for (heading, commands) in help::groups(&Cli::command()) {
            assert!(text.contains(heading), "{heading}");
            for Listed { name, .. } in commands {
                assert!(text.contains(&format!("\\fBdriftline {name}\\fR\n")), "{name}: {text}");
            }
        }
    }
}
