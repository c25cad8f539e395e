"""EM routing, procedure 1 of Hinton, Sabour & Frosst 2018, as loops over single numbers."""

import math

import numpy as np


def em_routing(
    votes: np.ndarray,
    activations: np.ndarray,
    iterations: int = 3,
    inverse_temperature: float = 0.01,
    decay: float = 0.95,
    amounts: str = "relative",
    min_variance: float = 0.01,
    beta_u: np.ndarray | None = None,
    last_beta_a: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Poses [batch, out, out_dim] and activations [batch, out].

    Votes are [batch, in, out, out_dim], activations [batch, in]. ``last_beta_a`` is the paper's
    beta_a times the inverse temperature of the last pass, -2 where it is not given.
    """
    lower, higher = votes.shape[1:3]
    beta_u = np.zeros(higher) if beta_u is None else beta_u
    lambdas = [inverse_temperature * (1 - decay ** (t + 1)) for t in range(iterations)]
    beta_a = (np.full(higher, -2.0) if last_beta_a is None else last_beta_a) / lambdas[-1]
    factor = 100 * higher / lower if amounts == "relative" else 1.0
    samples = zip(votes.astype(np.float64), activations.astype(np.float64), strict=True)
    results = [_one(*s, lambdas, beta_u, beta_a, factor, min_variance) for s in samples]
    return tuple(np.stack(part) for part in zip(*results, strict=True))


def _one(votes, active, lambdas, beta_u, beta_a, factor, min_variance):
    lower, higher, dim = votes.shape
    assignments = np.full((lower, higher), 1 / higher)
    for number, inverse_temperature in enumerate(lambdas):
        means, variances = np.zeros((higher, dim)), np.zeros((higher, dim))
        above = np.zeros(higher)
        for j in range(higher):
            parts = [assignments[i, j] * active[i] for i in range(lower)]
            received = sum(parts)
            cost = 0.0
            for h in range(dim):
                means[j, h] = sum(parts[i] * votes[i, j, h] for i in range(lower)) / received
                squares = [(votes[i, j, h] - means[j, h]) ** 2 for i in range(lower)]
                spread = sum(parts[i] * squares[i] for i in range(lower)) / received
                variances[j, h] = spread + min_variance
                cost += (beta_u[j] + math.log(math.sqrt(variances[j, h]))) * received * factor
            above[j] = 1 / (1 + math.exp(-inverse_temperature * (beta_a[j] - cost)))
        if number == len(lambdas) - 1:
            return means, above
        assignments = _e_step(votes, means, variances, above)


def _e_step(votes, means, variances, above):
    lower, higher, dim = votes.shape
    assignments = np.zeros((lower, higher))
    for i in range(lower):
        logs = [math.log(above[j]) for j in range(higher)]
        for j in range(higher):
            for h in range(dim):
                squared = (votes[i, j, h] - means[j, h]) ** 2
                logs[j] -= squared / (2 * variances[j, h])
                logs[j] -= math.log(2 * math.pi * variances[j, h]) / 2
        powers = [math.exp(log - max(logs)) for log in logs]
        assignments[i] = [power / sum(powers) for power in powers]
    return assignments
