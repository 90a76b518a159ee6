use async_trait::async_trait;
use bytes::Bytes;
use stillpoint_core::{ErrorKind, ResourceRef, Result};

use super::content::Content;
use super::provider::SimProvider;
use super::script::Call;
use super::thing::Thing;
use super::world::World;
use crate::bytes::{Extent, VolumeBytes};

#[async_trait]
impl VolumeBytes for SimProvider {
    async fn size(&self, of: &ResourceRef) -> Result<u64> {
        self.with_content(of, Content::size).await
    }

    async fn extents(&self, of: &ResourceRef, from: u64) -> Result<Vec<Extent>> {
        self.with_content(of, |content| content.extents(from)).await
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Result<Bytes> {
        self.with_content(of, |content| content.read(offset, length).into())
            .await
    }

    async fn write(&self, to: &ResourceRef, offset: u64, bytes: Bytes) -> Result<()> {
        let fault = self.reach(Call::Write, None).await?;
        let answer = self
            .cloud()
            .with(|world, _| world.write_unused(to, offset, &bytes));
        self.answer(fault, answer).await
    }

    async fn flush(&self, volume: &ResourceRef) -> Result<()> {
        let fault = self.reach(Call::Write, None).await?;
        let answer = self.cloud().with(|world, _| world.usable(volume).map(drop));
        self.answer(fault, answer).await
    }
}

impl SimProvider {
    async fn with_content<T: Send>(
        &self,
        of: &ResourceRef,
        look: impl FnOnce(&Content) -> T + Send,
    ) -> Result<T> {
        let fault = self.reach(Call::Read, None).await?;
        let answer = self.cloud().with(|world, now| {
            world.write_as_guests(now);
            let content = world.usable(of)?.content().ok_or_else(|| {
                world.refuse(ErrorKind::Invalid, of, "it has no bytes of its own")
            })?;
            Ok(look(content))
        });
        self.answer(fault, answer).await
    }
}

impl World {
    fn write_unused(&mut self, to: &ResourceRef, offset: u64, bytes: &[u8]) -> Result<()> {
        self.usable(to)?;
        if let Some(instance) = self.attached_to(to).iter().find(|on| self.writes(on)) {
            let what = format!("{instance} runs and has it open");
            return Err(self
                .refuse(ErrorKind::Busy, to, what)
                .advise("Power it off or detach the volume before"));
        }
        let Some(volume) = self.things.get_mut(to).and_then(Thing::volume_mut) else {
            return Err(self.refuse(ErrorKind::Invalid, to, "only volumes are written to"));
        };
        if volume.content.write(offset, bytes) {
            return Ok(());
        }
        let what = format!("{} bytes at {offset} end past it", bytes.len());
        Err(self.refuse(ErrorKind::Invalid, to, what))
    }
}
