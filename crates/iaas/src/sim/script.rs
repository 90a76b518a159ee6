use crate::operation::{Operation, OperationKind};

/// The calls that a fault can meet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// [`Provider::cancel`](crate::Provider::cancel).
    Cancel,
    /// [`Provider::describe`](crate::Provider::describe).
    Describe,
    /// A page of [`Provider::list`](crate::Provider::list).
    List,
    /// [`Provider::observe`](crate::Provider::observe).
    Observe,
    /// Reading of [`VolumeBytes`](crate::VolumeBytes).
    Read,
    /// [`Provider::submit`](crate::Provider::submit).
    Submit,
    /// [`VolumeBytes::write`](crate::VolumeBytes::write) and `flush`.
    Write,
}

/// Which call a scripted [`Fault`](super::Fault) meets.
#[derive(Clone, Copy, Debug)]
pub struct At {
    call: Call,
    operation: Option<OperationKind>,
    skip: u32,
    times: u32,
}

impl At {
    /// The next call of this sort.
    pub const fn call(call: Call) -> Self {
        Self {
            call,
            operation: None,
            skip: 0,
            times: 1,
        }
    }

    /// The next submit of this operation.
    pub const fn submit(operation: OperationKind) -> Self {
        Self::call(Call::Submit).of(operation)
    }

    /// Only calls about this operation.
    #[must_use]
    pub const fn of(mut self, operation: OperationKind) -> Self {
        self.operation = Some(operation);
        self
    }

    /// The `n`th such call from now, the next one being the first.
    #[must_use]
    pub const fn nth(mut self, n: u32) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// So many in a row.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn matches(&self, call: Call, operation: Option<&Operation>) -> bool {
        self.call == call
            && self
                .operation
                .is_none_or(|wanted| operation.map(Operation::kind) == Some(wanted))
    }
}

/// What is to go wrong with which calls.
#[derive(Debug)]
pub(crate) struct Script<F>(Vec<(At, F)>);

impl<F> Default for Script<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Copy> Script<F> {
    pub(crate) fn add(&mut self, at: At, fault: F) {
        self.0.push((at, fault));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What goes wrong with this call: the first that is written, and all count it.
    pub(crate) fn draw(&mut self, call: Call, operation: Option<&Operation>) -> Option<F> {
        let mut hit = None;
        for (at, fault) in &mut self.0 {
            if !at.matches(call, operation) {
                continue;
            }
            if at.skip > 0 {
                at.skip -= 1;
            } else if at.times > 0 && hit.is_none() {
                at.times -= 1;
                hit = Some(*fault);
            }
        }
        self.0.retain(|(at, _)| at.times > 0);
        hit
    }
}
