//! The reference page of all metrics, made from their table. Pure.

#![deny(clippy::disallowed_methods, reason = "the page depends on the table alone")]

use std::fmt::Write;

use super::table::{ALL, Label, Shape, worst_case};
use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::finding::Severity;
use crate::analysis::service_levels::ServiceLevel;

/// The reference page of all metrics, in Markdown.
pub fn reference_page() -> String {
    let fixed = worst_case(0);
    let each = worst_case(1) - fixed;
    let of_service = ALL.iter().filter(|metric| metric.labels.contains(&Label::CaseService));
    let service: u64 = of_service.map(|metric| metric.series(0)).sum();
    let levels = ServiceLevel::ALL.len();
    let severities = Severity::ALL.len();
    let owner = severities * FindingClass::COUNT;
    let mut page = format!(
        "# Metrics of the collector\n\n\
         Generated from `collector/src/metrics/table.rs`; a test compares.\n\n\
         Worst case: {fixed} series + {each} for each host (none of these with \
         `metrics.per_host = false`).\nOf cases this counts one service, one site, one source, one \
         team and one priority, of probes one hop, of findings one owner and one site; each \
         service of the configuration adds {service}, each of its sites one,\neach pair of team \
         and priority {levels} for each service, and each hop of a path four; each further owner \
         adds {owner}, and up to {severities} for each host, each further site {owner}.\n\
         Series of a host disappear when it is dormant or retired; \
         while it is dormant its last-report timestamp stays.\n"
    );
    for metric in ALL {
        let shape = match metric.shape {
            Shape::Counter => "counter",
            Shape::Gauge => "gauge",
            Shape::Histogram => "histogram",
        };
        // Writing to a String cannot fail.
        let _infallible = write!(page, "\n## `{}`\n\n{}. {}.\n", metric.name, shape, metric.help);
        for (label, comma) in
            metric.labels.iter().zip(std::iter::once("\n").chain(std::iter::repeat("")))
        {
            let _infallible =
                writeln!(page, "{comma}- `{}`: {}", label.name(), label.values_text());
        }
    }
    page
}
