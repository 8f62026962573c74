"""The fusion network learns from both branches, and gives logits for any number of frames."""

import numpy as np
import pytest

from au_jax.systems.fusion_trainer import FusionTrainer

pytestmark = pytest.mark.optax


def branches(generator, count):
    """The CNN knows the first six AUs, the LSTM the others."""
    labels = generator.choice(np.array([-1, 1], np.int8), size=(count, 12))
    noise = generator.normal(size=(2, count, 12)).astype(np.float32)
    cnn, lstm = noise[0], noise[1]
    cnn[:, :6] += 3 * labels[:, :6]
    lstm[:, 6:] += 3 * labels[:, 6:]
    return (cnn, lstm), labels


def test_it_takes_from_each_branch_what_that_knows(context):
    context.config.fusion.variant, context.config.fusion.normalise = "stacked", False
    context.config.fusion.epochs = 12
    context.config.fusion.optimizer.learning_rate = 1e-2
    generator = np.random.default_rng(0)
    trainer = FusionTrainer(context)
    trainer.fit(*branches(generator, 2000), *branches(generator, 300))
    rows, labels = branches(generator, 300)
    logits = trainer.logits(rows)
    assert logits.shape == (300, 12) and logits.dtype == np.float32
    assert (np.sign(logits) == labels).mean(0).min() > 0.8
    np.testing.assert_allclose(trainer.logits((rows[0][:7], rows[1][:7])), logits[:7], atol=1e-5)
