//! An instance taken whole: by Nova's `createImage`, since Nova alone freezes it and holds it so
//! until Cinder has all of its volumes; or by Cinder, as the group that its volumes are.
//!
//! The snapshots of a group are named as it is, and get our marks then. Nova makes the Cinder
//! snapshots before anything of ours is on them, and an image that lists them. So the image's name
//! has our key, and theirs has the image's name; then they get our marks, and the image goes: it was
//! only the list.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{
    CopyKind, Error, ErrorKind, Labels, ResourceKind, ResourceRef, Result, World,
};
use stillpoint_iaas::{DiskOf, Observation, Output, TakeSnapshot, TakenPart, Ticket};

use super::remembered::disk_marks;
use super::snapshot::{FROZEN, check_limits, mark_of, output, stage};
use super::{Ask, root_of};
use crate::api::cinder::Snapshot;
use crate::api::glance::Image;
use crate::api::nova::{Attached, Server};
use crate::cloud::{GIB, running, time};
use crate::leases::busy;
use crate::made::{Stage, failed};
use crate::marks;
use crate::outlook::lacks;

/// Longest name of an image that leaves room for what Nova writes before it.
const LONGEST: usize = 200;

/// Whether Nova is to take it whole: several volumes of an instance, or one that is to be frozen.
pub(super) fn is_whole(take: &TakeSnapshot) -> bool {
    let in_cinder = |part: &DiskOf| root_of(&part.volume).is_none();
    take.source.kind() == ResourceKind::Instance
        && take.parts.iter().all(in_cinder)
        && (take.parts.len() > 1 || take.quiesce.is_some())
}

