//! A real Prometheus and a real Alertmanager on loopback, configured by the test that starts them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::http::{self, Receiver, escape};
use crate::process::Process;
use crate::programs;
use crate::wait::{self, PATIENCE};

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    _process: Process,
}

impl Prometheus {
    /// Starts on `data` with the configuration `config`, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn start(folder: &Path, data: &Path, config: &str) -> anyhow::Result<Self> {
        let address = http::free_address()?;
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config).context("writing prometheus.yml")?;
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", data.display()),
            "--storage.tsdb.retention.time=10y".into(),
            format!("--web.listen-address={address}"),
        ];
        let program = Path::new("/usr/bin/prometheus");
        let process = Process::start(program, &arguments, &folder.join("prometheus.log"))?;
        let server = Self { address, _process: process };
        wait::until("Prometheus is ready", PATIENCE, || {
            Ok((http::get(address, "/-/ready")?.status == 200).then_some(()))
        })?;
        Ok(server)
    }

    /// Scrapes `target` as job `driftline` and sends alerts of our rules to `alertmanager`, both
    /// each second.
    pub fn config(target: SocketAddr, rules: &Path, alertmanager: SocketAddr) -> String {
        format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}']\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n\
             scrape_configs:\n  - job_name: driftline\n    \
             static_configs: [{{targets: ['{target}']}}]\n",
            rules.display()
        )
    }

    /// The series an expression gives now.
    ///
    /// # Errors
    /// When Prometheus refuses the expression.
    pub fn query(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        self.result(&format!("/api/v1/query?query={}", escape(expression)))
    }

    /// The series an expression gives between two Unix times, one value each `step` seconds.
    ///
    /// # Errors
    /// When Prometheus refuses the expression.
    pub fn query_range(
        &self,
        expression: &str,
        (from, to): (i64, i64),
        step: u32,
    ) -> anyhow::Result<Vec<Value>> {
        let query = escape(expression);
        self.result(&format!("/api/v1/query_range?query={query}&start={from}&end={to}&step={step}"))
    }

    fn result(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let answer = http::get(self.address, path)?.json()?;
        let result = answer.pointer("/data/result").and_then(Value::as_array);
        Ok(result.with_context(|| format!("{path}: {answer}"))?.clone())
    }
}

/// A running Alertmanager that sends everything to one webhook.
#[derive(Debug)]
pub struct Alertmanager {
    address: SocketAddr,
    _process: Process,
}

impl Alertmanager {
    /// Starts and waits until it is ready.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn start(folder: &Path, webhook: SocketAddr) -> anyhow::Result<Self> {
        let address = http::free_address()?;
        let file: PathBuf = folder.join("alertmanager.yml");
        let config = format!(
            "route: {{receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 1s}}\n\
             receivers:\n  - name: test\n    webhook_configs: [{{url: 'http://{webhook}/'}}]\n"
        );
        std::fs::write(&file, config).context("writing alertmanager.yml")?;
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", folder.join("alertmanager").display()),
            format!("--web.listen-address={address}"),
            "--cluster.listen-address=".into(),
        ];
        let program = Path::new("/usr/bin/prometheus-alertmanager");
        let process = Process::start(program, &arguments, &folder.join("alertmanager.log"))?;
        wait::until("Alertmanager is ready", PATIENCE, || {
            Ok((http::get(address, "/-/ready")?.status == 200).then_some(()))
        })?;
        Ok(Self { address, _process: process })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Whoever is woken: a Prometheus over one target, an Alertmanager, and the webhook that it calls.
pub struct Watch {
    /// What scrapes and judges.
    pub prometheus: Prometheus,
    /// Where alerts arrive.
    pub webhook: Receiver,
    _alertmanager: Alertmanager,
}

impl Watch {
    /// Starts all three in `folder`, with the alerts of `rules` over what `target` exports.
    ///
    /// # Errors
    /// When one of them is not installed or does not come up.
    pub fn start(folder: &Path, target: SocketAddr, rules: &Path) -> anyhow::Result<Self> {
        let webhook = Receiver::start()?;
        let alertmanager = Alertmanager::start(folder, webhook.address())?;
        let config = Prometheus::config(target, rules, alertmanager.address());
        let prometheus = Prometheus::start(folder, &folder.join("prometheus"), &config)?;
        Ok(Self { prometheus, webhook, _alertmanager: alertmanager })
    }

    /// The rules that the product ships.
    pub fn shipped_rules() -> PathBuf {
        programs::workspace().join("rules/prometheus/driftline.yaml")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    const METRICS: &str = "driftline_portal_info{url=\"http://drift.example\"} 1\n\
        driftline_drift_owned{host=\"sbc1\",owner=\"voice\",severity=\"critical\"} 2\n";

    /// Serves [`METRICS`] to whoever asks, until the process ends.
    fn exporter() -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let length = METRICS.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\
                     Content-Length: {length}\r\nConnection: close\r\n\r\n{METRICS}"
                );
                let mut request = [0; 4_096];
                if stream.read(&mut request).is_ok() {
                    drop(stream.write_all(head.as_bytes()));
                }
            }
        });
        Ok(address)
    }

    /// The chain without our programs: when an end-to-end test fails, this tells whose fault it is.
    #[test]
    fn an_open_drift_travels_from_metric_to_webhook_with_its_link() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let chain = Watch::start(folder.path(), exporter()?, &Watch::shipped_rules())?;
        let link = chain.webhook.expect(Duration::from_secs(60), |body| {
            let alerts = body["alerts"].as_array()?;
            let ours = alerts.iter().find(|a| a["labels"]["alertname"] == "DriftlineDriftOpen")?;
            Some(ours["annotations"]["portal_url"].as_str()?.to_string())
        })?;
        assert_eq!(link, "http://drift.example/hosts/sbc1#drift");
        assert_eq!(chain.prometheus.query("driftline_drift_owned")?.len(), 1);
        Ok(())
    }
}
