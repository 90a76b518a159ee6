use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use super::clouds::{Auth, Entry};

/// The variables of a process, as far as they are asked for.
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(super) fn of_this_process() -> Self {
        let ours =
            |name: &str| name.starts_with("OS_") || ["HOME", "XDG_CONFIG_HOME"].contains(&name);
        Self::new(std::env::vars().filter(|(name, _)| ours(name)))
    }

    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The variable, where it is set to something.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// What the `OS_*` variables of an openrc file say of a cloud.
    pub(super) fn entry(&self) -> Entry {
        let text = |name| self.get(name).map(ToOwned::to_owned);
        let secret = |name| self.get(name).map(SecretString::from);
        Entry {
            auth: Auth {
                auth_url: text("OS_AUTH_URL"),
                username: text("OS_USERNAME"),
                user_id: text("OS_USER_ID"),
                password: secret("OS_PASSWORD"),
                project_name: text("OS_PROJECT_NAME").or_else(|| text("OS_TENANT_NAME")),
                project_id: text("OS_PROJECT_ID").or_else(|| text("OS_TENANT_ID")),
                domain_name: text("OS_DOMAIN_NAME"),
                domain_id: text("OS_DOMAIN_ID"),
                user_domain_name: text("OS_USER_DOMAIN_NAME"),
                user_domain_id: text("OS_USER_DOMAIN_ID"),
                project_domain_name: text("OS_PROJECT_DOMAIN_NAME"),
                project_domain_id: text("OS_PROJECT_DOMAIN_ID"),
                application_credential_id: text("OS_APPLICATION_CREDENTIAL_ID"),
                application_credential_name: text("OS_APPLICATION_CREDENTIAL_NAME"),
                application_credential_secret: secret("OS_APPLICATION_CREDENTIAL_SECRET"),
            },
            auth_type: text("OS_AUTH_TYPE"),
            region_name: text("OS_REGION_NAME"),
            interface: text("OS_INTERFACE").or_else(|| text("OS_ENDPOINT_TYPE")),
            cacert: self.get("OS_CACERT").map(PathBuf::from),
            verify: self.get("OS_INSECURE").and_then(|insecure| {
                let insecure = insecure.to_ascii_lowercase();
                matches!(insecure.as_str(), "1" | "true" | "yes").then_some(false)
            }),
            compute_endpoint_override: text("OS_COMPUTE_ENDPOINT_OVERRIDE"),
            image_endpoint_override: text("OS_IMAGE_ENDPOINT_OVERRIDE"),
            network_endpoint_override: text("OS_NETWORK_ENDPOINT_OVERRIDE"),
            block_storage_endpoint_override: text("OS_BLOCK_STORAGE_ENDPOINT_OVERRIDE"),
            volume_endpoint_override: text("OS_VOLUME_ENDPOINT_OVERRIDE"),
            volumev3_endpoint_override: text("OS_VOLUMEV3_ENDPOINT_OVERRIDE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credentials, Interface};

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Environment::new(variables.iter().map(owned))
    }

    const PASSWORD: [(&str, &str); 4] = [
        ("OS_AUTH_URL", "https://identity.example"),
        ("OS_USERNAME", "demo"),
        ("OS_PASSWORD", "not-to-be-seen"),
        ("OS_PROJECT_NAME", "demo"),
    ];

    #[test]
    fn an_openrc_file_is_enough() {
        let mut variables = PASSWORD.to_vec();
        variables.extend([("OS_INTERFACE", "internal"), ("OS_REGION_NAME", "")]);
        let config = environment(&variables)
            .entry()
            .config("the environment")
            .unwrap();
        assert!(matches!(config.credentials, Credentials::Password { .. }));
        assert_eq!(
            (config.interface, config.region),
            (Interface::Internal, None)
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for gone in PASSWORD {
            let rest: Vec<_> = PASSWORD.into_iter().filter(|one| *one != gone).collect();
            let error = environment(&rest)
                .entry()
                .config("the environment")
                .unwrap_err();
            assert!(error.to_string().contains(gone.0), "{error}");
            assert!(!format!("{error:?}").contains("not-to-be-seen"));
        }
    }

    #[test]
    fn certificates_are_always_verified() {
        let mut variables = PASSWORD.to_vec();
        variables.push(("OS_INSECURE", "True"));
        let error = environment(&variables)
            .entry()
            .config("the environment")
            .unwrap_err();
        assert!(error.to_string().contains("verify"), "{error}");
    }
}
