//! Many connections at once, each sending what was prepared for it, until a count or a time is
//! reached.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::http::{Connection, Target};
use crate::statistics::percentile;

/// What one connection sends, in turn.
pub struct Script {
    /// The requests.
    pub requests: Vec<Vec<u8>>,
    /// Whether to begin anew after the last one.
    pub repeat: Repeat,
}

/// What follows the last request of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The first one again.
    Forever,
    /// Nothing.
    Once,
}

/// How a load is bounded and checked.
#[derive(Clone, Copy)]
pub struct Plan {
    /// The longest it lasts.
    pub time: Duration,
    /// The least time between two requests of one connection; zero for as fast as it can.
    pub pace: Duration,
    /// Whether an answer's body is what it should be.
    pub check: fn(&[u8]) -> anyhow::Result<bool>,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The time of each request, in seconds.
    pub latencies: Vec<f64>,
    /// From the first request to the last answer, in seconds.
    pub elapsed: f64,
    /// Answers that were no success, such as 503 under overload.
    pub refused: u64,
}

impl Outcome {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.max(f64::EPSILON)
    }

    /// The latency that `share` of the answers do not pass, in milliseconds.
    pub fn milliseconds(&self, share: f64) -> f64 {
        percentile(&self.latencies, share) * 1_000.0
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.elapsed = self.elapsed.max(other.elapsed);
        self.refused += other.refused;
    }
}

/// Runs each script on a connection of its own. Connections are set up before the clock starts.
///
/// # Errors
/// When a connection breaks or an answer is not what it should be.
pub fn run(target: &Target, scripts: Vec<Script>, plan: Plan) -> anyhow::Result<Outcome> {
    let start = std::sync::Barrier::new(scripts.len());
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for script in scripts {
            let start = &start;
            threads.push(scope.spawn(move || {
                let opened = warmed(target);
                start.wait();
                drive(&mut opened?, &script, plan)
            }));
        }
        let mut total = Outcome::default();
        for thread in threads {
            let outcome = thread.join().map_err(|_| anyhow::anyhow!("a connection broke"))?;
            total.add(outcome?);
        }
        Ok(total)
    })
}

/// An open connection with its TLS handshake behind it.
fn warmed(target: &Target) -> anyhow::Result<Connection> {
    let mut connection = Connection::open(target)?;
    connection.ask(&crate::http::get("/-/healthy"))?;
    Ok(connection)
}

fn drive(connection: &mut Connection, script: &Script, plan: Plan) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let began = Instant::now();
    let mut next = began;
    'all: loop {
        for request in &script.requests {
            if began.elapsed() >= plan.time {
                break 'all;
            }
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            next += plan.pace;
            let sent = Instant::now();
            let answer = connection.ask(request)?;
            match answer.status {
                200 => {
                    outcome.latencies.push(sent.elapsed().as_secs_f64());
                    ensure!((plan.check)(answer.body).context("checking")?, "not as it should be");
                }
                429 | 503 => outcome.refused += 1,
                status => anyhow::bail!("the server answered {status}"),
            }
        }
        if script.repeat == Repeat::Once || script.requests.is_empty() {
            break;
        }
    }
    outcome.elapsed = began.elapsed().as_secs_f64();
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_add_up_over_connections() {
        let one = |latency, elapsed| Outcome { latencies: vec![latency; 50], elapsed, refused: 1 };
        let mut total = one(0.001, 2.0);
        total.add(one(0.003, 4.0));
        assert_eq!(total.rate(), 25.0);
        assert_eq!((total.milliseconds(0.5), total.milliseconds(0.99)), (1.0, 3.0));
        assert_eq!(total.refused, 2);
    }
}
