use std::sync::Arc;

use stillpoint_core::{
    Detail, Digest, Error, ErrorKind, Progress, ResourceRef, Result, Unit, VerifyLevel,
};
use stillpoint_iaas::{Output, Provider, ProviderExt, TakenPart, VolumeBytes, content_digest};

use super::Line;
use crate::action::{Outputs, Proof, StepOutput};

/// Reads snapshots back and compares them with their sources.
#[derive(Clone, Debug)]
pub(crate) struct Verify {
    provider: Arc<dyn Provider>,
    parts: Vec<TakenPart>,
}

/// Compares what was made with what it was made from.
#[derive(Clone, Debug)]
pub(crate) struct Compare {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) made: ResourceRef,
    pub(crate) from: ResourceRef,
    pub(crate) digest: Option<Digest>,
}

impl Verify {
    pub(crate) fn new(
        provider: Arc<dyn Provider>,
        outputs: &dyn Outputs,
        steps: &[String],
    ) -> Result<Self> {
        let mut parts = Vec::new();
        for step in steps {
            match outputs.output(step) {
                Some(StepOutput::Operation(Output::Snapshot(taken))) => {
                    parts.extend(taken.parts.iter().cloned());
                }
                _ => {
                    let message = format!("step {step} took no snapshot to verify");
                    return Err(Error::new(ErrorKind::Internal, message));
                }
            }
        }
        Ok(Self { provider, parts })
    }

    pub(crate) async fn run(&self, line: &Line) -> Result<Proof> {
        let bytes = bytes(&*self.provider)?;
        let total = self.parts.iter().map(|part| part.size * 2).sum();
        let mut meter = Meter::new(line, total);
        let mut proof = Proof {
            level: VerifyLevel::Source,
            digests: Vec::new(),
        };
        for part in &self.parts {
            let digest = meter.read(bytes, &part.snapshot, part.size).await?;
            if !self.matches_source(bytes, part, digest, &mut meter).await? {
                proof.level = VerifyLevel::ReadBack;
            }
            proof.digests.push(digest);
        }
        Ok(proof)
    }

    /// Whether it matched its source; where the source has moved on, it has to match itself.
    async fn matches_source(
        &self,
        bytes: &dyn VolumeBytes,
        part: &TakenPart,
        digest: Digest,
        meter: &mut Meter<'_>,
    ) -> Result<bool> {
        let before = self.stamp(&part.volume).await?;
        let comparable = before.is_some() && before == part.content_stamp;
        if comparable {
            let source = meter.read(bytes, &part.volume, part.size).await?;
            if source == digest {
                return Ok(true);
            }
            if self.stamp(&part.volume).await? == before {
                return Err(differs(&part.snapshot, &part.volume));
            }
        }
        let again = content_digest(bytes, &part.snapshot, |_| {}).await?;
        if !comparable {
            meter.skip(part.size);
        }
        if again != digest {
            return Err(differs(&part.snapshot, &part.snapshot));
        }
        Ok(false)
    }

    async fn stamp(&self, volume: &ResourceRef) -> Result<Option<String>> {
        Ok(
            match self.provider.find(volume).await?.map(|found| found.detail) {
                Some(Detail::Volume { content_stamp, .. }) => content_stamp,
                _ => None,
            },
        )
    }
}

impl Compare {
    pub(crate) async fn run(&self, line: &Line) -> Result<Proof> {
        let bytes = bytes(&*self.provider)?;
        let size = bytes.size(&self.made).await?;
        let reads = if self.digest.is_some() { 1 } else { 2 };
        let mut meter = Meter::new(line, size * reads);
        let wanted = match self.digest {
            Some(digest) => digest,
            None => meter.read(bytes, &self.from, size).await?,
        };
        let made = meter.read(bytes, &self.made, size).await?;
        if made != wanted {
            return Err(differs(&self.made, &self.from));
        }
        Ok(Proof {
            level: VerifyLevel::Source,
            digests: vec![made],
        })
    }
}

fn bytes(provider: &dyn Provider) -> Result<&dyn VolumeBytes> {
    provider.bytes().ok_or_else(|| {
        let message = format!("provider {provider} gives no access to bytes any more");
        Error::new(ErrorKind::Unsupported, message).advise("Take it again without verification")
    })
}

fn differs(made: &ResourceRef, from: &ResourceRef) -> Error {
    let message = if made == from {
        "it gave different bytes when it was read twice".to_owned()
    } else {
        format!("its bytes are not those of {from}")
    };
    Error::new(ErrorKind::Corrupt, message)
        .on(made.clone())
        .advise("Check the storage below it before trying again")
}

/// Progress over several reads.
struct Meter<'a> {
    line: &'a Line,
    progress: Progress,
    base: u64,
}

impl<'a> Meter<'a> {
    fn new(line: &'a Line, total: u64) -> Self {
        Self {
            line,
            progress: Progress::new(Unit::Bytes, total),
            base: 0,
        }
    }

    async fn read(
        &mut self,
        bytes: &dyn VolumeBytes,
        of: &ResourceRef,
        size: u64,
    ) -> Result<Digest> {
        let (line, base) = (self.line, self.base);
        let progress = &mut self.progress;
        let digest = content_digest(bytes, of, |seen| {
            progress.advance_to(base + seen);
            (line.progress)(*progress);
        })
        .await?;
        self.skip(size);
        Ok(digest)
    }

    fn skip(&mut self, bytes: u64) {
        self.base += bytes;
        self.progress.advance_to(self.base);
        (self.line.progress)(self.progress);
    }
}
