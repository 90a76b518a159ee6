use std::collections::BTreeMap;

/// Labels of a resource or a snapshot: a key has one value, and keys are kept in order.
///
/// Providers bound what they keep (OpenStack: 255 characters a value); one that cannot keep a
/// label as given refuses it.
pub type Labels = BTreeMap<String, String>;
