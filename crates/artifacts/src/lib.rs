//! A crash-safe store of model artifacts: generations that appear whole or not at all.
