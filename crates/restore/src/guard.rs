//! The named conditions that keep a plan safe.
//!
//! In the crate's own tests each can be switched off, to show that a check catches its absence. Elsewhere a guard is
//! its condition and nothing else.

#[cfg(not(test))]
macro_rules! guard {
    ($machine:expr, $name:ident, $condition:expr) => {
        $condition
    };
}

#[cfg(test)]
macro_rules! guard {
    ($machine:expr, $name:ident, $condition:expr) => {
        $machine.off == Some($crate::check::Guard::$name) || $condition
    };
}

pub(crate) use guard;
