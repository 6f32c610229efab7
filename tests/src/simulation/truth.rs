//! What a person who was there would say of each thing that happened.

use super::host::Place;

/// What must be said of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// This class.
    Class(&'static str),
    /// One of these; the specification does not decide between them, so neither counts for or
    /// against a class.
    Either(&'static [&'static str]),
    /// A change of this kind, without a class: `cosmetic` or `recast`.
    Kind(&'static str),
    /// No change at all.
    Nothing,
}

impl Expect {
    /// Whether `said` is right.
    pub fn allows(self, said: &str) -> bool {
        match self {
            Self::Class(word) | Self::Kind(word) => word == said,
            Self::Either(words) => words.contains(&said),
            Self::Nothing => said == NOTHING,
        }
    }

    /// The word for tables.
    pub fn text(self) -> String {
        match self {
            Self::Class(word) | Self::Kind(word) => word.into(),
            Self::Either(words) => words.join(" or "),
            Self::Nothing => NOTHING.into(),
        }
    }
}

/// What is said where no change is.
pub const NOTHING: &str = "nothing";

/// What should never open a finding; everything else is somebody's deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noise {
    /// Other bytes, the same meaning.
    Cosmetic,
    /// What could not be read, and what could be again.
    Unobserved,
    /// What is read otherwise.
    Recast,
    /// What is so only at the moment, or flaps and is known to.
    Volatile,
    /// What packages bring.
    Routine,
}

impl Noise {
    /// Every sort of noise.
    pub const ALL: [Self; 5] =
        [Self::Cosmetic, Self::Unobserved, Self::Recast, Self::Volatile, Self::Routine];

    /// Its name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cosmetic => "cosmetic",
            Self::Unobserved => "unobserved",
            Self::Recast => "recast",
            Self::Volatile => "volatile",
            Self::Routine => "routine",
        }
    }
}

/// What is true about one part in one observation.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The sort of thing that happened, for tables.
    pub story: &'static str,
    /// Where.
    pub place: Place,
    /// What the item's key has in it, in lower case, where more than one thing happened to a part.
    pub key: &'static str,
    /// What must be said.
    pub expect: Expect,
    /// Whether it is noise.
    pub noise: Option<Noise>,
    /// What the sentence beside the class must say; empty where any will do.
    pub says: &'static str,
}

impl Truth {
    /// Something a person did.
    pub fn deed(story: &'static str, place: Place, expect: Expect) -> Self {
        Self { story, place, key: "", expect, noise: None, says: "" }
    }

    /// Something nobody need look at.
    pub fn noise(noise: Noise, story: &'static str, place: Place, expect: Expect) -> Self {
        Self { story, place, key: "", expect, noise: Some(noise), says: "" }
    }

    /// The same for items whose key has `key` in it.
    #[must_use]
    pub fn of(mut self, key: &'static str) -> Self {
        self.key = key;
        self
    }

    /// The same, with the evidence that must stand in the sentence.
    #[must_use]
    pub fn because(mut self, says: &'static str) -> Self {
        self.says = says;
        self
    }
}
