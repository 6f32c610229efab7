//! Where the mean of a series moved: two ways to say it, so that one can be held against the other.
//!
//! [`pelt`] cuts a series into the pieces that cost least, each piece the squares around its own
//! mean and a fixed penalty (Killick, Fearnhead and Eckley 2012). [`divisive`] cuts where the
//! distances between both sides are largest against those within (Matteson and James 2014), keeps
//! a cut while Student's test calls the two sides unlike, and weighs the weakest cuts again at the
//! end (Fleming et al. 2023). A break is the place of the first number after it.

use super::special::student_above;

/// Numbers that [`divisive`] looks at together.
const WINDOW: usize = 50;
/// How much more easily a cut is taken at first than it is kept.
const AT_FIRST: f64 = 10.0;

/// The breaks of `series` whose pieces, none shorter than `shortest`, cost least when each break
/// costs `penalty`.
pub fn pelt(series: &[f64], penalty: f64, shortest: usize) -> Vec<usize> {
    let shortest = shortest.max(1);
    let sums = Sums::of(series);
    let count = series.len();
    let mut least = vec![f64::INFINITY; count + 1];
    let mut from = vec![0; count + 1];
    if let Some(first) = least.first_mut() {
        *first = -penalty;
    }
    let at = |least: &[f64], place: usize| least.get(place).copied().unwrap_or(f64::INFINITY);
    // Places a piece may begin at, and the end from which another is better for sure.
    let mut begins: Vec<(usize, usize)> = Vec::new();
    for end in shortest..=count {
        begins.push((end - shortest, usize::MAX));
        begins.retain(|(_, beaten)| *beaten > end);
        let cost = |begin: usize| at(&least, begin) + sums.cost(begin, end);
        let costs: Vec<f64> = begins.iter().map(|(begin, _)| cost(*begin)).collect();
        let best = costs.iter().zip(&begins).min_by(|a, b| a.0.total_cmp(b.0));
        let Some((cost, (begin, _))) = best else { continue };
        let (cost, begin) = (cost + penalty, *begin);
        for (begin, own) in begins.iter_mut().zip(&costs) {
            if *own > cost && begin.1 == usize::MAX {
                begin.1 = end + shortest;
            }
        }
        if let (Some(least), Some(from)) = (least.get_mut(end), from.get_mut(end)) {
            (*least, *from) = (cost, begin);
        }
    }
    let begin = |end: &usize| from.get(*end).copied().filter(|begin| *begin > 0);
    let mut breaks: Vec<usize> = std::iter::successors(begin(&count), begin).collect();
    breaks.reverse();
    breaks
}

/// Running sums, so that the cost of a piece is two subtractions.
struct Sums(Vec<(f64, f64)>);

impl Sums {
    fn of(series: &[f64]) -> Self {
        let (mut sum, mut squares) = (0.0, 0.0);
        let mut sums = vec![(sum, squares)];
        for number in series {
            sum += number;
            squares += number * number;
            sums.push((sum, squares));
        }
        Self(sums)
    }

    /// The squares of the piece around its mean.
    fn cost(&self, begin: usize, end: usize) -> f64 {
        let at = |place: usize| self.0.get(place).copied().unwrap_or_default();
        let ((s0, q0), (s1, q1)) = (at(begin), at(end));
        q1 - q0 - (s1 - s0).powi(2) / (end - begin).max(1) as f64
    }
}

/// A break, and how easily chance makes two sides so unlike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Break {
    /// The place of the first number after it.
    pub at: usize,
    /// Two-sided, of Student's test between the pieces beside it.
    pub p: f64,
}

