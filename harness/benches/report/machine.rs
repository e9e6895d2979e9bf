//! What a measurement was made on.

/// The conditions, as they are before the first round.
#[derive(Debug)]
pub(crate) struct Machine {
    programs: String,
    load: String,
}

impl Machine {
    /// `programs` says what was measured, with the versions.
    pub(crate) fn observe(programs: String) -> Self {
        Self {
            programs,
            load: load(),
        }
    }

    /// One line, with the load average of a minute before and after.
    pub(crate) fn line(&self) -> String {
        let Self { programs, load } = self;
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        format!(
            "{cores} cores ({}), {} {}; {programs}; load average {load} before, {} after",
            processor(),
            std::env::consts::OS,
            std::env::consts::ARCH,
            self::load(),
        )
    }
}

/// Linux tells; elsewhere it is left open.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split_once(": "));
    name.map_or("processor unknown", |(_, name)| name)
        .to_owned()
}
