//! Durations and sizes as people write them.

use std::time::Duration;

/// The units, longest name first where one begins like another.
const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
/// Ten years: nothing here waits longer.
const MILLIS_MAX: u64 = 3_660 * 86_400_000;

/// Reads `250ms`, `30s`, `1h 30m`, `14d`.
///
/// # Errors
/// A hint what to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    let mut millis: u64 = 0;
    if rest.is_empty() {
        return Err("write a number and a unit, such as 30s".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let Ok(count) = number.parse::<u64>() else {
            return Err("write a whole number and a unit, such as 250ms, 30s, 5m, 1h 30m or 14d".to_owned());
        };
        let after = after.trim_start();
        let letters = after.find(|letter: char| !letter.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(wrong_unit(count, unit, after));
        };
        millis = count.checked_mul(*factor).and_then(|more| millis.checked_add(more)).unwrap_or(u64::MAX);
        rest = after.trim_start();
    }
    if millis > MILLIS_MAX {
        return Err("longer than ten years".to_owned());
    }
    Ok(Duration::from_millis(millis))
}

/// The units of sizes; the decimal ones are accepted for what they are.
const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads `512 B`, `4 KiB`, `64GiB`: bytes.
///
/// # Errors
/// A hint what to write instead.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: Option<u64> = number.parse().ok();
    let factor = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
    match (number, factor) {
        (Some(number), Some((_, factor))) => {
            number.checked_mul(*factor).ok_or_else(|| "larger than anything".to_owned())
        }
        (Some(number), None) if unit.trim().is_empty() => {
            Err(format!("a unit is missing: write {number} B, {number} KiB, {number} MiB or {number} GiB"))
        }
        _ => Err("write a whole number and a unit, such as 512 B, 4 KiB, 10 MiB or 64 GiB".to_owned()),
    }
}

fn wrong_unit(count: u64, unit: &str, after: &str) -> String {
    if after.starts_with('.') || after.starts_with(',') {
        return "write whole numbers: 1500ms instead of 1.5s".to_owned();
    }
    let lower = unit.to_lowercase();
    let meant = match lower.as_str() {
        "" => "s",
        text if text.starts_with("mil") || text.starts_with("ms") => "ms",
        text if text.starts_with("mo") || text.starts_with('y') => "d",
        text => UNITS.iter().skip(1).find(|(name, _)| text.starts_with(name)).map_or("s", |(name, _)| *name),
    };
    if unit.is_empty() {
        format!("a unit is missing: write {count}s for seconds, {count}m for minutes")
    } else {
        format!("'{unit}' is not a unit: write {count}{meant}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("30s"), Ok(30));
        assert_eq!(seconds("1h 30m"), Ok(5_400));
        assert_eq!(seconds("1h30m"), Ok(5_400));
        assert_eq!(seconds(" 14 d "), Ok(14 * 86_400));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        assert_eq!(size("4 KiB"), Ok(4_096));
        assert_eq!(size("64GiB"), Ok(64 << 30));
        assert_eq!(size(" 10 mb "), Ok(10_000_000));
        assert_eq!(size("0 B"), Ok(0));
        assert!(size("4096").unwrap_err().contains("write 4096 B"));
        for wrong in ["", "KiB", "1.5 MiB", "-1 B", "4 KiBs", "99999999999999999999 B"] {
            assert!(size(wrong).unwrap_err().contains("such as"), "{wrong}");
        }
        assert!(size("99999999999 TiB").unwrap_err().contains("larger"));
    }

    #[test]
    fn wrong_ones_say_what_to_write() {
        for (text, hint) in [
            ("30", "write 30s"),
            ("30 sec", "write 30s"),
            ("5 minutes", "write 5m"),
            ("1.5s", "1500ms"),
            ("", "such as 30s"),
            ("soon", "such as 250ms"),
            ("99999999999999999999s", "such as"),
            ("9999999999999999999w", "ten years"),
        ] {
            let said = duration(text).unwrap_err();
            assert!(said.contains(hint), "{text}: {said}");
        }
    }
}
