//! Reasons in words.

use std::fmt;

use crate::retention::{Reason, Use};

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByHand => f.write_str("taken by hand"),
            Self::Daily { rank, period } => write!(f, "daily {rank} ({period})"),
            Self::Expired { at } => write!(f, "expired {at}"),
            Self::ForeignPolicy { policy } => write!(f, "taken by `{policy}`"),
            Self::GroupMember { id } => write!(f, "in a group with {id}"),
            Self::Hourly { rank, period } => write!(f, "hourly {rank} ({period})"),
            Self::InTheFuture => f.write_str("from the future"),
            Self::InUse(Use::Clone { id }) => write!(f, "cloned by {id}"),
            Self::InUse(Use::RestoreSource { job }) => write!(f, "job {job} works with it"),
            Self::InUse(Use::SafetySnapshot { job }) => write!(f, "the way back of job {job}"),
            Self::Label { key, value } => write!(f, "labelled {key}={value}"),
            Self::Last { rank } => write!(f, "last {rank}"),
            Self::LastVerified { rank } => write!(f, "last verified {rank}"),
            Self::Monthly { rank, period } => write!(f, "monthly {rank} ({period})"),
            Self::NeededBy { id } => write!(f, "needed by {id}"),
            Self::NoRule => f.write_str("no rule keeps it"),
            Self::Pinned => f.write_str("pinned"),
            Self::Superseded => f.write_str("not verified, and newer ones are"),
            Self::Unproven { newer } => {
                write!(f, "not verified, and of those newer only {newer} are")
            }
            Self::Weekly { rank, period } => write!(f, "weekly {rank} ({period})"),
            Self::Within => f.write_str("new enough"),
            Self::Yearly { rank, period } => write!(f, "yearly {rank} ({period})"),
        }
    }
}