impl Ask<'_> {
    pub(super) async fn take_whole(self, take: &TakeSnapshot) -> Result<Ticket> {
        let on = |error: Error| error.on(take.source.clone());
        let id = self.cloud.id(&take.source, ResourceKind::Instance)?;
        let session = &self.cloud.session;
        let mut metadata = marks::metadata(self.key, &take.labels)?;
        let server = session.server(id).await.map_err(on)?;
        let attached = session.attached(id).await.map_err(on)?;
        let group = self.check_whole(&server, &attached, take).await;
        let group = group.map_err(on)?;
        let of = |volume: &str| disk_marks(&server, &attached, volume);
        metadata.extend(self.server_marks(&server).await.map_err(on)?);
        let name = self.image_name(take);
        if let Some(group) = group {
            metadata.insert(marks::CAPTURE.into(), mark_of(server.is_off()).into());
            let taken = session.take_group(&group, &name).await.map_err(on)?;
            self.mark_all(&taken, take, &metadata, of)
                .await
                .map_err(|error| on(error.leaving(World::Unknown)))?;
            return Ok(self.ticket(id));
        }
        if take.quiesce.is_none() {
            metadata.insert(marks::CAPTURE.into(), mark_of(server.is_off()).into());
            self.take_each(take, &metadata, of).await?;
            return Ok(self.ticket(id));
        }
        // It is only a list: among its properties the labels could be some that Nova reads.
        let own = marks::metadata(self.key, &Labels::new())?;
        let image = match session.create_image(id, &name, &own).await {
            Ok(image) => image,
            Err(error) => return Err(on(self.not_frozen(error, &name).await)),
        };
        let marked = async {
            let image = image.unwrap_or_default();
            let seen = session.image(&image).await?;
            // What is said of the instance's own image was copied to this one by Nova.
            let frozen = server.status == "ACTIVE" && lacks(|name| seen.property(name)).is_none();
            let capture = if frozen {
                FROZEN
            } else {
                mark_of(server.is_off())
            };
            metadata.insert(marks::CAPTURE.into(), capture.into());
            let mut taken = Vec::new();
            for id in seen.mapping().into_iter().filter_map(|it| it.snapshot_id) {
                taken.push(session.snapshot(&id).await?);
            }
            self.mark_all(&taken, take, &metadata, of).await?;
            session.delete_image(&image).await
        };
        // Whatever is lost from here on is found by the key.
        marked
            .await
            .map_err(|error| on(error.leaving(World::Unknown)))?;
        Ok(self.ticket(id))
    }

    /// Takes one volume after another: nobody asks for them to be frozen, and Nova would not take
    /// them where it cannot.
    async fn take_each(
        &self,
        take: &TakeSnapshot,
        metadata: &BTreeMap<String, String>,
        of: impl Fn(&str) -> BTreeMap<String, String>,
    ) -> Result<()> {
        for (number, part) in take.parts.iter().enumerate() {
            let on = |error: Error| error.on(part.volume.clone());
            let id = self.volume_id(&part.volume)?;
            let session = &self.cloud.session;
            let mut metadata = metadata.clone();
            metadata.extend(of(id));
            match session.create_snapshot(id, &take.name, &metadata).await {
                Ok(_) => {}
                Err(error) if number == 0 => return Err(on(error)),
                // Those before it are found by the key.
                Err(error) => return Err(on(error.leaving(World::Unknown))),
            }
        }
        Ok(())
    }

    /// Gives each what tells that it is ours, and then the name that was asked for.
    async fn mark_all(
        &self,
        snapshots: &[Snapshot],
        take: &TakeSnapshot,
        metadata: &BTreeMap<String, String>,
        of: impl Fn(&str) -> BTreeMap<String, String>,
    ) -> Result<()> {
        let session = &self.cloud.session;
        for Snapshot { id, volume_id, .. } in snapshots {
            let mut metadata = metadata.clone();
            metadata.extend(of(volume_id));
            session.add_metadata("snapshots", id, &metadata).await?;
            session.rename_snapshot(id, &take.name).await?;
        }
        Ok(())
    }

    /// Whether it can be taken; and the group, where Cinder is to do it.
    async fn check_whole(
        &self,
        server: &Server,
        attached: &[Attached],
        take: &TakeSnapshot,
    ) -> Result<Option<String>> {
        let session = &self.cloud.session;
        if server.image_id().is_some() {
            let what = "it was launched from an image, so Nova takes its root disk alone";
            return Err(Error::new(ErrorKind::Unsupported, what)
                .advise("Ask for each volume by itself, without freezing"));
        }
        let asked = |id: &str| take.parts.iter().any(|part| part.volume.id() == id);
        if attached.len() != take.parts.len() || !attached.iter().all(|it| asked(&it.volume)) {
            let what = "Nova takes all volumes of an instance, and other ones are asked for";
            return Err(Error::new(ErrorKind::Unsupported, what).advise("Ask for all of them"));
        }
        if let Some(task) = &server.task {
            return Err(busy(&format!("it is in task `{task}`")));
        }
        let mut volumes = Vec::new();
        for one in attached {
            volumes.push(session.volume(&one.volume).await?);
        }
        let sizes: Vec<_> = volumes.iter().map(|it| it.size).collect();
        check_limits(&session.volume_limits().await?, &sizes)?;
        let mut all = volumes.iter();
        let boots = all.find(|it| server.boots_from(&it.id, attached));
        let Some(why) = boots.and_then(|it| lacks(|name| it.image_property(name))) else {
            return Ok(None);
        };
        if take.quiesce.is_none()
            && let Some(group) = session.consistent_group(&volumes).await?
        {
            return Ok(Some(group));
        }
        let what = format!("it cannot be taken whole, nor frozen: {why}");
        Err(Error::new(ErrorKind::Unsupported, what)
            .advise("Ask for each volume by itself, power it off before, or mend its image"))
    }

    /// A fault that the hypervisor's side of Nova told, and nothing made: then it was the freezing,
    /// the only thing that side is asked for.
    async fn not_frozen(&self, error: Error, image: &str) -> Error {
        let said = error.message();
        let theirs = said.contains("answered 500") && said.contains("_Remote'");
        let nothing = async { Ok::<_, Error>(self.unmarked(image).await?.is_empty()) };
        if !theirs || !matches!(nothing.await, Ok(true)) {
            return error;
        }
        Error::new(ErrorKind::Precondition, "Nova could not freeze it")
            .advise(
                "See that the guest agent runs in it, power it off before, or ask at_least(Crash)",
            )
            .because(error)
    }

    pub(super) async fn observe_whole(self, take: &TakeSnapshot) -> Result<Observation> {
        let session = &self.cloud.session;
        let images = session.images_marked(marks::KEY, self.key.as_str()).await?;
        let mut marked = session
            .snapshots_marked(marks::KEY, self.key.as_str())
            .await?;
        marked.retain(|it| !it.is_going());
        let unmarked = self.unmarked(&self.image_name(take)).await?;
        let mut left = Vec::new();
        for image in &images {
            left.push(self.cloud.reference(ResourceKind::Image, &image.id)?);
        }
        for snapshot in marked.iter().chain(&unmarked) {
            left.push(self.cloud.reference(ResourceKind::Snapshot, &snapshot.id)?);
        }
        if left.is_empty() {
            return Ok(Observation::Absent);
        }
        let failure = |why: &str, left| {
            Ok(Observation::Failed {
                error: failed(why.to_owned()).on(take.source.clone()),
                left,
            })
        };
        // What is new may not be all.
        let settle = self.cloud.settle;
        let new = |all: &[Snapshot]| {
            all.iter()
                .any(|it| is_new(it.created_at.as_deref(), settle))
        };
        let lists = |it: &Image| is_new(it.created_at.as_deref(), settle);
        if new(&unmarked) || images.iter().any(lists) {
            return Ok(running());
        }
        if !images.is_empty() || !unmarked.is_empty() {
            return failure("it was cut off before all of it had its marks", left);
        }
        let moves = |it: &Snapshot| matches!(stage(it), Stage::Running(_));
        if marked.iter().any(moves) {
            return Ok(running());
        }
        let mut parts = Vec::new();
        for part in &take.parts {
            let of = |it: &&Snapshot| it.volume_id == part.volume.id();
            match marked.iter().find(of) {
                Some(snapshot) => parts.push(snapshot),
                None if self.ticket.is_none() && new(&marked) => return Ok(running()),
                None => return failure("a volume of it was not taken", left),
            }
        }
        for snapshot in &parts {
            if let Stage::Failed(why) = stage(snapshot) {
                return failure(&why, left);
            }
        }
        self.whole(take, &parts, left)
    }

    fn whole(
        &self,
        take: &TakeSnapshot,
        parts: &[&Snapshot],
        all: Vec<ResourceRef>,
    ) -> Result<Observation> {
        let mut taken = Vec::new();
        for (asked, snapshot) in take.parts.iter().zip(parts) {
            taken.push(TakenPart {
                volume: asked.volume.clone(),
                snapshot: self.cloud.reference(ResourceKind::Snapshot, &snapshot.id)?,
                size: snapshot.size.saturating_mul(GIB),
                copy: CopyKind::Shallow,
                content_stamp: None,
            });
        }
        let twin = |it: &ResourceRef| taken.iter().all(|part| part.snapshot != *it);
        let twins = all.into_iter().filter(twin).collect();
        let at = parts.iter().filter_map(|it| time(it.created_at.as_deref()));
        let capture = parts[0].metadata.get(marks::CAPTURE);
        let output: Output = output(taken, at.max(), capture);
        Ok(Observation::Done { output, twins })
    }

    /// The Cinder snapshots that are made for an image or a group snapshot of that name, and that
    /// nobody renamed.
    async fn unmarked(&self, image: &str) -> Result<Vec<Snapshot>> {
        let by_nova = format!("snapshot for {image}");
        let ours = |name: &str| name == by_nova || name == image;
        let mut all = self.cloud.session.snapshots().await?;
        all.retain(|it| it.name.as_deref().is_some_and(ours));
        Ok(all)
    }

    /// A name that nothing else has, since the key is in it.
    fn image_name(&self, take: &TakeSnapshot) -> String {
        let both = format!("{} {}", take.name, self.key);
        if both.chars().count() <= LONGEST {
            both
        } else {
            self.key.to_string()
        }
    }
}

/// Whether it was made so lately that more may come: Nova goes on when whoever asked is gone, volume
/// by volume, and makes the image last.
fn is_new(created_at: Option<&str>, settle: Duration) -> bool {
    let since = |at| Timestamp::now().duration_since(at).unsigned_abs();
    time(created_at).is_some_and(|at| since(at) < settle)
}
