//! The rules for backends that train step by step; the others have none of this to keep.

use super::rules::Lesson;
use super::{Trouble, ensure, toy};
use crate::{BackendError, ModelConfig, OptimizerConfig, Trainer};

/// Learning rate of the steps.
const RATE: f64 = 1e-2;

/// A fresh trainer; `None` from a backend that does not train step by step.
fn trainer(lesson: &Lesson<'_>, config: &ModelConfig) -> Result<Option<Box<dyn Trainer>>, Trouble> {
    match lesson.backend.create(config, &OptimizerConfig::USUAL, 3, 1) {
        Ok(trainer) => Ok(Some(trainer)),
        Err(BackendError::Unsupported { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Plain outputs, and batches that do not fit.
pub(super) fn shapes(lesson: &Lesson<'_>) -> Result<(), Trouble> {
    let config = toy::plain();
    let Some(mut trainer) = trainer(lesson, &config)? else { return Ok(()) };
    let batch = toy::samples(5, 3);
    let found = trainer.predict(&batch.inputs)?.len();
    ensure(found == 10, || format!("5 windows with 2 targets give {found} predictions, not 10"))?;
    let mut short = batch;
    short.targets.pop();
    match trainer.train_step(&short, RATE) {
        Err(BackendError::Shape { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Trouble::Broken("it trains on a batch that lacks a target".to_owned())),
    }
}

/// Weights that are put back are those that were taken.
pub(super) fn restoring(lesson: &Lesson<'_>) -> Result<(), Trouble> {
    let Some(mut trainer) = trainer(lesson, &lesson.config)? else { return Ok(()) };
    let batch = toy::samples(16, 3);
    let (tensors, predictions) = (trainer.tensors()?, trainer.predict(&batch.inputs)?);
    trainer.train_step(&batch, RATE)?;
    ensure(trainer.tensors()? != tensors, || "a step leaves the weights as they are".to_owned())?;
    trainer.restore(&tensors)?;
    ensure(trainer.tensors()? == tensors, || "restored weights are other ones".to_owned())?;
    ensure(trainer.predict(&batch.inputs)? == predictions, || {
        "with restored weights it predicts something else".to_owned()
    })
}

/// The loss of a step is that of the predictions before it.
pub(super) fn prediction(lesson: &Lesson<'_>) -> Result<(), Trouble> {
    let Some(mut trainer) = trainer(lesson, &lesson.config)? else { return Ok(()) };
    let batch = toy::samples(19, 3);
    for step in 1..=3 {
        let predictions = trainer.predict(&batch.inputs)?;
        let want = lesson.config.objective.loss(&predictions, &batch.targets)?;
        let loss = trainer.train_step(&batch, RATE)?;
        ensure((loss - want).abs() <= 1e-5 * want.abs(), || {
            format!("step {step} has a loss of {loss}, and the predictions before it of {want}")
        })?;
    }
    Ok(())
}

/// A batch that is not a number leaves the weights alone, and the next step too.
pub(super) fn not_a_number(lesson: &Lesson<'_>) -> Result<(), Trouble> {
    let Some(mut trainer) = trainer(lesson, &lesson.config)? else { return Ok(()) };
    let batch = toy::samples(16, 3);
    let mut broken = batch.clone();
    broken.targets[3] = f32::NAN;
    let tensors = trainer.tensors()?;
    match trainer.train_step(&broken, RATE) {
        Err(BackendError::Diverged { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(loss) => return Err(Trouble::Broken(format!("a step on a target NaN has loss {loss}"))),
    }
    ensure(trainer.tensors()? == tensors, || "a step that failed moved the weights".to_owned())?;
    trainer.train_step(&batch, RATE)?;
    Ok(())
}

/// Two parts of a batch that are added up make the step that the batch makes.
pub(super) fn accumulation(lesson: &Lesson<'_>) -> Result<(), Trouble> {
    let (Some(mut whole), Some(mut parts)) =
        (trainer(lesson, &lesson.config)?, trainer(lesson, &lesson.config)?)
    else {
        return Err(Trouble::Skipped("it does not train step by step".to_owned()));
    };
    let batch = toy::samples(21, 3);
    let (first, second) = toy::cut(&batch, 13);
    for _ in 0..2 {
        let loss = whole.train_step(&batch, RATE)?;
        let mean = (13.0 * parts.accumulate(&first)? + 8.0 * parts.accumulate(&second)?) / 21.0;
        parts.step(RATE)?;
        ensure((loss - mean).abs() <= 1e-5 * loss.abs(), || {
            format!("a batch has a loss of {loss}, and its parts of {mean} in the mean")
        })?;
    }
    let before = whole.tensors()?;
    whole.step(RATE)?;
    let (whole, parts) = (whole.tensors()?, parts.tensors()?);
    ensure(whole == before, || "a step without a batch moves the weights".to_owned())?;
    for (name, tensor) in whole.iter() {
        let other = parts.expect_shape(name, &tensor.shape)?;
        let pairs = tensor.data.iter().zip(&other.data);
        let worst = pairs.fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
        ensure(f64::from(worst) <= 0.02 * RATE, || {
            format!("tensor {name} is off by {worst:.1e} after two steps in parts")
        })?;
    }
    Ok(())
}
