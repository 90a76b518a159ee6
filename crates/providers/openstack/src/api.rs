//! The calls of each service that are made, and what is read of their replies.

pub(crate) mod cinder;
pub(crate) mod glance;
mod groups;
pub(crate) mod nova;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use stillpoint_core::{Error, ErrorKind, Result};

use crate::session::{Call, Session};

/// How many things to ask for at once; services cap it at what they like.
const PAGE: &str = "1000";

/// How often a list is begun anew because the thing that a page began after was gone.
const TRIES: usize = 3;

/// An id as it may stand in a path; any other names nothing.
pub(crate) fn id(text: &str) -> Result<&str> {
    let well = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !text.is_empty() && text.bytes().all(well) {
        return Ok(text);
    }
    Err(
        Error::new(ErrorKind::NotFound, "its id is none that the cloud gives")
            .advise("Use the id as it is listed"),
    )
}

/// A thing with an id.
pub(crate) trait Identified {
    fn id(&self) -> &str;
}

#[derive(Deserialize)]
struct Link {
    rel: String,
}

/// All pages of a list.
///
/// What vanishes between two pages takes the marker with it: then the list is read again.
pub(crate) async fn pages<T: DeserializeOwned + Identified>(
    session: &Session,
    call: &Call,
    name: &str,
) -> Result<Vec<T>> {
    let mut tries = 0;
    loop {
        match all_pages(session, call, name).await {
            Err((error, true)) if tries < TRIES && is_marker(&error) => tries += 1,
            Err((error, _)) => return Err(error),
            Ok(all) => return Ok(all),
        }
    }
}

fn is_marker(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid)
}

/// The error, and whether a marker was sent with what gave it.
async fn all_pages<T: DeserializeOwned + Identified>(
    session: &Session,
    call: &Call,
    name: &str,
) -> std::result::Result<Vec<T>, (Error, bool)> {
    let mut all: Vec<T> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut marker: Option<String> = None;
    loop {
        let mut page = call.clone().query("limit", PAGE);
        if let Some(marker) = &marker {
            page = page.query("marker", marker.clone());
        }
        let tell = |error| (error, marker.is_some());
        let mut reply = session.send(page).await.map_err(tell)?;
        let links = reply.body[format!("{name}_links")].take();
        let links: Vec<Link> = serde_json::from_value(links).unwrap_or_default();
        let more = links.iter().any(|link| link.rel == "next") || reply.body["next"].is_string();
        let items: Vec<T> = reply.read(name).map_err(tell)?;
        let before = all.len();
        for item in items {
            if seen.insert(item.id().to_owned()) {
                all.push(item);
            }
        }
        // A service that gives the same page for ever must not keep us for ever.
        if !more || all.len() == before {
            return Ok(all);
        }
        marker = all.last().map(|last| last.id().to_owned());
    }
}
