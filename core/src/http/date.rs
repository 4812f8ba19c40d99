//! Times as texts, in universal time.

/// Seconds since the Unix epoch as `2024-01-15T10:30:00`, for a zone to follow. Years beyond 9999 stop
/// at its end. Rule: RFC 3339.
pub(crate) fn to_the_second(seconds: u64) -> String {
    let seconds = seconds.min(END_OF_TIME_S);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 0000-03-01, so that a leap day is the last of its year.
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// 9999-12-31T23:59:59.
const END_OF_TIME_S: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_second() {
        let check = |seconds, text| assert_eq!(to_the_second(seconds), text);
        check(0, "1970-01-01T00:00:00");
        check(870_652_800, "1997-08-04T00:00:00");
        check(951_782_400, "2000-02-29T00:00:00");
        check(1_735_689_599, "2024-12-31T23:59:59");
        check(u64::MAX, "9999-12-31T23:59:59");
    }
}