/// The breaks of `series` of which chance explains each with less than `p`.
pub fn divisive(series: &[f64], p: f64) -> Vec<Break> {
    let mut places: Vec<usize> = Vec::new();
    let mut start = 0;
    while start < series.len() {
        let end = (start + WINDOW).min(series.len());
        let window = series.get(start..end).unwrap_or_default();
        let found = of_window(window, p * AT_FIRST);
        let last = found.last().map_or(0, |last| start + last);
        places.extend(found.iter().map(|at| start + at));
        start = last.max(start + WINDOW / 2);
    }
    places.sort_unstable();
    places.dedup();
    let mut breaks: Vec<Break> = places.iter().map(|at| Break { at: *at, p: 1.0 }).collect();
    let all = 0..breaks.len();
    test(series, &mut breaks, all);
    loop {
        let ranked = breaks.iter().copied().enumerate();
        let weakest = ranked.reduce(|a, b| if b.1.p > a.1.p { b } else { a });
        let Some((rank, _)) = weakest.filter(|(_, weakest)| weakest.p >= p) else { return breaks };
        breaks.remove(rank);
        // The cut before it keeps its p: so does the program that this is held against.
        test(series, &mut breaks, rank..rank + 2);
    }
}

/// Tests the cuts of these ranks against the pieces that all cuts leave.
fn test(series: &[f64], breaks: &mut [Break], ranks: std::ops::Range<usize>) {
    let places: Vec<usize> = breaks.iter().map(|found| found.at).collect();
    let edge = |rank: Option<usize>, at_end: usize| {
        rank.and_then(|rank| places.get(rank)).copied().unwrap_or(at_end)
    };
    for (rank, found) in breaks.iter_mut().enumerate().filter(|(rank, _)| ranks.contains(rank)) {
        let (left, right) = (edge(rank.checked_sub(1), 0), edge(Some(rank + 1), series.len()));
        found.p = student(series, (left, found.at, right));
    }
}

/// Cuts `window` where it is most unlike, as long as Student's test agrees.
fn of_window(window: &[f64], p: f64) -> Vec<usize> {
    let distances = Distances::of(window);
    let mut places: Vec<usize> = Vec::new();
    loop {
        let ends = || places.iter().copied().chain([window.len()]);
        let pieces = std::iter::once(0).chain(places.iter().copied()).zip(ends());
        let best = pieces.filter_map(|piece| Some((distances.most_unlike(piece)?, piece)));
        let best = best.reduce(|a, b| if b.0.0 > a.0.0 { b } else { a });
        let Some(((_, at), (left, right))) = best else { break };
        if student(window, (left, at, right)) > p {
            break;
        }
        places.push(at);
        places.sort_unstable();
    }
    places
}

/// Sums of the distances between all numbers of a window.
struct Distances {
    /// Of the rectangle from the first to before (row, column).
    sums: Vec<Vec<f64>>,
}

impl Distances {
    fn of(window: &[f64]) -> Self {
        let mut sums = vec![vec![0.0; window.len() + 1]];
        for a in window {
            let (mut row, mut along) = (vec![0.0], 0.0);
            for (column, b) in (1..).zip(window) {
                along += (a - b).abs();
                let above = sums.last().and_then(|above| above.get(column)).copied();
                row.push(above.unwrap_or(0.0) + along);
            }
            sums.push(row);
        }
        Self { sums }
    }

    /// Between the numbers of two stretches.
    fn between(&self, a: (usize, usize), b: (usize, usize)) -> f64 {
        let at = |row: usize, column: usize| {
            self.sums.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0.0)
        };
        at(a.1, b.1) - at(a.0, b.1) - at(a.1, b.0) + at(a.0, b.0)
    }

    /// The cut of a piece whose sides are most unlike, and by how much; the right side may end
    /// before the piece does, so that a short bump does not hide its beginning.
    fn most_unlike(&self, (left, right): (usize, usize)) -> Option<(f64, usize)> {
        let mut best: Option<(f64, usize)> = None;
        for cut in left + 1..right {
            for end in cut + 1..=right {
                let (n, m) = ((cut - left) as f64, (end - cut) as f64);
                let within = |side: (usize, usize)| 0.5 * self.between(side, side);
                let own =
                    |side, size: f64| if size > 1.0 { within(side) / (size - 1.0) } else { 0.0 };
                let apart = self.between((left, cut), (cut, end))
                    - m * own((left, cut), n)
                    - n * own((cut, end), m);
                let apart = 2.0 / (n + m) * apart;
                if best.is_none_or(|(most, _)| apart > most) {
                    best = Some((apart, cut));
                }
            }
        }
        best
    }
}

