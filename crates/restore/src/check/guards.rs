//! Each guard switched off in turn.
