//! The examples are beside this file; here the code in the README is compiled and run.

/// The first page.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
