//! Holds nothing: Cargo wants a target that is no example beside `main.rs`.
