//! From the name of a method to its work.

use super::alignment::Alignment;
use super::input::{AlignInput, AlignMethod};
use super::{file, random, rank, scratch, units};
use crate::error::Result;

/// Aligns by one method.
///
/// # Errors
/// [`Error::Refused`](crate::error::Error::Refused) where the method lacks an input,
/// [`Error::Input`](crate::error::Error::Input) where counts or file do not fit the vocabularies.
pub fn align(method: AlignMethod, input: &AlignInput) -> Result<Alignment> {
    match method {
        AlignMethod::Rank => rank::align(input).map(Alignment::from),
        AlignMethod::Random => random::align(input).map(Alignment::from),
        AlignMethod::Scratch => Ok(scratch::align(input).into()),
        AlignMethod::File => file::align(input).map(Alignment::from),
        AlignMethod::Graph => units::align(input),
    }
}
