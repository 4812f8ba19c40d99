//! The house rules, as far as a program can read them.

mod dependencies;
mod mutants;
mod source;

use std::collections::BTreeSet;

use peerage_core::Event;

#[test]
fn every_event_has_a_name_of_its_own() {
    let names: Vec<&str> = Event::names().collect();
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), unique.len(), "{names:?}");
    for name in names {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(
            !name.is_empty() && name.bytes().all(plain),
            "{name} is no name of a metric"
        );
    }
}
