use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, Labels, Result, SnapshotId, SnapshotState};

use crate::catalogue::{Author, Row, expiry};

/// Longest name, label key and pin, in bytes.
const MAX_NAME: usize = 255;
/// Longest description and label value, in bytes.
const MAX_TEXT: usize = 4096;
/// Most labels, and most pins.
const MAX_SET: usize = 128;

/// Changes made by people. Each reads the row, changes it and writes it if nobody else did
/// meanwhile, else tries again; after some attempts the error is `Busy`. Each returns the row as
/// written, is `NotFound` where there is none, and passes on the errors of the
/// [`State`](crate::State).
impl Author {
    /// Gives it another name: 1 to 255 bytes without control characters. Names need not be unique.
    ///
    /// # Errors
    ///
    /// `Invalid` where it is no name, and as said above.
    pub async fn rename(&self, id: SnapshotId, name: &str) -> Result<Row> {
        check_line("name", name)?;
        self.edit(id, |snapshot| {
            name.clone_into(&mut snapshot.name);
            Ok(())
        })
        .await
    }

    /// Gives it another description: at most 4096 bytes, in which lines may end.
    ///
    /// # Errors
    ///
    /// `Invalid` where it is too long or has other control characters, and as said above.
    pub async fn describe(&self, id: SnapshotId, description: &str) -> Result<Row> {
        check_text("description", description)?;
        self.edit(id, |snapshot| {
            description.clone_into(&mut snapshot.description);
            Ok(())
        })
        .await
    }

    /// Gives it these labels in place of those it has: at most 128, keys like names, values like
    /// descriptions.
    ///
    /// # Errors
    ///
    /// `Invalid` where a label is none or there are too many, and as said above.
    pub async fn set_labels(&self, id: SnapshotId, labels: Labels) -> Result<Row> {
        check_count("labels", labels.len())?;
        for (key, value) in &labels {
            check_line("label key", key)?;
            check_text("label value", value)?;
        }
        self.edit(id, |snapshot| {
            labels.clone_into(&mut snapshot.labels);
            Ok(())
        })
        .await
    }

    /// Has it kept for this reason, of 1 to 255 bytes, whatever else would delete it. The same
    /// reason twice is one pin.
    ///
    /// # Errors
    ///
    /// `Precondition` where it is being deleted, `Invalid` where it is no reason or there are
    /// over 128, and as said above.
    pub async fn pin(&self, id: SnapshotId, reason: &str) -> Result<Row> {
        check_line("reason", reason)?;
        self.edit(id, |snapshot| {
            if snapshot.state == SnapshotState::Deleting {
                return Err(Error::new(
                    ErrorKind::Precondition,
                    format!("snapshot {id} is being deleted"),
                )
                .advise("Pin another one"));
            }
            snapshot.pins.insert(reason.to_owned());
            check_count("pins", snapshot.pins.len())
        })
        .await
    }

    /// Takes that reason to keep it away. A reason that is not there is no error.
    ///
    /// # Errors
    ///
    /// As said above.
    pub async fn unpin(&self, id: SnapshotId, reason: &str) -> Result<Row> {
        self.edit(id, |snapshot| {
            snapshot.pins.remove(reason);
            Ok(())
        })
        .await
    }

    /// Says from when on nobody wants it, to the second; `None` takes that back. A pin, and being
    /// the last good one of its source, keep it all the same.
    ///
    /// # Errors
    ///
    /// As said above.
    pub async fn expire(&self, id: SnapshotId, at: Option<Timestamp>) -> Result<Row> {
        let at = at.map(expiry::whole_second);
        self.edit(id, |snapshot| {
            snapshot.expires_at = at;
            Ok(())
        })
        .await
    }
}

fn check_line(what: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
        let shown: String = text.chars().take(64).collect();
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("`{}` is no {what}", shown.escape_debug()),
        )
        .advise(format!(
            "Use 1 to {MAX_NAME} bytes without control characters"
        )));
    }
    Ok(())
}

fn check_text(what: &str, text: &str) -> Result<()> {
    let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.len() > MAX_TEXT || text.chars().any(bad) {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("the {what} is too long or has control characters"),
        )
        .advise(format!("Use at most {MAX_TEXT} bytes")));
    }
    Ok(())
}

fn check_count(what: &str, count: usize) -> Result<()> {
    if count > MAX_SET {
        return Err(
            Error::new(ErrorKind::Invalid, format!("there would be {count} {what}"))
                .advise(format!("Use at most {MAX_SET}")),
        );
    }
    Ok(())
}
