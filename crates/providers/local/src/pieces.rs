use std::fs::File;
use std::io;

use stillpoint_iaas::Extent;

use crate::direct;
use crate::extents;
use crate::jobs::Job;

/// Copied at a time by way of the page cache.
const CACHED: u64 = 8 << 20;

/// How a piece gets to its file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// By way of the page cache.
    Cached,
    /// Past it.
    Direct,
}

/// The data of a file in pieces, in order. What is not data is passed, of which the job learns.
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    from: &'a File,
    /// Where the pieces that go past the cache are written.
    direct: Option<&'a File>,
    size: u64,
    job: &'a Job,
    passed: u64,
    /// What is left of the last run of data, its start last.
    runs: Vec<(Extent, Way)>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn of(from: &'a File, direct: Option<&'a File>, size: u64, job: &'a Job) -> Self {
        Self {
            from,
            direct,
            size,
            job,
            passed: 0,
            runs: Vec::new(),
        }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<(Extent, Way)>> {
        loop {
            if let Some((run, way)) = self.runs.pop() {
                let most = match way {
                    Way::Cached => CACHED,
                    Way::Direct => direct::PIECE,
                };
                let (piece, rest) = split(run, run.offset + run.length.min(most));
                self.runs.extend(rest.map(|rest| (rest, way)));
                return Ok(piece.map(|piece| (piece, way)));
            }
            let Some(extent) = extents::next(self.from, self.passed, self.size)? else {
                self.job.advance(self.size - self.passed);
                self.passed = self.size;
                return Ok(None);
            };
            self.job.advance(extent.offset - self.passed);
            self.passed = extent.end();
            self.runs = match (self.direct, direct::part(extent)) {
                (Some(to), Some(part)) => {
                    direct::reserve(to, part)?;
                    around(extent, part)
                }
                _ => vec![(extent, Way::Cached)],
            };
        }
    }
}

/// A run of data, a part of which can go past the cache; its start last.
fn around(extent: Extent, part: Extent) -> Vec<(Extent, Way)> {
    let (head, _) = split(extent, part.offset);
    let (_, tail) = split(extent, part.end());
    let cached = |run: Option<Extent>| run.map(|run| (run, Way::Cached));
    let runs = [cached(tail), Some((part, Way::Direct)), cached(head)];
    runs.into_iter().flatten().collect()
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

    /// A file with these runs of data, and its pieces.
    fn pieces(size: u64, runs: &[(u64, u64)], past: bool) -> Vec<(u64, u64, Way)> {
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
            found.push((piece.offset, piece.length, way));
        }
        assert_eq!(pieces.next().unwrap(), None);
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
                (4096, 8192, Way::Cached),
                (16 * MIB, MIB, Way::Direct),
                (17 * MIB, MIB, Way::Direct),
                (18 * MIB, 4096, Way::Direct),
                // The file system knows whole blocks only.
                (32 * MIB - 4096, 4096, Way::Cached),
            ]
        );
        let found = pieces(MIB + 10, &[(0, MIB + 10)], true);
        assert_eq!(found, [(0, MIB, Way::Direct), (MIB, 10, Way::Cached)]);
    }

    #[test]
    fn a_run_that_begins_and_ends_within_blocks_is_whole() {
        let extent = |offset, length| Extent { offset, length };
        let run = extent(4095, MIB + 2);
        let part = direct::part(run).unwrap();
        assert_eq!(
            around(run, part),
            [
                (extent(4096 + MIB, 1), Way::Cached),
                (extent(4096, MIB), Way::Direct),
                (extent(4095, 1), Way::Cached),
            ]
        );
    }

    #[test]
    fn without_a_way_past_it_all_goes_by_the_cache() {
        let found = pieces(32 * MIB, &[(0, 9 * MIB)], false);
        assert_eq!(
            found,
            [(0, 8 * MIB, Way::Cached), (8 * MIB, MIB, Way::Cached)]
        );
    }
}
