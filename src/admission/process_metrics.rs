//! The metrics of a process that every Prometheus client library has, by the same names
//! (prometheus.io, "Writing client libraries", "Process metrics"). For Linux.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustix::process::{Resource, getrlimit};

/// The process's own metrics, collected at scrape time.
#[derive(Debug)]
pub(super) struct ProcessMetrics;

/// The numbers of `/proc/self/stat`, in the kernel's units.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// User and system time, in ticks.
    cpu: u64,
    threads: i64,
    /// The start, in ticks since the machine's.
    start: u64,
    virtual_bytes: i64,
    resident_pages: i64,
}

// === impl ProcessMetrics ===

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) else {
            return Ok(());
        };
        let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
        let cpu = ConstCounter::new(stat.cpu as f64 * tick);
        let help = "User and system CPU time";
        cpu.encode(encoder.encode_descriptor("cpu", help, Some(&Unit::Seconds), cpu.metric_type())?)?;
        if let Some(boot) = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_seconds) {
            let start = ConstGauge::new(boot + stat.start as f64 * tick);
            let help = "The start of the process, in seconds since 1970";
            start.encode(encoder.encode_descriptor(
                "start_time",
                help,
                Some(&Unit::Seconds),
                start.metric_type(),
            )?)?;
        }
        let mut gauge = |name, help, unit: Option<Unit>, value: i64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)
        };
        let page = i64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let resident = stat.resident_pages.saturating_mul(page);
        gauge("resident_memory", "Memory of the process", Some(Unit::Bytes), resident)?;
        gauge("virtual_memory", "Address space of the process", Some(Unit::Bytes), stat.virtual_bytes)?;
        gauge("threads", "Threads of the process", None, stat.threads)?;
        let open = fs::read_dir("/proc/self/fd").map(|files| files.flatten().count()).unwrap_or_default();
        gauge("open_fds", "Open file descriptors", None, i64::try_from(open).unwrap_or(i64::MAX))?;
        // Without a limit there is no number.
        match getrlimit(Resource::Nofile).current {
            Some(limit) => {
                gauge("max_fds", "Limit of open file descriptors", None, i64::try_from(limit).unwrap_or(i64::MAX))
            }
            None => Ok(()),
        }
    }
}

// === impl Stat ===

impl Stat {
    /// Parses `/proc/self/stat` (proc_pid_stat(5)). The second field is the program's name in parentheses, which may hold any character.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // The fields count from 1, and the first one here is the third.
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            cpu: field(14)?.parse::<u64>().ok()?.saturating_add(field(15)?.parse().ok()?),
            threads: field(20)?.parse().ok()?,
            start: field(22)?.parse().ok()?,
            virtual_bytes: field(23)?.parse().ok()?,
            resident_pages: field(24)?.parse().ok()?,
        })
    }
}

/// Returns the machine's start in `/proc/stat`, in seconds since 1970.
fn boot_seconds(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn reads_the_fields_behind_any_name() {
        let text =
            "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 4000 12345678 321 18446744073709551615 1";
        let expected = Stat { cpu: 300, threads: 9, start: 4000, virtual_bytes: 12_345_678, resident_pages: 321 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        assert_eq!(boot_seconds("cpu 1 2\nbtime 1700000000\nprocesses 3\n"), Some(1.7e9));
    }

    #[test]
    fn the_process_has_the_usual_metrics() {
        let mut registry = Registry::with_prefix("process");
        registry.register_collector(Box::new(ProcessMetrics));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }
}
