//! Daily bars, features, windows, time-ordered splits and scalers.
