//! The rows in a dump of PostgreSQL's: `COPY table (columns) FROM stdin;` and what follows.

use std::collections::BTreeMap;

/// A row, by its columns; none: null.
pub(crate) type Row = BTreeMap<String, Option<String>>;

/// The rows of each table, by its name without its schema.
pub(crate) fn tables(dump: &str) -> BTreeMap<String, Vec<Row>> {
    let mut tables: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut lines = dump.split('\n');
    while let Some(line) = lines.next() {
        let Some((table, columns)) = head(line) else {
            continue;
        };
        let rows = tables.entry(table).or_default();
        for line in lines.by_ref().take_while(|it| *it != "\\.") {
            let values = line.split('\t').map(value);
            rows.push(columns.iter().cloned().zip(values).collect());
        }
    }
    tables
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
