//! What this process took so far, as `/proc` tells; nothing where there is none.

use std::time::Duration;

/// Length of a tick of the clock that `/proc` counts CPU time by, the same on all of Linux.
const TICK: Duration = Duration::from_millis(10);

/// Most resident memory of this process so far.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// CPU time of all threads of this process so far, user and system.
pub(crate) fn cpu_time() -> Option<Duration> {
    ticks(&std::fs::read_to_string("/proc/self/stat").ok()?).map(|ticks| TICK * ticks)
}

/// Ticks of user and system, which are the 14th and 15th field; the second one is a name in brackets that may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11).map(|field| field.parse::<u32>().ok());
    fields.next()??.checked_add(fields.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_behind_the_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 70 5 0 0 20 0 1";
        for (stat, expected) in [
            (format!("7 (sluice) {rest}"), Some(75)),
            (format!("7 (a) b) {rest}"), Some(75)),
            ("7 (sluice) S 1 2".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(ticks(&stat), expected, "{stat}");
        }
    }

    #[test]
    fn this_process_took_something() {
        assert!(peak_rss_bytes().is_none_or(|bytes| bytes > 1 << 20));
        assert_eq!(cpu_time().is_some(), std::path::Path::new("/proc/self/stat").exists());
    }
}
