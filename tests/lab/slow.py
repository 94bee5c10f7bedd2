"""A run of the simulator in plain numpy, with real credit pieces: what the compiled one is held to."""

from __future__ import annotations

import numpy as np
import torch

from hone.core.noise import NoiseKey, uniforms
from hone.lab.world import softmax


def slow_run(world, seed, credit, n, problems, rate, budgets, share, adam, steps=None):
    """Readings `[budgets, 4]` and the shared weights, uniform allocation."""
    count, answers, features = world.features.shape
    theta, own = np.zeros(features), np.zeros((count, answers))
    moments = [np.zeros(theta.size + own.size) for _ in range(2)]
    noise = uniforms([NoiseKey(seed, "rollouts")], budgets[-1] + n * problems)[0]
    shuffles = uniforms([NoiseKey(seed, "order")], budgets[-1] + count)[0]
    order, place, used, readings, step = np.arange(count), 0, 0, [], 0
    while len(readings) < len(budgets):
        slope, own_slope = np.zeros_like(theta), np.zeros_like(own)
        for _ in range(problems):
            if place % count == 0:
                for i in range(count - 1, 0, -1):
                    j = int(shuffles[place + i] * (i + 1))
                    order[[i, j]] = order[[j, i]]
            i = order[place % count]
            place += 1
            logits = world.base[i] + np.sqrt(share) * world.features[i] @ theta + np.sqrt(1 - share) * own[i]
            p = softmax(logits)
            actions = np.searchsorted(np.cumsum(p), noise[used : used + n], side="right")
            used += n
            rewards = torch.tensor(actions == 0, dtype=torch.float64)
            advantages = credit(rewards, torch.zeros(n, dtype=torch.long)).numpy()
            for action, advantage in zip(actions, advantages):
                score = np.eye(answers)[action] - p
                slope += np.sqrt(share) * advantage * (score @ world.features[i]) / (n * problems)
                own_slope[i] += np.sqrt(1 - share) * advantage * score / (n * problems)
        while len(readings) < len(budgets) and used > budgets[len(readings)]:
            readings.append(_read(world, theta, own, share))
        step += 1
        gradient = np.concatenate([slope, own_slope.ravel()])
        if adam:
            moments[0] = 0.9 * moments[0] + 0.1 * gradient
            moments[1] = 0.999 * moments[1] + 0.001 * gradient**2
            gradient = (moments[0] / (1 - 0.9**step)) / (np.sqrt(moments[1] / (1 - 0.999**step)) + 1e-8)
        theta += rate * gradient[: theta.size]
        own += rate * gradient[theta.size :].reshape(own.shape)
    return np.array(readings), theta


def _read(world, theta, own, share):
    train = softmax(world.base + np.sqrt(share) * world.features @ theta + np.sqrt(1 - share) * own)[:, 0]
    held = softmax(world.held_base + np.sqrt(share) * world.held_features @ theta)[:, 0]
    return train.mean(), held.mean(), (1 - (1 - held) ** 4).mean(), (held**4).mean()
