use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// All that a world did, in order: what was written, what was asked of clouds, what went wrong.
///
/// Equal seeds have equal traces, as long as what is tested takes time and chance from its world
/// alone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trace {
    lines: Vec<(Duration, String)>,
}

impl Trace {
    pub(crate) fn add(&mut self, at: Duration, line: String) {
        self.lines.push((at, line));
    }

    /// How many things happened.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// A number that is equal for equal traces, within one version of the compiler.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.lines.hash(&mut hasher);
        hasher.finish()
    }

    /// Where another trace goes another way: the first line that differs, of each.
    pub fn parts_from(&self, other: &Self) -> Option<(String, String)> {
        let line = |of: &Self, at: usize| {
            of.lines
                .get(at)
                .map_or_else(|| "the end".to_owned(), |(at, line)| written(*at, line))
        };
        let longest = self.len().max(other.len());
        (0..longest)
            .find(|at| self.lines.get(*at) != other.lines.get(*at))
            .map(|at| (line(self, at), line(other, at)))
    }

    /// Its last lines, to print.
    pub(crate) fn tail(&self, lines: usize) -> Tail<'_> {
        Tail {
            trace: self,
            skip: self.len().saturating_sub(lines),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tail(self.len()).fmt(f)
    }
}

#[derive(Debug)]
pub(crate) struct Tail<'a> {
    trace: &'a Trace,
    skip: usize,
}

impl fmt::Display for Tail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.skip > 0 {
            writeln!(f, "({} lines before)", self.skip)?;
        }
        for (at, line) in &self.trace.lines[self.skip..] {
            writeln!(f, "{}", written(*at, line))?;
        }
        Ok(())
    }
}

fn written(at: Duration, line: &str) -> String {
    let seconds = at.as_secs();
    format!(
        "{}d {:02}:{:02}:{:02}.{:03}  {line}",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        at.subsec_millis()
    )
}
