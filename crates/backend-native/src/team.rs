//! Worker threads, each with its own buffers.

use mambafleet_backend::BackendError;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Largest number of threads.
const MAX_THREADS: usize = 1024;

/// Members that work side by side. A single one works on the calling thread.
#[derive(Debug)]
pub(crate) struct Team<M> {
    members: Vec<M>,
    pool: Option<ThreadPool>,
}

impl<M: Send> Team<M> {
    /// A team of `threads` members.
    pub(crate) fn new(threads: usize, member: impl Fn() -> M) -> Result<Self, BackendError> {
        if !(1..=MAX_THREADS).contains(&threads) {
            let message = format!("{threads} threads, 1 to {MAX_THREADS} are supported");
            return Err(BackendError::Config(message));
        }
        let start = || {
            let builder = ThreadPoolBuilder::new().num_threads(threads);
            let name = |index| format!("native-{index}");
            let failed = |error| BackendError::Failed(format!("cannot start threads: {error}"));
            builder.thread_name(name).build().map_err(failed)
        };
        let pool = if threads > 1 { Some(start()?) } else { None };
        Ok(Self { members: (0..threads).map(|_| member()).collect(), pool })
    }

    /// Gives each job to a member, the first to the first, and waits until all are done. Returns
    /// the members that worked. Jobs beyond the number of members are not done.
    pub(crate) fn run<J: Send>(
        &mut self,
        jobs: impl Iterator<Item = J> + Send,
        work: impl Fn(&mut M, J) + Sync,
    ) -> &mut [M] {
        let mut busy = 0;
        let pairs = self.members.iter_mut().zip(jobs).inspect(|_| busy += 1);
        match &self.pool {
            None => pairs.for_each(|(member, job)| work(member, job)),
            Some(pool) => pool.in_place_scope(|scope| {
                let work = &work;
                pairs.for_each(|(member, job)| scope.spawn(move |_| work(member, job)));
            }),
        }
        &mut self.members[..busy]
    }

    /// Number of members.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }
}
