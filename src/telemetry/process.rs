//! Metrics of this process under the names that all Prometheus clients use.
//!
//! They are read from `/proc`, so only Linux has them.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

/// Reads `/proc` at each scrape.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    /// Start of the process in Unix seconds. It is computed once, as the clock may be set later.
    #[cfg(target_os = "linux")]
    started: Option<f64>,
}

#[cfg(not(target_os = "linux"))]
impl ProcessCollector {
    pub(super) fn new() -> Self {
        Self {}
    }
}

#[cfg(not(target_os = "linux"))]
impl Collector for ProcessCollector {
    fn encode(&self, _: DescriptorEncoder) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use procfs::process::{LimitValue, Process};
    use prometheus_client::encoding::NoLabelSet;
    use prometheus_client::metrics::MetricType;

    use super::{Collector, DescriptorEncoder, Error, ProcessCollector};

    impl ProcessCollector {
        pub(in super::super) fn new() -> Self {
            let started = || {
                let ticks = Process::myself().ok()?.stat().ok()?.starttime as f64;
                Some(procfs::boot_time_secs().ok()? as f64 + ticks / procfs::ticks_per_second() as f64)
            };
            Self { started: started() }
        }
    }

    impl Collector for ProcessCollector {
        fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
            let out = &mut encoder;
            let Ok(process) = Process::myself() else { return Ok(()) };
            if let Ok(stat) = process.stat() {
                let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
                out.encode_descriptor(
                    "process_cpu_seconds",
                    "CPU time of this process in seconds, user and system.",
                    None,
                    MetricType::Counter,
                )?
                .encode_counter::<NoLabelSet, _, u64>(&cpu, None)?;
                let resident = stat.rss * procfs::page_size();
                gauge(out, "process_resident_memory_bytes", "Resident memory of this process in bytes.", resident)?;
                gauge(out, "process_virtual_memory_bytes", "Virtual memory of this process in bytes.", stat.vsize)?;
                gauge(out, "process_threads", "Number of threads of this process.", stat.num_threads.unsigned_abs())?;
            }
            if let Ok(open) = process.fd_count() {
                gauge(out, "process_open_fds", "Number of open file descriptors.", open as u64)?;
            }
            if let Ok(limits) = process.limits()
                && let LimitValue::Value(most) = limits.max_open_files.soft_limit
            {
                gauge(out, "process_max_fds", "Limit on the number of open file descriptors.", most)?;
            }
            if let Some(started) = &self.started {
                out.encode_descriptor(
                    "process_start_time_seconds",
                    "Unix timestamp of the start of this process.",
                    None,
                    MetricType::Gauge,
                )?
                .encode_gauge(started)?;
            }
            Ok(())
        }
    }

    fn gauge(out: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> Result<(), Error> {
        out.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }
}
