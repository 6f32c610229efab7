//! What an agent found when it asked what its host depends on, read from the part it reports. Pure.

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::snapshot::{Content, Part};
use jiff::Timestamp;

/// The section that holds such parts.
pub const PROBES: &str = "probes";

/// What one target answered, as last reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its service, as the agent's configuration says.
    pub service: String,
    /// Its group on the path.
    pub hop: String,
    /// How it is asked, and where: the last of the part's name.
    pub target: String,
    /// Whether it answers, in the agent's word.
    pub answer: String,
    /// The code of the last answer, of SIP.
    pub code: Option<i64>,
    /// How long an answer took, in seconds.
    pub round_trip: Option<f64>,
    /// The share of tries without an answer.
    pub loss: f64,
    /// What is to be said of its certificate, in the agent's word.
    pub certificate: Option<String>,
    /// When that ends.
    pub expires: Option<Timestamp>,
    /// When it was asked, by the agent's clock.
    pub at: Option<Timestamp>,
}

impl Probe {
    /// What `part` says; `None` where it was not seen or says nothing of the kind.
    pub fn of(name: &PartName, part: &Part) -> Option<Self> {
        let observed = part.observed().filter(|observed| observed.content == Content::Read)?;
        let value = |key: ItemKey| observed.items.get(&key).map(|item| &item.value);
        let text = |name: &str| value(ItemKey::of([name]))?.as_text().map(str::to_owned);
        let number = |key: ItemKey| match value(key) {
            Some(ItemValue::Integer(number)) => Some(*number),
            _ => None,
        };
        let measured = |name: &str| number(ItemKey::momentary([name]));
        let moment = |name: &str| Timestamp::from_second(measured(name)?).ok();
        Some(Self {
            service: text("service")?,
            hop: text("hop")?,
            target: name.as_str().rsplit('/').next().unwrap_or_default().to_owned(),
            answer: text("answer")?,
            code: number(ItemKey::of(["code"])),
            round_trip: measured("round_trip_us").map(|micros| micros as f64 / 1e6),
            loss: measured("loss_percent").unwrap_or_default() as f64 / 100.0,
            certificate: text("certificate"),
            expires: moment("expires"),
            at: moment("at"),
        })
    }

    /// Whether it answers.
    pub fn answers(&self) -> bool {
        self.answer == "answered"
    }

    /// Whether its certificate, if it has one, is as it should be.
    pub fn is_trusted(&self) -> bool {
        self.certificate.as_deref().is_none_or(|verdict| verdict == "valid")
    }
}

#[cfg(test)]
mod tests {
    use driftline_protocol::canonical::scope_digest;
    use driftline_protocol::item::Item;
    use driftline_protocol::snapshot::{Observed, Reading, Reason};

    use super::*;

    #[test]
    fn a_part_is_read_or_it_is_no_probe() {
        let text = |name: &str, value: &str| (ItemKey::of([name]), ItemValue::text(value));
        let measured = |name: &str, n| (ItemKey::momentary([name]), ItemValue::Integer(n));
        let items = [
            text("service", "voice"),
            text("hop", "carrier"),
            text("answer", "answered"),
            text("certificate", "expired"),
            (ItemKey::of(["code"]), ItemValue::Integer(404)),
            measured("round_trip_us", 12_500),
            measured("loss_percent", 33),
            measured("at", 60),
        ];
        let item = |(key, value)| (key, Item { value, rank: None });
        let part = Part::Observed(Observed {
            reading: Reading { parser: "t".into(), version: 1, scope: scope_digest([""; 0]) },
            raw: None,
            size: None,
            content: Content::Read,
            items: items.into_iter().map(item).collect(),
        });
        let name = "voice/carrier/sip_tls a.example:5061".parse().unwrap();
        let probe = Probe::of(&name, &part).unwrap();
        assert_eq!((probe.target.as_str(), probe.code), ("sip_tls a.example:5061", Some(404)));
        assert_eq!((probe.round_trip, probe.loss), (Some(0.0125), 0.33));
        assert!(probe.answers() && !probe.is_trusted());
        assert_eq!(Probe::of(&name, &Part::Unobserved(Reason::TimedOut)), None);
    }
}
