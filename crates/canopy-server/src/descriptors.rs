//! The limit on open files of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors reserved for everything but client connections: the database, files, the runtimes.
const RESERVED: u64 = 128;

/// Raises the limit to the maximum of this process, and returns it; `None` for no limit.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "limit on open files not raised");
            current
        }
    }
}

/// Returns the number of client connections that fit under a limit of descriptors, at most the configured number.
/// `others` are further descriptors of the configuration.
pub fn connections_under(limit: Option<u64>, asked: u32, others: usize) -> usize {
    let asked = usize::try_from(asked).unwrap_or(usize::MAX);
    let Some(limit) = limit else {
        return asked;
    };
    let taken = RESERVED.saturating_add(others as u64);
    let free = usize::try_from(limit.saturating_sub(taken)).unwrap_or(usize::MAX);
    // A minimum, so that the service can answer at all.
    asked.min(free.max(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_under_the_limit() {
        for (limit, asked, others, expected) in [
            (None, 8_192, 100, 8_192),
            (Some(1_048_576), 8_192, 100, 8_192),
            (Some(1_024), 8_192, 96, 800),
            (Some(1_024), 100, 96, 100),
            (Some(64), 8_192, 96, 16),
        ] {
            assert_eq!(connections_under(limit, asked, others), expected, "{limit:?} {asked}");
        }
    }

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows() {
        let raised = raise();
        assert_eq!(getrlimit(Resource::Nofile).current, raised);
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum);
    }
}
