//! The demo's regions, teams and people, with constant names.

/// The regions with their teams.
pub(super) const REGIONS: [(&str, [&str; 4]); 3] = [
    ("Americas", ["Austin", "Mexico City", "Toronto", "São Paulo"]),
    ("Asia Pacific", ["Bengaluru", "Singapore", "Sydney", "Tokyo"]),
    ("Europe", ["Berlin", "Lisbon", "Paris", "Zürich"]),
];

const FIRST_NAMES: [&str; 20] = [
    "Ada", "Bela", "Carlos", "Dana", "Emil", "Fatima", "Grace", "Hiro", "Ines", "Jonas", "Kofi", "Lena", "Mateo",
    "Nadia", "Omar", "Priya", "Quinn", "Rosa", "Sven", "Tara",
];

const LAST_NAMES: [(&str, &str); 10] = [
    ("Andersen", "andersen"),
    ("Bianchi", "bianchi"),
    ("Castro", "castro"),
    ("Dubois", "dubois"),
    ("Eriksson", "eriksson"),
    ("Fischer", "fischer"),
    ("García", "garcia"),
    ("Haddad", "haddad"),
    ("Ito", "ito"),
    ("Johnson", "johnson"),
];

/// A person of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub first_name: &'static str,
    pub last_name: &'static str,
    pub email: String,
    pub external_id: String,
}

/// Returns all people, in order: every first name with every last name once.
pub(super) fn people() -> impl Iterator<Item = Person> {
    LAST_NAMES
        .into_iter()
        .flat_map(|last| FIRST_NAMES.into_iter().map(move |first| (first, last)))
        .enumerate()
        .map(|(index, (first_name, (last_name, plain)))| Person {
            first_name,
            last_name,
            email: format!("{}.{plain}@acme.example", first_name.to_lowercase()),
            external_id: format!("emp-{:04}", index + 1),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn everybody_has_a_mail_address_of_their_own() {
        let emails: HashSet<String> = people().map(|person| person.email).collect();
        assert_eq!(emails.len(), 200);
        assert!(emails.contains("ada.andersen@acme.example"));
        assert!(emails.iter().all(|email| email.is_ascii()));
    }
}
