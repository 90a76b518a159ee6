use std::collections::VecDeque;
use std::fs::File;
use std::io;

use stillpoint_iaas::Extent;

use crate::direct;
use crate::extents;
use crate::failpoint::{self, Step};
use crate::jobs::Job;

/// Copied at a time by way of the page cache.
const CACHED: u64 = 8 << 20;

/// Data looked for at a time, about, and runs of it at most.
const AHEAD: u64 = 256 << 20;
const RUNS: usize = 1024;

/// How a piece gets to its file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'a> {
    /// By way of the page cache.
    Cached,
    /// Past it, by the file that was opened so.
    Direct(&'a File),
}

/// The data of a file in pieces, in order. What is not data is passed, of which the job learns.
///
/// What is to go past the page cache has its blocks reserved before the first of it is given out:
/// a reservation waits for all who write.
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    from: &'a File,
    direct: Option<&'a File>,
    size: u64,
    job: &'a Job,
    passed: u64,
    runs: VecDeque<(Extent, Way<'a>)>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn of(from: &'a File, direct: Option<&'a File>, size: u64, job: &'a Job) -> Self {
        Self {
            from,
            direct,
            size,
            job,
            passed: 0,
            runs: VecDeque::new(),
        }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<(Extent, Way<'a>)>> {
        if self.runs.is_empty() {
            self.look_ahead()?;
        }
        let Some((run, way)) = self.runs.pop_front() else {
            return Ok(None);
        };
        let most = match way {
            Way::Cached => CACHED,
            Way::Direct(_) => direct::PIECE,
        };
        let (piece, rest) = split(run, run.offset + run.length.min(most));
        if let Some(rest) = rest {
            self.runs.push_front((rest, way));
        }
        Ok(piece.map(|piece| (piece, way)))
    }

    fn look_ahead(&mut self) -> io::Result<()> {
        let mut found = 0;
        while found < AHEAD && self.runs.len() < RUNS {
            let Some(mut extent) = extents::next(self.from, self.passed, self.size)? else {
                self.job.advance(self.size - self.passed);
                self.passed = self.size;
                break;
            };
            extent.length = extent.length.min(AHEAD);
            self.job.advance(extent.offset - self.passed);
            self.passed = extent.end();
            found += extent.length;
            match (self.direct, direct::part(extent)) {
                (Some(to), Some(part)) => self.runs.extend(around(extent, part, to)),
                _ => self.runs.push_back((extent, Way::Cached)),
            }
        }
        for (run, way) in &self.runs {
            if let Way::Direct(to) = way {
                failpoint::reached(Step::Use)?;
                direct::reserve(to, *run);
            }
        }
        Ok(())
    }
}

/// A run of data, a part of which can go past the cache.
fn around<'a>(
    extent: Extent,
    part: Extent,
    to: &'a File,
) -> impl Iterator<Item = (Extent, Way<'a>)> {
    let (head, _) = split(extent, part.offset);
    let (_, tail) = split(extent, part.end());
    let cached = |run: Option<Extent>| run.map(|run| (run, Way::Cached));
    [cached(head), Some((part, Way::Direct(to))), cached(tail)]
        .into_iter()
        .flatten()
}

/// What is before and from `at` on, where that is anything.
fn split(extent: Extent, at: u64) -> (Option<Extent>, Option<Extent>) {
    let run = |from: u64, to: u64| {
        (from < to).then(|| Extent {
            offset: from,
            length: to - from,
        })
    };
    (run(extent.offset, at), run(at, extent.end()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    const MIB: u64 = 1 << 20;
    const DIRECT: bool = true;
    const CACHED: bool = false;

    /// A file with these runs of data, and its pieces.
    fn pieces(size: u64, runs: &[(u64, u64)], past: bool) -> Vec<(u64, u64, bool)> {
        let from = tempfile::tempfile().unwrap();
        from.set_len(size).unwrap();
        for (offset, length) in runs {
            let data = vec![1; usize::try_from(*length).unwrap()];
            from.write_all_at(&data, *offset).unwrap();
        }
        let to = tempfile::tempfile().unwrap();
        let job = Job::new();
        let mut pieces = Pieces::of(&from, past.then_some(&to), size, &job);
        let mut found = Vec::new();
        while let Some((piece, way)) = pieces.next().unwrap() {
            found.push((piece.offset, piece.length, matches!(way, Way::Direct(_))));
        }
        assert!(pieces.next().unwrap().is_none());
        let data: u64 = found.iter().map(|(_, length, _)| length).sum();
        assert_eq!(job.done() + data, size, "what is no data is passed, once");
        found
    }

    #[test]
    fn long_runs_go_past_the_cache_but_for_odd_ends() {
        let runs = [(4096, 8192), (16 * MIB, 2 * MIB + 4096), (32 * MIB - 5, 5)];
        let found = pieces(32 * MIB, &runs, true);
        assert_eq!(
            found,
            [
                (4096, 8192, CACHED),
                (16 * MIB, MIB, DIRECT),
                (17 * MIB, MIB, DIRECT),
                (18 * MIB, 4096, DIRECT),
                // The file system knows whole blocks only.
                (32 * MIB - 4096, 4096, CACHED),
            ]
        );
        let found = pieces(MIB + 10, &[(0, MIB + 10)], true);
        assert_eq!(found, [(0, MIB, DIRECT), (MIB, 10, CACHED)]);
    }

    #[test]
    fn a_run_that_begins_and_ends_within_blocks_is_whole() {
        let run = Extent {
            offset: 4095,
            length: MIB + 2,
        };
        let part = direct::part(run).unwrap();
        let to = tempfile::tempfile().unwrap();
        let runs = around(run, part, &to);
        let found: Vec<_> = runs
            .map(|(run, way)| (run.offset, run.length, matches!(way, Way::Direct(_))))
            .collect();
        assert_eq!(
            found,
            [
                (4095, 1, CACHED),
                (4096, MIB, DIRECT),
                (4096 + MIB, 1, CACHED),
            ]
        );
    }

    #[test]
    fn without_a_way_past_it_all_goes_by_the_cache() {
        let found = pieces(32 * MIB, &[(0, 9 * MIB)], false);
        assert_eq!(found, [(0, 8 * MIB, CACHED), (8 * MIB, MIB, CACHED)]);
    }

    #[test]
    fn what_is_longer_than_is_looked_ahead_is_whole() {
        let found = pieces(AHEAD + 3 * MIB + 7, &[(0, AHEAD + 3 * MIB + 7)], true);
        let mut at = 0;
        for (offset, length, _) in &found {
            assert_eq!(*offset, at);
            at += length;
        }
        assert_eq!(at, AHEAD + 3 * MIB + 7);
        assert_eq!(found.last(), Some(&(AHEAD + 3 * MIB, 7, CACHED)));
    }
}
