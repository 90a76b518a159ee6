//! The named conditions that keep a plan safe.
//!
//! In the crate's own tests each can be switched off, to show that a check catches its absence. Elsewhere a guard is
//! its condition and nothing else.

/// `permits`: what must hold before something may happen. `demands`: what makes something necessary.
#[cfg(not(test))]
macro_rules! guard {
    ($machine:expr, $name:ident, $kind:ident: $condition:expr) => {
        $condition
    };
}

#[cfg(test)]
macro_rules! guard {
    ($machine:expr, $name:ident,permits: $condition:expr) => {
        $machine.off == Some($crate::check::Guard::$name) || $condition
    };
    ($machine:expr, $name:ident,demands: $condition:expr) => {
        $machine.off != Some($crate::check::Guard::$name) && $condition
    };
}

pub(crate) use guard;
