//! What the columns of a source are called, checked: no two fields are read from one column unless
//! both say so. Pure.
//!
//! A field that is not named is read from the column of our own name. Where another field is given
//! that name, both would be read from it, and the one that nobody thought of would say what was
//! never meant: `columns = { services = "hosts" }` makes names of services the hosts of a request.

#![deny(clippy::disallowed_methods, reason = "a map is what the configuration says")]

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use crate::cases::is_same;
use crate::{cases, change_requests};

/// The columns of a source of cases.
pub(super) fn of_cases<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<cases::Field, String>, D::Error> {
    checked(deserializer, &cases::Field::ALL.map(|field| (field, field.as_str())))
}

/// The columns of a source of change requests.
pub(super) fn of_requests<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<change_requests::Field, String>, D::Error> {
    checked(deserializer, &change_requests::Field::ALL.map(|field| (field, field.as_str())))
}

fn checked<'de, D: Deserializer<'de>, F: Deserialize<'de> + Ord + Copy>(
    deserializer: D,
    all: &[(F, &'static str)],
) -> Result<BTreeMap<F, String>, D::Error> {
    let columns = BTreeMap::<F, String>::deserialize(deserializer)?;
    for (field, own) in all {
        let Some(column) = columns.get(field) else { continue };
        if column.trim().is_empty() {
            return Err(de::Error::custom(format!("the column of {own} has no name")));
        }
        let unnamed = |(other, name): &&(F, &str)| {
            other != field && is_same(column, name) && !columns.contains_key(other)
        };
        if let Some((_, other)) = all.iter().find(unnamed) {
            return Err(de::Error::custom(format!(
                "the column of {own} is called {column:?}, and so is that of the field {other}, \
                 which `columns` does not name; say there what {other} is called as well, \
                 `{other} = \"{other}\"` if both are read from one column"
            )));
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use crate::config::load::parse;

    #[test]
    fn a_field_that_takes_the_name_of_another_is_refused_unless_that_has_one_of_its_own() {
        for (source, columns, refused) in [
            ("change", "services = 'hosts'", Some("services is called \"hosts\"")),
            ("change", "services = ' Hosts '", Some("say there what hosts is called as well")),
            ("change", "services = 'hosts', hosts = 'cmdb_ci'", None),
            ("change", "services = 'hosts', hosts = 'hosts'", None),
            ("change", "id = 'id'", None),
            ("change", "hosts = ''", Some("the column of hosts has no name")),
            ("case", "service = 'category'", Some("`category = \"category\"`")),
            ("case", "service = 'category', category = 'subcategory'", None),
            ("case", "service = 'team_name', team = 'team_name'", None),
        ] {
            let text = format!("[[{source}_source]]\nname = 'desk'\ncolumns = {{ {columns} }}\n");
            let read = parse("t", &text).map(drop).map_err(|error| error.to_string());
            match refused {
                None => assert_eq!(read, Ok(()), "{columns}"),
                Some(why) => {
                    let error = read.expect_err(columns);
                    assert!(error.starts_with("t:3: ") && error.contains(why), "{error}");
                }
            }
        }
    }
}
