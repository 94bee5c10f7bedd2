from __future__ import annotations

import numpy as np

from hone.core.noise import NoiseKey, uniforms


def test_a_stream_depends_on_its_key_and_position_alone():
    keys = [NoiseKey(0, path=(0, i)) for i in range(5)]
    whole = uniforms(keys, 40)
    assert np.array_equal(uniforms(keys[3:4], 40)[0], whole[3])
    assert np.array_equal(uniforms(keys, 7), whole[:, :7])


def test_every_field_of_the_key_matters():
    base = NoiseKey(0, "train", 1, 0, (2,))
    others = [NoiseKey(1, "train", 1, 0, (2,)), NoiseKey(0, "eval", 1, 0, (2,)), NoiseKey(0, "train", 2, 0, (2,)),
              NoiseKey(0, "train", 1, 1, (2,)), NoiseKey(0, "train", 1, 0, (2, 0))]  # fmt: skip
    drawn = uniforms([base, *others], 8)
    assert len({tuple(row) for row in drawn}) == 6


def test_uniforms_are_uniform_and_uncorrelated():
    drawn = uniforms([NoiseKey(0, path=(i,)) for i in range(400)], 250)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = np.histogram(drawn, bins=50, range=(0, 1))[0]
    expected = drawn.size / 50
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 94.6  # the 99.99th percentile with 49 degrees of freedom
    assert abs(np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]) < 0.015
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.015
