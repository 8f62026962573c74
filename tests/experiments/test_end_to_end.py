"""CNN and LSTM in one go: what a clip's batch holds, what its loss counts, and the two learning rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from au_jax.config import replace, typed
from au_jax.models.hybrid import cnn_forward, lstm_forward, make_cnn, make_lstm
from experiments.end_to_end import CLIPS, Clips, clip_forward, clip_loss, two_rates


@pytest.fixture
def ours(config):
    """The smoke config with clips of 22 frames."""
    return replace(typed(config), **{"lstm.sequence_length": 22, "lstm.hidden": 8})


def test_an_epoch_has_every_clip_once_and_is_the_same_again(parts, ours):
    train, *_ = parts
    clips = Clips(train, ours)
    first, again, other = (list(clips.batches(3, epoch)) for epoch in (0, 0, 1))
    assert sum(batch["mask"].sum() for batch in first) == len(train.videos) == len(clips)
    assert {batch["image"].shape for batch in first} == {(CLIPS, 22, 36, 36, 3)}
    assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a["image"], b["image"]) for a, b in zip(first, other, strict=True))


def test_whole_videos_come_in_order_from_the_middle(parts, ours):
    from au_jax.data.input_pipeline import decode_all

    train, *_ = parts
    frames, rows = decode_all(train, "host")[:, 2:38, 2:38], []
    for batch, lengths in Clips(train.without_labels(), ours).in_order():
        for number, length in enumerate(lengths):
            assert batch["present"][number].sum() == length and batch["offset"][number].tolist() == [2, 2]
            rows.append(batch["image"][number, :length])
    np.testing.assert_array_equal(np.concatenate(rows), frames)


def network(ours):
    cnn, lstm = make_cnn(ours.cnn, 12), make_lstm(ours.lstm, 12)
    keys = jax.random.split(jax.random.key(0), 3)
    params = {
        "cnn": cnn.init(keys[0], jnp.zeros((1, 36, 36, 3)))["params"],
        "lstm": lstm.init(keys[1], jnp.zeros((1, 1, 16)))["params"],
        "pca": {"mean": jnp.full(256, 0.01), "components": jax.random.normal(keys[2], (16, 256))},
    }
    return cnn, lstm, params


@pytest.mark.slow
def test_a_clip_is_scored_as_the_stages_do(ours):
    ours = replace(ours, **{"lstm.level": 0.0})
    cnn, lstm, params = network(ours)
    rng = np.random.default_rng(0)
    image = rng.integers(256, size=(6, 36, 36, 3)).astype(np.uint8)
    mean = rng.uniform(0, 255, (40, 40, 3)).astype(np.float32)
    clip = {"image": image, "offset": jnp.array([1, 3]), "flip": jnp.array(True), "present": jnp.arange(6) < 5}
    logits, scores = clip_forward(cnn, lstm, ours, params, mean, clip)
    batch = {"image": image, "offset": jnp.tile(clip["offset"][None], (6, 1)), "flip": jnp.ones(6, bool)}
    expected, fc7 = cnn_forward(cnn, {"params": params["cnn"], "mean": mean}, batch)
    features = (fc7 - params["pca"]["mean"][None]) @ params["pca"]["components"].T
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(scores, lstm_forward(lstm, params["lstm"], features[None])[0][0], atol=1e-4)


@pytest.mark.slow
def test_frames_behind_the_end_and_clips_that_fill_up_do_not_count(ours):
    cnn, lstm, params = network(ours)
    example = {
        "image": np.zeros((4, 36, 36, 3), np.uint8), "offset": jnp.zeros(2, int), "flip": jnp.array(False),
        "present": jnp.array([True, True, True, False]), "mask": jnp.float32(1),
        "labels": jnp.array([[1] * 12, [0] * 12, [-1] * 12, [1] * 12], jnp.int8),
    }  # fmt: skip
    constants = {"mean": np.zeros((40, 40, 3), np.float32)}
    loss, count = clip_loss(cnn, lstm, ours, params, constants, example, jax.random.key(0))
    assert count == 2 and loss > 0
    loss, count = clip_loss(cnn, lstm, ours, params, constants, {**example, "mask": jnp.float32(0)}, jax.random.key(0))
    assert count == 0 and loss == 0


def test_the_lstm_learns_at_its_own_rate(ours):
    ours = replace(
        ours, **{"cnn.optimizer.name": "sgd", "cnn.optimizer.arguments": "", "cnn.optimizer.learning_rate": 0.5,
                 "cnn.optimizer.schedule.name": "constant", "lstm.optimizer.learning_rate": 2.0},
    )  # fmt: skip
    optimizer = two_rates(ours, steps=3)
    params = {"cnn": {"w": jnp.zeros(1)}, "lstm": {"w": jnp.zeros(1)}}
    state = optimizer.set_learning_rate(optimizer.tx.init(params), 0.25)
    gradients = {"cnn": {"w": jnp.ones(1)}, "lstm": {"w": jnp.ones(1)}}
    updates, state = optimizer.tx.update(gradients, state, params)
    # A quarter, and four times as much.
    assert updates["cnn"]["w"].tolist() == [-0.25] and updates["lstm"]["w"].tolist() == [-1.0]
    assert float(optimizer.learning_rate(state)) == 0.25
