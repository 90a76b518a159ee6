//! Which resources a schedule is about: found anew at every run.

use std::collections::BTreeSet;
use std::fmt;

use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorReport, Labels, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Filter, Provider};

use crate::planning::{Providers, find};

/// What a schedule takes snapshots of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// Instances, with all their volumes.
    Instances(Select),
    /// The control plane itself: what the [`Executor`](crate::Executor) of this name captures.
    Manager(String),
    /// Volumes.
    Volumes(Select),
}

/// A choice among the instances, or the volumes, of the providers. What it comes to is looked up
/// when a run begins, so that what is new is taken too.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Select {
    by: By,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum By {
    All,
    Labels(Labels),
    These(BTreeSet<ResourceRef>),
}

/// What a choice came to just now.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) resources: BTreeSet<ResourceRef>,
    /// The providers that could not be asked, and why.
    pub(crate) unreachable: Vec<ErrorReport>,
}

impl Select {
    /// All there are.
    pub fn all() -> Self {
        Self {
            by: By::All,
            on: None,
        }
    }

    /// Those with this label at the provider.
    pub fn label(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            by: By::Labels(Labels::from([(key.into(), value.into())])),
            on: None,
        }
    }

    /// These, whether they exist or not: one that does not is a failure of each run.
    pub fn these(resources: impl IntoIterator<Item = ResourceRef>) -> Self {
        Self {
            by: By::These(resources.into_iter().collect()),
            on: None,
        }
    }

    /// Only those of this provider.
    pub fn on(self, provider: impl Into<String>) -> Self {
        Self {
            on: Some(provider.into()),
            ..self
        }
    }

    /// The providers that have to be asked.
    fn among<'a>(&'a self, providers: &'a Providers) -> Result<Vec<&'a dyn Provider>> {
        match &self.on {
            Some(name) => Ok(vec![&**find(providers, name)?]),
            None => Ok(providers.values().map(|it| &**it).collect()),
        }
    }
}

impl Subject {
    /// What it comes to now. A provider that cannot tell does not keep the others from it.
    pub(crate) async fn find(&self, providers: &Providers) -> Result<Found> {
        let (select, kind) = match self {
            Self::Instances(select) => (select, ResourceKind::Instance),
            Self::Manager(executor) => {
                return Ok(Found {
                    resources: BTreeSet::from([manager(executor)?]),
                    unreachable: Vec::new(),
                });
            }
            Self::Volumes(select) => (select, ResourceKind::Volume),
        };
        let mut found = Found::default();
        let labels = match &select.by {
            By::These(these) => {
                found.resources.clone_from(these);
                return Ok(found);
            }
            By::All => Labels::new(),
            By::Labels(labels) => labels.clone(),
        };
        let filter = Filter {
            labels,
            ..Filter::kind(kind)
        };
        for provider in select.among(providers)? {
            let listed = provider
                .list(&filter)
                .try_for_each(|resource| {
                    found.resources.insert(resource.reference);
                    std::future::ready(Ok(()))
                })
                .await;
            if let Err(error) = listed {
                found.unreachable.push(named(&error, provider));
            }
        }
        Ok(found)
    }

    /// The providers it is about, and the kind of resource.
    pub(crate) fn providers<'a>(
        &'a self,
        providers: &'a Providers,
    ) -> Result<Vec<(&'a dyn Provider, ResourceKind)>> {
        let (select, kind) = match self {
            Self::Instances(select) => (select, ResourceKind::Instance),
            Self::Manager(_) => return Ok(Vec::new()),
            Self::Volumes(select) => (select, ResourceKind::Volume),
        };
        let By::These(these) = &select.by else {
            let among = select.among(providers)?;
            return Ok(among.into_iter().map(|it| (it, kind)).collect());
        };
        let of: BTreeSet<_> = these.iter().map(|it| (it.provider(), it.kind())).collect();
        of.into_iter()
            .map(|(name, kind)| Ok((&**find(providers, name)?, kind)))
            .collect()
    }
}

/// What stands for the control plane that an executor captures, where a resource is asked for.
pub(crate) fn manager(executor: &str) -> Result<ResourceRef> {
    ResourceRef::new(executor, ResourceKind::Instance, "self")
}

fn named(error: &Error, provider: &dyn Provider) -> ErrorReport {
    let mut report = error.to_report();
    report.message = format!("{provider}: {}", report.message);
    report
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instances(select) => write!(f, "instances {select}"),
            Self::Manager(executor) => write!(f, "the manager, by `{executor}`"),
            Self::Volumes(select) => write!(f, "volumes {select}"),
        }
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            By::All => f.write_str("of all names")?,
            By::Labels(labels) => {
                let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                write!(f, "with {}", labels.join(", "))?;
            }
            By::These(these) => {
                let these: Vec<_> = these.iter().map(ToString::to_string).collect();
                f.write_str(&these.join(", "))?;
            }
        }
        match &self.on {
            Some(provider) => write!(f, " on {provider}"),
            None => Ok(()),
        }
    }
}
