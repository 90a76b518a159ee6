use super::records::failed;
use super::{Depot, Receipt};
use crate::{Error, Result};

/// What is in a depot.
#[derive(Debug, Default)]
pub struct Listing {
    /// All archives that are there, by id.
    pub archives: Vec<Receipt>,
    /// What is there under an id with a receipt that cannot be believed, and why.
    pub refused: Vec<(String, Error)>,
}

impl Depot {
    /// All archives that are there. What else is below the depot's prefix is passed over; a receipt
    /// that is damaged hides no other.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn list(&self) -> Result<Listing> {
        let folders = self.store.list_with_delimiter(Some(&self.prefix)).await;
        let folders = folders
            .map_err(failed("listing the depot"))?
            .common_prefixes;
        let mut listing = Listing::default();
        for folder in &folders {
            // Somebody else's folder, where the name is no id.
            let id = folder.filename().unwrap_or_default();
            if self.keys(id).is_err() {
                continue;
            }
            match self.receipt(id).await {
                Ok(receipt) => listing.archives.push(receipt),
                // Not whole yet, or being deleted.
                Err(Error::NoSuchEntry(_)) => {}
                Err(error @ Error::Refused { .. }) => {
                    listing.refused.push((id.to_owned(), error));
                }
                Err(error) => return Err(error),
            }
        }
        listing.archives.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(listing)
    }
}
