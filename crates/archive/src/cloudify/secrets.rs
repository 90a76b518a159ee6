use crate::Class;

/// How a manager's file is to be kept, by its path: what holds passwords, keys, tokens or plain
/// secrets is [`Class::Secret`].
pub fn class_of(path: &str) -> Class {
    let parts: Vec<&str> = path.split('/').collect();
    match &parts[..] {
        ["admin_account.json" | "agents.json" | "hash_salt.json" | "rest-security.conf"] => {
            Class::Secret
        }
        ["pg_data" | "stage_data" | "composer_data" | "es_data"] => Class::Secret,
        // Which envelope holds secrets is not told by its name.
        ["mgmt" | "tenants", ..] if path.ends_with(".json") => Class::Secret,
        [
            "es_data" | "influxdb_data" | "snapshot-credentials" | "ssl",
            ..,
        ] => Class::Secret,
        // Working directories of deployments hold inputs and state of plugins.
        ["deployments", ..] => Class::Secret,
        ["tenants", _, "deployments" | "deployments_archives", _] => Class::Secret,
        ["metadata.json"] => Class::Public,
        _ => Class::Internal,
    }
}
