//! What a configuration says that can be used and is hardly meant: told, never refused.

use std::path::Path;

use jiff::Timestamp;

use super::{Config, ParameterRule};
use crate::tls;
use crate::words::nearest;

impl Config {
    /// What somebody should look at `now`, each in a sentence.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let mut all = Vec::new();
        let known = |group: &String| self.groups.iter().any(|known| known.name == *group);
        for path in &self.service_paths {
            let service = &path.service;
            let unknown = path.groups.iter().filter(|group| !known(group));
            all.extend(unknown.map(|group| {
                format!(
                    "[[service_path]] {service} passes the group {group:?}, and no [[group]] is it"
                )
            }));
        }
        let sites: Vec<&str> = self.hosts.iter().filter_map(|rule| rule.site.as_deref()).collect();
        let nowhere = |parameter: &&ParameterRule| {
            parameter.site.as_deref().is_some_and(|site| !sites.contains(&site))
        };
        all.extend(self.parameters.iter().filter(nowhere).map(|parameter| {
            let site = parameter.site.as_deref().unwrap_or_default();
            let meant = nearest(site, &sites).map(|near| format!("; is {near:?} meant?"));
            format!(
                "[[parameter]] {} is for the site {site:?}, and no [[host]] is at it{}",
                parameter.name,
                meant.unwrap_or_default()
            )
        }));
        let cases = self.case_sources.iter().map(|of| ("case_source", &of.name, &of.folder));
        let changes = self.change_sources.iter().map(|of| ("change_source", &of.name, &of.folder));
        for (table, name, folder) in cases.chain(changes) {
            let Some(folder) = folder else { continue };
            all.extend(missing(folder).map(|why| format!("[[{table}]] {name}: {why}")));
        }
        if self.listen.ip().is_unspecified() && self.public_url.is_none() {
            all.push(format!(
                "listen is {} and public_url is not set, so links in alerts lead to that address; \
                 set public_url to the address people use",
                self.listen
            ));
        }
        let ended = self.tls.as_ref().and_then(tls::ends).filter(|ends| *ends <= now);
        all.extend(ended.map(|ends| {
            format!(
                "the certificate of [tls] ended at {ends}, so nobody who checks it will connect"
            )
        }));
        all
    }
}

/// Why nothing will come out of `folder`, if so.
fn missing(folder: &Path) -> Option<String> {
    match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some(format!("folder {} is no folder", folder.display())),
        Err(error) => Some(format!("folder {}: {error}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::config::Tls;
    use crate::config::load::parse;

    #[test]
    fn what_is_hardly_meant_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "listen = '0.0.0.0:9470'\n[[group]]\nname = 'edge'\n\
             [[host]]\nname = '*'\nsite = 'graz'\n\
             [[parameter]]\nname = 'ntp.servers'\nsite = 'Gratz'\nvalue = 'a'\n\
             [[service_path]]\nservice = 'voice'\ngroups = ['edge', 'nosuch']\nsites = ['*']\n\
             [[case_source]]\nname = 'desk'\nfolder = '/nowhere/at/all'\n\
             [[change_source]]\nname = 'itsm'\nfolder = {:?}\n",
            folder.path()
        );
        let now = Timestamp::now();
        let told = parse("t", &text).unwrap().warnings(now);
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].contains("passes the group \"nosuch\""), "{}", told[0]);
        let parameter = "[[parameter]] ntp.servers is for the site \"Gratz\", and no [[host]] is \
                         at it; is \"graz\" meant?";
        assert_eq!(told[1], parameter);
        assert!(told[2].starts_with("[[case_source]] desk: folder /nowhere"), "{}", told[2]);
        assert!(told[3].contains("public_url is not set"), "{}", told[3]);
        assert!(parse("t", "").unwrap().warnings(now).is_empty());
    }

    #[test]
    fn a_certificate_that_has_ended_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        let mut config = parse("t", "").unwrap();
        config.tls = Some(Tls { cert_file: cert, key_file: key });
        let ends = crate::tls::ends(config.tls.as_ref().unwrap()).unwrap();
        let before = ends.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap();
        assert!(config.warnings(before).is_empty());
        assert!(config.warnings(ends)[0].starts_with("the certificate of [tls] ended at"));
    }
}
