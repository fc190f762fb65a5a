//! What the versions of Data Hub can do, as data (read in data-hub's upgrade notes).

/// How an update publishes an object or takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publishing {
    /// As a member of the input, which works where the site has added the system column
    /// `published` to the mutation schema.
    Input,
    /// As an argument of the mutation.
    Argument,
}

/// One row: what a Data Hub can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    /// Its name in `profile` of the connection.
    pub(super) name: &'static str,
    /// How an update publishes. A create takes the argument in every version.
    pub(super) publishing: Publishing,
}

/// Every profile. Between the two ends `2.x` (2025.x and 2026.1) writes as 1.8 does: what else
/// changed with 2.0, times as texts and the names of generated types, does not reach this
/// connector, which hands times on as they come and names no type of a site.
const PROFILES: &[Profile] = &[
    Profile { name: "1.8", publishing: Publishing::Input },
    Profile { name: "2.x", publishing: Publishing::Input },
    Profile { name: "2026.2", publishing: Publishing::Argument },
];

/// The names of the profiles.
pub(super) const NAMES: &[&str] = &["1.8", "2.x", "2026.2"];

/// The profile of a connection; 1.8 when it does not say.
pub(super) fn named(name: Option<&str>) -> Option<Profile> {
    let name = name.unwrap_or(NAMES[0]);
    PROFILES.iter().find(|profile| profile.name == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_profile() {
        assert!(
            NAMES
                .iter()
                .map(|name| named(Some(name)).map(|found| found.name))
                .eq(NAMES.iter().map(|name| Some(*name)))
        );
        assert_eq!(named(None).map(|found| found.name), Some("1.8"));
        assert_eq!(named(Some("3.0")), None);
    }
}
