//! What a snapshot remembers of the server that its volume was attached to: what a new one like it
//! needs, and which of its disks the volume was.

use std::collections::BTreeMap;

use stillpoint_core::Result;

use super::Ask;
use crate::api::nova::{Attached, Server};
use crate::cloud::found;
use crate::marks;

impl Ask<'_> {
    /// What an instance like this one needs, as far as it fits into metadata.
    pub(super) async fn server_marks(&self, server: &Server) -> Result<BTreeMap<String, String>> {
        let networks = found(self.cloud.session.networks(&server.id).await)?;
        let known = [
            (marks::FLAVOR, server.flavor.original_name.clone()),
            (marks::KEY_PAIR, server.key_name.clone()),
            (marks::NETWORKS, networks.map(|networks| networks.join(" "))),
        ];
        let known = known
            .into_iter()
            .filter_map(|(mark, value)| Some((mark, value?)));
        let fitting = known.filter(|(_, value)| value.chars().count() <= marks::LONGEST);
        Ok(fitting
            .map(|(mark, value)| (mark.to_owned(), value))
            .collect())
    }
}

/// Where a volume was, so that this outlives whatever listed it.
pub(super) fn disk_marks(
    server: &Server,
    attached: &[Attached],
    volume: &str,
) -> BTreeMap<String, String> {
    let Some(one) = attached.iter().find(|it| it.volume == volume) else {
        return BTreeMap::new();
    };
    let boots = server.boots_from(volume, attached);
    BTreeMap::from([
        (marks::INSTANCE.to_owned(), server.id.clone()),
        (marks::DISK.to_owned(), one.name()),
        (
            marks::BOOT.to_owned(),
            if boots { "yes" } else { "no" }.to_owned(),
        ),
    ])
}
