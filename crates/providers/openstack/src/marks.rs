//! What we write into the metadata of things, so that they are known again.

use std::collections::BTreeMap;

use stillpoint_core::{Error, ErrorKind, Labels, Result};
use stillpoint_iaas::OperationKey;

use crate::api::glance::is_label;

/// All our marks start with this; labels do not.
pub(crate) const PREFIX: &str = "stillpoint.";

/// The key of the operation that made it.
pub(crate) const KEY: &str = "stillpoint.key";

/// Whether anything could write when a snapshot was taken.
pub(crate) const CAPTURE: &str = "stillpoint.capture";

/// The flavor of the server that a snapshot was taken of.
pub(crate) const FLAVOR: &str = "stillpoint.flavor";

/// The key pair of the server that a snapshot was taken of.
pub(crate) const KEY_PAIR: &str = "stillpoint.key_pair";

/// The networks of the server that a snapshot was taken of, with spaces between.
pub(crate) const NETWORKS: &str = "stillpoint.networks";

/// The server that a snapshot's volume was attached to.
pub(crate) const INSTANCE: &str = "stillpoint.instance";

/// What the volume was called there.
pub(crate) const DISK: &str = "stillpoint.disk";

/// Whether the server booted from it: `yes` or `no`.
pub(crate) const BOOT: &str = "stillpoint.boot";

/// The key of the operation that reverted a volume last.
pub(crate) const REVERTED: &str = "stillpoint.reverted";

/// The id of the image that this snapshot is deleted together with.
pub(crate) const DELETED_WITH: &str = "stillpoint.deleted_with";

/// The key of the operation that deletes this snapshot, of a group that is not all to go yet.
pub(crate) const GONE: &str = "stillpoint.gone";

/// Longest name and value of metadata, in characters, in every service.
pub(crate) const LONGEST: usize = 255;

/// Metadata of a thing that is made under this key, with these labels.
pub(crate) fn metadata(key: &OperationKey, labels: &Labels) -> Result<BTreeMap<String, String>> {
    check(labels)?;
    let mut metadata = labels.clone();
    metadata.insert(KEY.to_owned(), key.to_string());
    Ok(metadata)
}

/// As [`metadata`], of an image: there labels stand among Glance's own fields.
pub(crate) fn image_metadata(
    key: &OperationKey,
    labels: &Labels,
) -> Result<BTreeMap<String, String>> {
    check_image(labels)?;
    metadata(key, labels)
}

/// Refuses labels that would be properties which services read.
pub(crate) fn check_image(labels: &Labels) -> Result<()> {
    let Some(name) = labels.keys().find(|name| !is_label(name)) else {
        return Ok(());
    };
    let shown: String = name.chars().take(64).collect();
    let shown = shown.escape_debug();
    let what = format!("label `{shown}` has the name of a property that an image's services read");
    Err(Error::new(ErrorKind::Invalid, what).advise("Choose another name"))
}

/// The labels in a thing's metadata.
pub(crate) fn labels(metadata: &BTreeMap<String, String>) -> Labels {
    let labels = metadata
        .iter()
        .filter(|(name, _)| !name.starts_with(PREFIX));
    labels
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Refuses labels that a service would cut, refuse half-way or take for ours.
pub(crate) fn check(labels: &Labels) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
    for (name, value) in labels {
        let wrong = if name.is_empty() || name.chars().count() > LONGEST {
            "has a name that is empty or over 255 characters"
        } else if !name.chars().all(allowed) {
            "has a name with other characters than a-z A-Z 0-9 - _ : . and space"
        } else if name.starts_with(PREFIX) {
            "has a name that starts with `stillpoint.`"
        } else if value.chars().count() > LONGEST {
            "has a value of over 255 characters"
        } else {
            continue;
        };
        let shown: String = name.chars().take(64).collect();
        let what = format!("label `{}` {wrong}", shown.escape_debug());
        return Err(Error::new(ErrorKind::Invalid, what).advise("Choose another one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn labels_come_back_as_they_went(labels in proptest::collection::btree_map("[a-z:. _-]{1,9}", ".{0,40}", 0..5)) {
            let key: OperationKey = "job-1.take".parse().unwrap();
            let metadata = metadata(&key, &labels).unwrap();
            prop_assert_eq!(&metadata[KEY], key.as_str());
            prop_assert_eq!(super::labels(&metadata), labels);
        }
    }

    #[test]
    fn what_a_service_would_not_keep_is_refused() {
        let long = "x".repeat(256);
        for (name, value) in [
            ("", "x"),
            (&*long, "x"),
            ("x", &*long),
            ("a/b", ""),
            (KEY, "mine"),
        ] {
            let labels = Labels::from([(name.to_owned(), value.to_owned())]);
            assert_eq!(
                check(&labels).unwrap_err().kind(),
                ErrorKind::Invalid,
                "{name}"
            );
        }
    }
}
