"""Variational Bayes routing (arXiv 1905.11455) from Bishop's updates, sample by sample.

Each higher capsule's posterior is computed by itself, with matrices as they stand in Bishop 2006,
section 10.2.1: the inverse scale is inverted, determinants are taken, nothing is in log space.
"""

import math

import numpy as np
from scipy.special import digamma


def variational_bayes_routing(
    votes: np.ndarray,
    activations: np.ndarray,
    iterations: int = 3,
    cov: str = "diag",
    alpha0: float = 1.0,
    kappa0: float = 1.0,
    psi0: float = 1.0,
    nu0: float | None = None,
    entropy: str = "relative",
    assignments: str = "paper",
    beta_u: np.ndarray | None = None,
    beta_a: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Poses [batch, out, out_dim] and activations [batch, out].

    Votes are [batch, in, out, out_dim], activations [batch, in].
    """
    higher, dim = votes.shape[2:]
    nu0 = dim + 1 if nu0 is None else nu0
    start = -2.0 if entropy == "relative" else 0.0
    betas = (
        np.zeros(higher) if beta_u is None else beta_u,
        np.full(higher, start) if beta_a is None else beta_a,
    )
    priors = (alpha0, kappa0, psi0, nu0)
    samples = zip(votes.astype(np.float64), activations.astype(np.float64), strict=True)
    results = [_one(*s, iterations, cov, priors, entropy, assignments, betas) for s in samples]
    return tuple(np.stack(part) for part in zip(*results, strict=True))


def _one(votes, active, iterations, cov, priors, entropy, form, betas):
    lower, higher, dim = votes.shape
    _, _, psi0, nu0 = priors
    assignments = np.full((lower, higher), 1 / higher)
    for number in range(iterations):
        parts = assignments * active[:, None]
        alphas = [priors[0] + parts[:, j].sum() for j in range(higher)]
        log_mixing = [digamma(alpha) - digamma(sum(alphas)) for alpha in alphas]
        fits = [_posterior(votes[:, j], parts[:, j], cov, priors) for j in range(higher)]
        if number < iterations - 1:
            for i in range(lower):
                densities = [math.exp(_log_density(votes[i, j], *fits[j])) for j in range(higher)]
                joint = [math.exp(log_mixing[j]) * densities[j] for j in range(higher)]
                above = joint if form == "paper" else densities
                assignments[i] = [above[j] / sum(joint) for j in range(higher)]
    before = _entropy(nu0, np.eye(dim) / psi0) if entropy == "relative" else 0.0
    activations = []
    for j in range(higher):
        _, _, nu, scale = fits[j]
        weighted = math.exp(log_mixing[j]) * (_entropy(nu, scale) - before)
        activations.append(1 / (1 + math.exp(-(betas[1][j] - (betas[0][j] + weighted)))))
    return np.stack([fit[0] for fit in fits]), np.array(activations)


def _posterior(votes, parts, cov, priors):
    """Mean, kappa, nu and Wishart scale of one higher capsule."""
    _, kappa0, psi0, nu0 = priors
    received, dim = parts.sum(), votes.shape[1]
    centre = sum(parts[i] * votes[i] for i in range(len(votes))) / received
    inverse = psi0 * np.eye(dim)
    for i in range(len(votes)):
        inverse += parts[i] * np.outer(votes[i] - centre, votes[i] - centre)
    inverse += kappa0 * received / (kappa0 + received) * np.outer(centre, centre)
    if cov == "diag":
        inverse = np.diag(np.diag(inverse))
    mean = received * centre / (kappa0 + received)
    return mean, kappa0 + received, nu0 + received, np.linalg.inv(inverse)


def _log_precision(nu, scale):
    """E ln |Lambda|: Bishop's equation 10.65."""
    dim = len(scale)
    digammas = sum(digamma((nu + 1 - d) / 2) for d in range(1, dim + 1))
    return digammas + dim * math.log(2) + math.log(np.linalg.det(scale))


def _log_density(vote, mean, kappa, nu, scale):
    apart, dim = vote - mean, len(vote)
    distance = dim / kappa + nu * apart @ scale @ apart
    return _log_precision(nu, scale) / 2 - dim * math.log(2 * math.pi) / 2 - distance / 2


def _entropy(nu, scale):
    dim = len(scale)
    return dim * math.log(2 * math.pi * math.e) / 2 - _log_precision(nu, scale) / 2
