"""EM routing of matrix capsules, in log space."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capsmed.networks.layers.votes import Votes
from capsmed.networks.routing import mixture
from capsmed.networks.routing.base import Gradient, IterativeRouting


class Fit(NamedTuple):
    """What an M step gives, of a mixture with diagonal covariances.

    Attributes:
        means: ``[batch, out, out_dim]``.
        variances: ``[batch, out, out_dim]``.
        squares: squared distances of the votes from the means, ``[batch, in, out, out_dim]``.
        logits: of the activations, ``[batch, out]``.
    """

    means: Tensor
    variances: Tensor
    squares: Tensor
    logits: Tensor


class EMRouting(IterativeRouting):
    r"""Each higher capsule is a Gaussian, fitted to the votes by expectation-maximisation.

    Hinton, Sabour & Frosst 2018, procedure 1, with :math:`R_{ij} = 1/K` first. M step:

    .. math::
        r_j = \sum_i R_{ij} a_i, \quad
        \mu_j^h = \sum_i R_{ij} a_i V_{ij}^h / r_j, \quad
        (\sigma_j^h)^2 = \sum_i R_{ij} a_i (V_{ij}^h - \mu_j^h)^2 / r_j + \epsilon

    .. math::
        \mathrm{cost}_j^h = (\beta_{u,j} + \log \sigma_j^h)\, r_j, \quad
        a_j = \mathrm{logistic}(\lambda_t (\beta_{a,j} - \sum_h \mathrm{cost}_j^h))

    E step: :math:`R_{ij} = a_j p_{ij} / \sum_k a_k p_{ik}`, p the Gaussian density of the vote,
    computed from its logarithm. The last pass is an M step; :math:`\mu` are the poses.

    The paper gives no schedule for the inverse temperature. Here it is
    :math:`\lambda_t = \lambda (1 - 0.95^{t+1})`, :math:`\lambda = 0.01`, t the pass from 0: the
    authors' answer on OpenReview (forum HJWLfGWRb), as quoted in IBM's code. The authors released
    no code. :math:`\epsilon` is ours; the paper divides by a variance that may be zero.

    The votes are formed, and their squared distances kept: unlike the mean, a variance is not
    linear in the votes, and written with their squares it would lose its digits where votes agree.

    :math:`\beta_u` and :math:`\beta_a` are learned, one a higher capsule. The parameter ``beta_a``
    holds :math:`\lambda_t \beta_a` of the last pass: :math:`\beta_a` itself is of the order of
    :math:`-1000`, where an optimiser's steps would not move it. It starts at -2, so that a capsule
    that receives nothing is off; starting at 0 training stalls with all activations at 0.5.

    ``amounts="relative"``, the default, takes :math:`100\, r_j K / N` (K higher, N lower capsules)
    in the cost, as Gritzman 2019 (arXiv 1907.00652, its second pitfall, and its code): one set of
    temperatures then suits layers of any size. ``"sum"`` takes :math:`r_j`, as the paper.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule.
        iterations: number of M steps.
        gradient: ``"full"`` differentiates all passes, as the paper; ``"last"`` the last M step.
        inverse_temperature: :math:`\lambda`.
        decay: the 0.95 of the schedule, 0 to below 1; 0 holds the temperature constant.
        amounts: ``"relative"`` or ``"sum"``.
        min_variance: :math:`\epsilon`, in the poses' unit squared. At 0.001 the votes of transforms
            that start small (``init_scale`` 0.05) let all activations reach one and stay there.

    Raises:
        ValueError: an option is out of its range.
    """

    normalised_over = "in"
    needs_activations = True
    defines_activations = True
    reference = "Hinton, Sabour & Frosst 2018, Matrix capsules with EM routing (ICLR), procedure 1"

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        iterations: int = 3,
        gradient: Gradient = "full",
        inverse_temperature: float = 0.01,
        decay: float = 0.95,
        amounts: Literal["relative", "sum"] = "relative",
        min_variance: float = 0.01,
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim, iterations, gradient)
        if inverse_temperature <= 0:
            raise ValueError(
                f"inverse_temperature: expected more than 0, got {inverse_temperature}"
            )
        if not 0 <= decay < 1:
            raise ValueError(f"decay: expected 0 to below 1, got {decay}")
        if amounts not in ("relative", "sum"):
            raise ValueError(f"amounts: expected 'relative' or 'sum', got {amounts!r}")
        if min_variance <= 0:
            raise ValueError(f"min_variance: expected more than 0, got {min_variance}")
        self.inverse_temperature = inverse_temperature
        self.decay = decay
        self.amounts = amounts
        self.min_variance = min_variance
        self.beta_u = nn.Parameter(torch.zeros(out_capsules))
        self.beta_a = nn.Parameter(torch.full((out_capsules,), mixture.LOGIT_OF_NOTHING))

    def couplings(self, votes: Votes) -> Tensor | None:
        """The assignments R of the last E step; see `BaseRouting.couplings`."""
        assignments = None
        for number in range(self.iterations - 1):
            fit = self._m_step(votes, assignments, number)
            assignments = votes.share(F.logsigmoid(fit.logits).unsqueeze(2) + log_density(fit))
        return assignments

    def settle(self, votes: Votes, couplings: Tensor | None) -> tuple[Tensor, Tensor]:
        """The last M step; see `BaseRouting.settle`."""
        fit = self._m_step(votes, couplings, self.iterations - 1)
        return fit.means, fit.logits.sigmoid()

    def _m_step(self, votes: Votes, assignments: Tensor | None, number: int) -> Fit:
        weights, amounts = mixture.weigh(votes, assignments)
        means = votes.mix(weights)
        squares = (votes.dense() - means.unsqueeze(1)).square()
        variances = torch.einsum("bji,bije->bje", weights, squares) + self.min_variance
        if self.amounts == "relative":
            amounts = amounts * (100 * self.out_capsules / self.in_capsules)
        cost = amounts * (self.out_dim * self.beta_u + variances.log().sum(2) / 2)
        last, this = (1 - self.decay**n for n in (self.iterations, number + 1))
        logits = this / last * self.beta_a - self.inverse_temperature * this * cost
        return Fit(means, variances, squares, logits)

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return (
            f"{super().extra_repr()}, inverse_temperature={self.inverse_temperature}, "
            f"decay={self.decay}, amounts={self.amounts!r}, min_variance={self.min_variance}"
        )


def log_density(fit: Fit) -> Tensor:
    """Log density of each vote, less ``out_dim / 2 log 2 pi``: ``[batch, out, in]``."""
    distances = torch.einsum("bije,bje->bji", fit.squares, 1 / fit.variances)
    return -(distances + fit.variances.log().sum(2).unsqueeze(2)) / 2
