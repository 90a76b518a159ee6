use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use stillpoint_core::{Error, ErrorKind, Result};

use crate::batch::{Guard, Operation, Write};
use crate::conflict::{Conflict, Refusal};
use crate::entry::{Entry, Revision};

/// Version of what is in the tables. Other versions are refused.
const FORMAT: u64 = 1;

/// Each key with the revision that wrote it, and its value.
pub(super) const ENTRIES: TableDefinition<'static, &str, (u64, &[u8])> =
    TableDefinition::new("stillpoint/entries");
const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("stillpoint/numbers");

/// The entries within a transaction that writes.
pub(super) type Entries<'t> = redb::Table<'t, &'static str, (u64, &'static [u8])>;

/// Makes the tables of a new state.
pub(super) fn initialise(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    {
        let mut numbers = transaction.open_table(NUMBERS)?;
        numbers.insert("format", FORMAT)?;
        numbers.insert("revision", 0)?;
    }
    Ok(transaction.commit()?)
}

/// Whether the file is a state that this version reads.
pub(super) fn check_format(database: &Database, path: &Path) -> Result<()> {
    let found = number(database, "format");
    match found {
        Ok(Some(FORMAT)) => Ok(()),
        Ok(Some(other)) => Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "{} has format {other}, and this version reads {FORMAT}",
                path.display()
            ),
        )
        .advise("Open it with the version that wrote it")),
        Err(redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. })
        | Ok(None) => Err(Error::new(
            ErrorKind::Invalid,
            format!("{} is a redb file of something else", path.display()),
        )
        .advise("Check the path")),
        Err(source) => Err(super::error::redb("read", path, source)),
    }
}

/// The revision of the last commit that wrote.
pub(super) fn revision(database: &Database) -> Result<Revision, redb::Error> {
    Ok(Revision::new(number(database, "revision")?.unwrap_or(0)))
}

fn number(database: &Database, name: &str) -> Result<Option<u64>, redb::Error> {
    let numbers = database.begin_read()?.open_table(NUMBERS)?;
    Ok(numbers.get(name)?.map(|number| number.value()))
}

pub(super) fn get(database: &Database, key: &str) -> Result<Option<Entry>, redb::Error> {
    let entries = database.begin_read()?.open_table(ENTRIES)?;
    Ok(entries.get(key)?.map(|found| entry(key, found.value())))
}

/// The revision that a read transaction is of.
pub(super) fn revision_of(transaction: &redb::ReadTransaction) -> Result<Revision, redb::Error> {
    let number = transaction.open_table(NUMBERS)?.get("revision")?;
    Ok(Revision::new(number.map_or(0, |number| number.value())))
}

pub(super) fn entry(key: &str, (version, value): (u64, &[u8])) -> Entry {
    Entry {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value),
        version: Revision::new(version),
    }
}

/// What became of one batch within a transaction that is not committed yet.
pub(super) struct Applied {
    pub(super) revision: Revision,
    /// The keys that were written.
    pub(super) keys: Vec<String>,
}

/// Applies one batch after `last`. The inner error is that its guards refused it, and nothing was
/// written; the outer one that the transaction failed.
pub(super) fn apply(
    entries: &mut Entries<'_>,
    last: Revision,
    operations: BTreeMap<String, Operation>,
) -> Result<Result<Applied>, redb::Error> {
    let mut refusals = Vec::new();
    for (key, operation) in &operations {
        if operation.guard == Guard::Any {
            continue;
        }
        let found = entries
            .get(key.as_str())?
            .map(|found| Revision::new(found.value().0));
        if !operation.guard.holds(found) {
            refusals.push(Refusal {
                key: key.clone(),
                demanded: operation.guard,
                found,
            });
        }
    }
    if let Err(conflict) = Conflict::check(refusals) {
        return Ok(Err(conflict));
    }
    let next = last.next();
    let mut keys = Vec::new();
    for (key, operation) in operations {
        match operation.write {
            Some(Write::Delete) => drop(entries.remove(key.as_str())?),
            Some(Write::Put(value)) => {
                drop(entries.insert(key.as_str(), (next.number(), value.as_ref()))?);
            }
            None => continue,
        }
        keys.push(key);
    }
    let revision = if keys.is_empty() { last } else { next };
    Ok(Ok(Applied { revision, keys }))
}

pub(super) fn store_revision(
    transaction: &WriteTransaction,
    revision: Revision,
) -> Result<(), redb::Error> {
    let mut numbers = transaction.open_table(NUMBERS)?;
    numbers.insert("revision", revision.number())?;
    Ok(())
}
