//! The default CPU backend: a Mamba forecaster trained with AdamW.
