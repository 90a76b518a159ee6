//! The rows in a dump of PostgreSQL's: `COPY table (columns) FROM stdin;` and what follows. A dump is
//! as large as a database, so they are seen one by one, and of each only what is asked for is held.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read};

use stillpoint::{Error, ErrorKind, Result};

/// Bytes of a value that is asked for, or of a head, at most. What is not asked for may be longer.
const LONGEST: usize = 64 << 10;

/// The values of those columns that were asked for; none: null, or no such column.
#[derive(Debug, Default)]
pub(crate) struct Row(BTreeMap<&'static str, String>);

/// What ended a field.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Tab,
    Line,
    Dump,
}

/// A dump, from its start to its end.
struct Fields<R> {
    dump: BufReader<R>,
    /// The last field: no more than [`LONGEST`] bytes of it, and one more where it is longer.
    kept: Vec<u8>,
}

impl Row {
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str)
    }
}

/// Shows each row, with its table's name without its schema.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where it cannot be read, or ends among its rows; those of `see`.
pub(crate) fn each(
    dump: impl Read,
    wanted: &[&'static str],
    mut see: impl FnMut(&str, &Row) -> Result<()>,
) -> Result<()> {
    let mut fields = Fields {
        dump: BufReader::with_capacity(256 << 10, dump),
        kept: Vec::new(),
    };
    loop {
        let end = fields.next(false)?;
        if let Some((table, columns)) = head(fields.text_of_head()?) {
            let asked: Vec<Option<&'static str>> = columns
                .iter()
                .map(|column| wanted.iter().find(|it| *it == column).copied())
                .collect();
            while let Some(row) = fields.row(&asked)? {
                see(&table, &row)?;
            }
        } else if end == End::Dump {
            return Ok(());
        }
    }
}

impl<R: Read> Fields<R> {
    /// The next row; none: the table is over.
    fn row(&mut self, asked: &[Option<&'static str>]) -> Result<Option<Row>> {
        let mut row = Row::default();
        for at in 0.. {
            let end = self.next(true)?;
            if at == 0 && end == End::Line && self.kept == b"\\." {
                return Ok(None);
            }
            if end == End::Dump {
                return Err(corrupt("it ends among the rows of a table"));
            }
            if let Some(Some(name)) = asked.get(at)
                && let Some(value) = value(self.text()?)
            {
                row.0.insert(name, value);
            }
            if end == End::Line {
                break;
            }
        }
        Ok(Some(row))
    }

    /// Reads on to the end of a field, or of a line where tabs end nothing.
    fn next(&mut self, tabs: bool) -> Result<End> {
        self.kept.clear();
        loop {
            let found = match self.dump.fill_buf() {
                Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
                found => found.map_err(|source| corrupt(&source.to_string()))?,
            };
            if found.is_empty() {
                return Ok(End::Dump);
            }
            let at = found
                .iter()
                .position(|byte| *byte == b'\n' || (tabs && *byte == b'\t'));
            let field = &found[..at.unwrap_or(found.len())];
            let room = (LONGEST + 1).saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&field[..field.len().min(room)]);
            let end = at.map(|at| {
                if found[at] == b'\n' {
                    End::Line
                } else {
                    End::Tab
                }
            });
            let used = field.len() + usize::from(end.is_some());
            self.dump.consume(used);
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// What stands outside of tables may be of any length, and is nothing to us.
    fn text_of_head(&self) -> Result<&str> {
        match self.kept.starts_with(b"COPY ") {
            true => self.text(),
            false => Ok(""),
        }
    }

    fn text(&self) -> Result<&str> {
        if self.kept.len() > LONGEST {
            return Err(corrupt("a name in it is longer than any can be"));
        }
        std::str::from_utf8(&self.kept).map_err(|_| corrupt("a name in it is not in UTF-8"))
    }
}

fn corrupt(why: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the dump of its database: {why}"),
    )
    .advise("Use another copy")
}

/// The table and the columns of a head.
fn head(line: &str) -> Option<(String, Vec<String>)> {
    let rest = line.strip_prefix("COPY ")?.strip_suffix(") FROM stdin;")?;
    let (table, columns) = rest.split_once(" (")?;
    let table = table.rsplit('.').next()?.trim_matches('"').to_owned();
    let columns = columns.split(", ");
    Some((
        table,
        columns.map(|it| it.trim_matches('"').to_owned()).collect(),
    ))
}

/// A value as it was before it was written.
fn value(text: &str) -> Option<String> {
    if text == "\\N" {
        return None;
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                other => other,
            },
            other => other,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(dump: &str) -> Result<Vec<String>> {
        let mut seen = Vec::new();
        each(dump.as_bytes(), &["id", "name"], |table, row| {
            seen.push(format!("{table} {:?} {:?}", row.get("id"), row.get("name")));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let dump = "SET x = 1;\nCOPY public.a (name, plan, id) FROM stdin;\n\
                    x\\ty\tCOPY b (id) FROM stdin;\t1\n\\N\t\\\\.\t2\n\\.\n\n\
                    COPY public.\"b\" (id) FROM stdin;\n\\.\nCOPY c (id, name) FROM stdin;\n7\t\n\\.\n";
        let wanted = [
            r#"a Some("1") Some("x\ty")"#,
            r#"a Some("2") None"#,
            r#"c Some("7") Some("")"#,
        ];
        assert_eq!(seen(dump).unwrap(), wanted);
    }

    #[test]
    fn a_dump_that_ends_among_rows_is_refused() {
        for cut in ["1\ta\n", "1\ta", "1", "", "\\."] {
            let error = seen(&format!("COPY a (id, name) FROM stdin;\n{cut}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{cut:?}");
        }
    }

    #[test]
    fn only_a_value_that_is_asked_for_has_to_be_short() {
        let long = "x".repeat(3 * LONGEST);
        let row =
            |id: &str, plan: &str| format!("COPY a (id, plan) FROM stdin;\n{id}\t{plan}\n\\.\n");
        assert_eq!(seen(&row("1", &long)).unwrap(), [r#"a Some("1") None"#]);
        assert_eq!(
            seen(&row(&long, "")).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        assert!(seen(&format!("SELECT '{long}';\n")).unwrap().is_empty());
    }
}
