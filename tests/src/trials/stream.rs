//! A stream of cases and the changes beside it, and the two files a program reads them from.
//!
//! Knows the columns of the contract and nothing of what is true. Cases are sorted by time.

use jiff::Timestamp;

/// Seconds of an hour.
pub const HOUR: i64 = 3_600;
/// Seconds of a day.
pub const DAY: i64 = 24 * HOUR;
/// Seconds of a week.
pub const WEEK: i64 = 7 * DAY;

/// One case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// When it was opened, Unix seconds.
    pub at: i64,
    /// Place of its service in the stream's list.
    pub service: u16,
    /// Place of its site in the stream's list.
    pub site: u16,
}

/// Cases of a time, with the names they need.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What it is called in tables.
    pub name: String,
    /// Names of services.
    pub services: Vec<String>,
    /// Names of sites.
    pub sites: Vec<String>,
    /// The region of each site; the program is not told.
    pub regions: Vec<u16>,
    /// The cases, oldest first.
    pub cases: Vec<Case>,
    /// The first second that is covered.
    pub from: i64,
    /// The first second that is no longer covered.
    pub to: i64,
}

impl Stream {
    /// Puts cases back in order of time.
    pub fn sort(&mut self) {
        self.cases.sort_by_key(|case| (case.at, case.service, case.site));
    }

    /// Cases of one service by site, opened before `end`.
    pub fn volume(&self, service: u16, end: i64) -> Vec<f64> {
        let mut volume = vec![0.0; self.sites.len()];
        for case in self.cases.iter().take_while(|case| case.at < end) {
            if case.service == service {
                volume[usize::from(case.site)] += 1.0;
            }
        }
        volume
    }

    /// Cases of one service.
    pub fn count(&self, service: u16) -> usize {
        self.cases.iter().filter(|case| case.service == service).count()
    }

    /// The places of all services.
    pub fn service_places(&self) -> impl Iterator<Item = u16> + use<> {
        0..u16::try_from(self.services.len()).unwrap_or(u16::MAX)
    }

    /// The cases file.
    pub fn csv(&self) -> String {
        let mut text = String::from("opened_at,service,site\n");
        for Case { at, service, site } in &self.cases {
            let (service, site) = (usize::from(*service), usize::from(*site));
            let line = (time(*at), &self.services[service], &self.sites[site]);
            text.push_str(&format!("{},{},{}\n", line.0, line.1, line.2));
        }
        text
    }
}

/// One change as the file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// When it was made; with waves, when the first one was.
    pub at: i64,
    /// The service it touched.
    pub service: u16,
    /// The sites it touched.
    pub exposed: Vec<u16>,
    /// How long after it a rise is looked for, in hours.
    pub window_hours: u32,
    /// When each site had its turn; empty when all had it at once.
    pub waves: Vec<(u16, i64)>,
}

impl Change {
    /// When `site` was touched.
    pub fn onset(&self, site: u16) -> i64 {
        let wave = self.waves.iter().find(|(waved, _)| *waved == site);
        wave.map_or(self.at, |(_, at)| *at)
    }

    /// The window in seconds.
    pub fn window(&self) -> i64 {
        i64::from(self.window_hours) * HOUR
    }

    /// The first second after the last site's window.
    pub fn end(&self) -> i64 {
        let last = self.waves.iter().map(|(_, at)| *at).max().unwrap_or(self.at);
        last.max(self.at) + self.window()
    }
}

/// The changes file.
pub fn changes_csv(stream: &Stream, changes: &[Change]) -> String {
    let site = |site: &u16| stream.sites[usize::from(*site)].clone();
    let mut text = String::from("id,at,service,exposed_sites,window_hours,waves\n");
    for change in changes {
        let exposed: Vec<String> = change.exposed.iter().map(site).collect();
        let waves = change.waves.iter().map(|(at, when)| format!("{}@{}", site(at), time(*when)));
        let fields = [
            change.id.clone(),
            time(change.at),
            stream.services[usize::from(change.service)].clone(),
            exposed.join(" "),
            change.window_hours.to_string(),
            waves.collect::<Vec<_>>().join(" "),
        ];
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// A time as the files write it.
pub fn time(at: i64) -> String {
    // Worlds end long before the last second that can be written.
    Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_what_the_contract_names() {
        let stream = Stream {
            name: "two".into(),
            services: vec!["voice".into()],
            sites: vec!["paris".into(), "rome".into()],
            regions: vec![0, 1],
            cases: vec![Case { at: 1_456_704_000, service: 0, site: 1 }],
            from: 1_456_704_000,
            to: 1_456_790_400,
        };
        assert_eq!(stream.csv(), "opened_at,service,site\n2016-02-29T00:00:00Z,voice,rome\n");
        let change = Change {
            id: "c1".into(),
            at: 1_456_704_000,
            service: 0,
            exposed: vec![0, 1],
            window_hours: 24,
            waves: vec![(0, 1_456_704_000), (1, 1_456_707_600)],
        };
        assert_eq!(change.end(), 1_456_707_600 + DAY);
        assert_eq!(
            changes_csv(&stream, &[change]),
            "id,at,service,exposed_sites,window_hours,waves\n\
             c1,2016-02-29T00:00:00Z,voice,paris rome,24,\
             paris@2016-02-29T00:00:00Z rome@2016-02-29T01:00:00Z\n"
        );
    }
}
