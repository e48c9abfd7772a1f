//! The life of one worker process: jobs in, training, commit, events out.
