//! What the operating system says about this process, by the names that all Prometheus clients use.
//!
//! Read from `/proc`; other systems than Linux have none and get no such metrics.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

/// Reads `/proc` whenever it is asked.
#[derive(Debug)]
pub(super) struct Process {
    /// Unix seconds at which the process started, if that is known. It is worked out once: the clock may be set later.
    #[cfg(target_os = "linux")]
    started: Option<f64>,
}

#[cfg(not(target_os = "linux"))]
impl Process {
    pub(super) fn new() -> Self {
        Self {}
    }
}

#[cfg(not(target_os = "linux"))]
impl Collector for Process {
    fn encode(&self, _: DescriptorEncoder) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use procfs::process::{LimitValue, Process as This};
    use prometheus_client::encoding::NoLabelSet;
    use prometheus_client::metrics::MetricType;

    use super::{Collector, DescriptorEncoder, Error, Process};

    impl Process {
        pub(in super::super) fn new() -> Self {
            let started = || {
                let ticks = This::myself().ok()?.stat().ok()?.starttime as f64;
                Some(procfs::boot_time_secs().ok()? as f64 + ticks / procfs::ticks_per_second() as f64)
            };
            Self { started: started() }
        }
    }

    impl Collector for Process {
        fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
            let out = &mut encoder;
            let Ok(process) = This::myself() else { return Ok(()) };
            if let Ok(stat) = process.stat() {
                let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
                out.encode_descriptor(
                    "process_cpu_seconds",
                    "CPU time of the process, user and system.",
                    None,
                    MetricType::Counter,
                )?
                .encode_counter::<NoLabelSet, _, u64>(&cpu, None)?;
                let resident = stat.rss * procfs::page_size();
                gauge(out, "process_resident_memory_bytes", "Memory that the process has in RAM.", resident)?;
                gauge(out, "process_virtual_memory_bytes", "Address space of the process.", stat.vsize)?;
                gauge(out, "process_threads", "Threads of the process.", stat.num_threads.unsigned_abs())?;
            }
            if let Ok(open) = process.fd_count() {
                gauge(out, "process_open_fds", "File descriptors that are open.", open as u64)?;
            }
            if let Ok(limits) = process.limits()
                && let LimitValue::Value(most) = limits.max_open_files.soft_limit
            {
                gauge(out, "process_max_fds", "File descriptors that may be open.", most)?;
            }
            if let Some(started) = &self.started {
                out.encode_descriptor(
                    "process_start_time_seconds",
                    "When the process started, in Unix seconds.",
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