/// Student's two-sided test of equal means left and right of a cut, equal variances taken.
fn student(series: &[f64], (left, cut, right): (usize, usize, usize)) -> f64 {
    let side = |from: usize, to: usize| {
        let side = series.get(from..to).unwrap_or_default();
        let count = side.len() as f64;
        let mean = side.iter().sum::<f64>() / count.max(1.0);
        (count, mean, side.iter().map(|number| (number - mean).powi(2)).sum::<f64>())
    };
    let ((n, a, within_a), (m, b, within_b)) = (side(left, cut), side(cut, right));
    let freedom = n + m - 2.0;
    if freedom <= 0.0 || n < 1.0 || m < 1.0 || a == b {
        return 1.0;
    }
    // The one variance is scaled as Fleming et al. have it, each side by its own count.
    let scaled = |within: f64, count: f64| within * (count - 1.0) / count;
    let variance = (scaled(within_a, n) + scaled(within_b, m)) / freedom;
    let error = (variance * (1.0 / n + 1.0 / m)).sqrt();
    if error > 0.0 { 2.0 * student_above((a - b).abs() / error, freedom) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A series of levels with the noise of a fixed sawtooth.
    fn series(levels: &[(usize, f64)]) -> Vec<f64> {
        let levels = levels.iter().flat_map(|(count, level)| std::iter::repeat_n(*level, *count));
        (0..).zip(levels).map(|(day, level)| level + f64::from(day * 7 % 5) / 5.0).collect()
    }

    #[test]
    fn both_find_a_move_and_none_where_there_is_none() {
        let moved = series(&[(30, 1.0), (25, 4.0), (20, 1.0)]);
        assert_eq!(pelt(&moved, 5.0, 5), [30, 55]);
        let places = |breaks: Vec<Break>| breaks.iter().map(|b| b.at).collect::<Vec<_>>();
        assert_eq!(places(divisive(&moved, 1e-3)), [30, 55]);
        let level = series(&[(75, 1.0)]);
        assert!(pelt(&level, 5.0, 5).is_empty());
        assert_eq!(divisive(&level, 1e-3), []);
    }

    #[test]
    fn nothing_and_little_have_no_breaks() {
        for count in 0..4 {
            assert!(pelt(&vec![1.0; count], 1.0, 5).is_empty());
            assert_eq!(divisive(&vec![1.0; count], 1e-3), []);
        }
    }

    #[test]
    fn leaving_out_beginnings_changes_nothing() {
        let whole = series(&[(12, 1.0), (9, 2.0), (14, 1.4), (11, 3.0)]);
        for (penalty, shortest) in [(0.5, 1), (1.0, 3), (2.0, 5), (0.8, 7)] {
            assert_eq!(pelt(&whole, penalty, shortest), exhaustive(&whole, penalty, shortest));
        }
    }

    fn exhaustive(series: &[f64], penalty: f64, shortest: usize) -> Vec<usize> {
        let sums = Sums::of(series);
        let mut best = vec![(f64::INFINITY, Vec::new()); series.len() + 1];
        best[0] = (-penalty, Vec::new());
        for end in shortest..=series.len() {
            for begin in 0..=end - shortest {
                let cost = best[begin].0 + sums.cost(begin, end) + penalty;
                if cost < best[end].0 {
                    let mut breaks = best[begin].1.clone();
                    breaks.extend((begin > 0).then_some(begin));
                    best[end] = (cost, breaks);
                }
            }
        }
        best.pop().unwrap().1
    }
}
