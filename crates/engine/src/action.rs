use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stillpoint_core::{Digest, Error, ErrorKind, Labels, ResourceRef, Result, VerifyLevel};
use stillpoint_iaas::{NewDisk, Operation, Output};

/// What a step of a plan does, as data.
///
/// Arguments may be outputs of earlier steps ([`Source`]); they are filled in when the step
/// begins.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Ask a provider for an operation.
    Ask {
        /// The provider.
        provider: String,
        /// The operation.
        ask: Ask,
        /// Bytes it moves, for the progress; 0 where it moves none.
        bytes: u64,
    },
    /// Prove that something holds the same bytes as something else.
    Compare {
        /// The provider of both.
        provider: String,
        /// What was made.
        made: Source,
        /// What it was made from.
        from: Source,
        /// The content digest of `from`, where it is known already.
        digest: Option<Digest>,
        /// Bytes of what was made.
        bytes: u64,
    },
    /// A step of an embedder's own [`Executor`](crate::Executor).
    Custom {
        /// The name it is registered under.
        executor: String,
        /// Whatever it understands.
        body: Value,
        /// Resources that it is told of when it begins.
        #[serde(default)]
        inputs: Vec<Source>,
        /// Bytes it moves, for the progress; 0 where it moves none.
        #[serde(default)]
        bytes: u64,
    },
    /// Delete these.
    Delete {
        /// The provider that has them.
        provider: String,
        /// What is to be deleted; what is gone already is no failure.
        resources: Vec<ResourceRef>,
    },
    /// Delete everything that a step brought about.
    Discard {
        /// The provider that has it.
        provider: String,
        /// The step's name.
        step: String,
    },
    /// Read a snapshot back and compare it with its source, or with itself where that moved on.
    Verify {
        /// The provider that has it.
        provider: String,
        /// The steps that took its parts, in order.
        steps: Vec<String>,
        /// Bytes of all parts.
        bytes: u64,
    },
}

impl Action {
    /// Bytes it moves or reads; 0 where there are none to count.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Ask { bytes, .. }
            | Self::Compare { bytes, .. }
            | Self::Custom { bytes, .. }
            | Self::Verify { bytes, .. } => *bytes,
            Self::Delete { .. } | Self::Discard { .. } => 0,
        }
    }
}

/// An operation some of whose arguments are known only when it begins.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ask {
    /// Make an image.
    CreateImage {
        /// Its name.
        name: String,
        /// Its labels.
        labels: Labels,
        /// The snapshot it is made from.
        from: Source,
    },
    /// Make an instance.
    CreateInstance {
        /// Its name.
        name: String,
        /// Its labels.
        labels: Labels,
        /// Its disks, the boot disk first.
        disks: Vec<DiskFrom>,
    },
    /// An operation whose arguments are all known.
    Ready(Operation),
    /// Put a volume's bytes back.
    Revert {
        /// The volume.
        volume: ResourceRef,
        /// The snapshot.
        to: Source,
    },
}

/// A disk of an instance to be made, its volume perhaps still to come.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DiskFrom {
    /// The instance's name for it.
    pub name: String,
    /// Its volume.
    pub volume: Source,
    /// Whether the instance boots from it.
    pub boot: bool,
}

/// A resource that is known, or that an earlier step will have made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What this step brings about.
    OutputOf {
        /// The step's name.
        step: String,
        /// Which of the things it brings about.
        index: usize,
    },
    /// This resource.
    Resource(ResourceRef),
}

/// What a step brought about.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepOutput {
    /// Of an embedder's own executor.
    Custom(Value),
    /// What a failed or cancelled operation left behind.
    Left(Vec<ResourceRef>),
    /// Of a provider's operation.
    Operation(Output),
    /// What was proven of bytes.
    Proof(Proof),
}

/// What was proven of bytes, and their content digests in the order of the parts.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proof {
    /// The least that was proven of any part.
    pub level: VerifyLevel,
    /// One for each part.
    pub digests: Vec<Digest>,
}

/// The outputs of the steps that are over, by the steps' names.
pub(crate) trait Outputs {
    fn output(&self, step: &str) -> Option<&StepOutput>;
}

impl Ask {
    /// The operation with every argument filled in.
    pub(crate) fn resolve(&self, outputs: &dyn Outputs) -> Result<Operation> {
        Ok(match self {
            Self::CreateImage { name, labels, from } => Operation::CreateImage {
                name: name.clone(),
                labels: labels.clone(),
                from: from.resolve(outputs)?,
            },
            Self::CreateInstance {
                name,
                labels,
                disks,
            } => Operation::CreateInstance {
                name: name.clone(),
                labels: labels.clone(),
                disks: disks
                    .iter()
                    .map(|disk| {
                        let volume = disk.volume.resolve(outputs)?;
                        Ok(NewDisk {
                            name: disk.name.clone(),
                            volume,
                            boot: disk.boot,
                        })
                    })
                    .collect::<Result<_>>()?,
            },
            Self::Ready(operation) => operation.clone(),
            Self::Revert { volume, to } => Operation::Revert {
                volume: volume.clone(),
                to: to.resolve(outputs)?,
            },
        })
    }
}

impl Source {
    /// The `index`th thing that `step` brings about.
    pub fn output_of(step: impl Into<String>, index: usize) -> Self {
        Self::OutputOf {
            step: step.into(),
            index,
        }
    }

    /// The resource, from the outputs of the steps that are over.
    pub(crate) fn resolve(&self, outputs: &dyn Outputs) -> Result<ResourceRef> {
        match self {
            Self::OutputOf { step, index } => outputs
                .output(step)
                .and_then(|output| output.resources().into_iter().nth(*index))
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::Internal,
                        format!("step {step} has no output {index} to go on with"),
                    )
                    .advise("Stop the job and report its plan and journal")
                }),
            Self::Resource(resource) => Ok(resource.clone()),
        }
    }
}

impl StepOutput {
    /// The resources that exist because of the step.
    pub fn resources(&self) -> Vec<ResourceRef> {
        match self {
            Self::Custom(_) | Self::Proof(_) => Vec::new(),
            Self::Left(left) => left.clone(),
            Self::Operation(output) => output.created(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutputOf { step, index: 0 } => write!(f, "what {step} made"),
            Self::OutputOf { step, index } => write!(f, "what {step} made ({index})"),
            Self::Resource(resource) => write!(f, "{resource}"),
        }
    }
}
