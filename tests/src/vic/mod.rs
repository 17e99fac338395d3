//! The cases of the adapter's native face.

pub(crate) mod native;

use crate::case::Case;

/// A subject a list.
pub(crate) const CASES: &[&[Case]] = &[native::CASES];
