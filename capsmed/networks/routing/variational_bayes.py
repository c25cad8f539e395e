"""Variational Bayes routing: a Bayesian mixture of Gaussians fitted to the votes."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from capsmed.networks.layers.votes import Votes
from capsmed.networks.routing import mixture
from capsmed.networks.routing.base import Gradient, IterativeRouting


class Posterior(NamedTuple):
    """The variational posterior of the higher capsules after one update.

    Attributes:
        means: m, ``[batch, out, out_dim]``.
        scale: inverse of the Wishart scale; its diagonal ``[batch, out, out_dim]``, or its lower
            Cholesky factor ``[batch, out, out_dim, out_dim]``.
        kappa: precision of the mean in units of the component's precision, ``[batch, out]``.
        nu: degrees of freedom, ``[batch, out]``.
        log_precision: expected log determinant of the precision, ``[batch, out]``.
        log_mixing: expected log mixing coefficient, ``[batch, out]``.
    """

    means: Tensor
    scale: Tensor
    kappa: Tensor
    nu: Tensor
    log_precision: Tensor
    log_mixing: Tensor


class VariationalBayesRouting(IterativeRouting):
    r"""Each higher capsule is a Gaussian with a prior on its mean, precision and share.

    De Sousa Ribeiro, Leontidis & Kollias 2020 (arXiv 1905.11455), with :math:`R_{ij} = 1/K` first.
    Priors: :math:`\pi \sim \mathrm{Dir}(\alpha_0)`,
    :math:`\mu_j, \Lambda_j \sim \mathcal N(0, (\kappa_0 \Lambda_j)^{-1})\,
    \mathcal W(I, \nu_0)`, :math:`\nu_0 = D + 1`. With :math:`r_j = \sum_i R_{ij} a_i` and
    :math:`\bar v_j` the votes' mean weighted by :math:`R_{ij} a_i`, the posterior is

    .. math::
        \alpha_j = \alpha_0 + r_j, \quad \kappa_j = \kappa_0 + r_j, \quad \nu_j = \nu_0 + r_j,
        \quad m_j = r_j \bar v_j / \kappa_j

    .. math::
        \Psi_j^{-1} = \Psi_0^{-1} + \sum_i R_{ij} a_i (v_{ij} - \bar v_j)(v_{ij} - \bar v_j)^T
        + \tfrac{\kappa_0 r_j}{\kappa_j} \bar v_j \bar v_j^T

    and :math:`R_{ij}` is the softmax over j of

    .. math::
        E[\ln \pi_j] + \tfrac12 E[\ln |\Lambda_j|] - \tfrac12 \big( D / \kappa_j
        + \nu_j (v_{ij} - m_j)^T \Psi_j (v_{ij} - m_j) \big)

    (Bishop 2006, equations 10.46, 10.51 and 10.58 to 10.66). The last pass updates the posterior
    only; poses are :math:`m_j`, activations the entropy of the posterior Gaussian

    .. math::
        H_j = \tfrac D2 \ln 2 \pi e - \tfrac12 E[\ln |\Lambda_j|], \quad
        a_j = \mathrm{logistic}(\beta_{a,j} - (\beta_{u,j} + e^{E[\ln \pi_j]} H_j))

    That is ``entropy="absolute"``. The authors' code puts batch normalisation on poses and logits,
    which is left out here, since a sample's result would depend on its batch. Activations then
    hardly differ, so ``entropy="relative"``, the default, centres them in another way: it takes
    :math:`H_j` less the entropy before any vote, and :math:`\beta_a` starts at -2. A capsule that
    receives nothing is then off, one whose votes agree on.

    The votes are formed, for their covariances, as in `EMRouting`.

    The authors' code leaves :math:`E[\ln \pi_j]` out of the softmax's numerator but not of its
    denominator; ``assignments="released"`` does so too, and R then does not sum to one.

    Args:
        in_capsules: number of lower capsules.
        out_capsules: number of higher capsules.
        in_dim: components of a lower capsule.
        out_dim: components of a higher capsule, D.
        iterations: number of updates of the posterior.
        gradient: ``"full"`` differentiates all passes, as the released code; ``"last"`` the last.
        cov: ``"diag"`` for precisions without correlation, as the released code's default, or
            ``"full"``.
        alpha0: concentration of the Dirichlet prior.
        kappa0: precision of the prior mean.
        psi0: the inverse prior scale is this times the identity, in the poses' unit squared; the
            released code has 1.
        nu0: degrees of freedom of the prior, above D - 1; None for D + 1.
        entropy: ``"relative"`` or ``"absolute"``, see above.
        assignments: ``"paper"`` or ``"released"``, see above.

    Raises:
        ValueError: an option is out of its range.
    """

    normalised_over = "in"
    needs_activations = True
    defines_activations = True
    reference = "De Sousa Ribeiro, Leontidis & Kollias 2020, arXiv 1905.11455"

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_dim: int,
        out_dim: int,
        iterations: int = 3,
        gradient: Gradient = "full",
        cov: Literal["diag", "full"] = "diag",
        alpha0: float = 1.0,
        kappa0: float = 1.0,
        psi0: float = 1.0,
        nu0: float | None = None,
        entropy: Literal["relative", "absolute"] = "relative",
        assignments: Literal["paper", "released"] = "paper",
    ) -> None:
        super().__init__(in_capsules, out_capsules, in_dim, out_dim, iterations, gradient)
        if cov not in ("diag", "full"):
            raise ValueError(f"cov: expected 'diag' or 'full', got {cov!r}")
        if entropy not in ("relative", "absolute"):
            raise ValueError(f"entropy: expected 'relative' or 'absolute', got {entropy!r}")
        if assignments not in ("paper", "released"):
            raise ValueError(f"assignments: expected 'paper' or 'released', got {assignments!r}")
        for name, value in {"alpha0": alpha0, "kappa0": kappa0, "psi0": psi0}.items():
            if value <= 0:
                raise ValueError(f"{name}: expected more than 0, got {value}")
        if nu0 is not None and nu0 <= out_dim - 1:
            raise ValueError(f"nu0: expected more than {out_dim - 1}, got {nu0}")
        self.cov = cov
        self.assignments = assignments
        self.alpha0, self.kappa0, self.psi0 = alpha0, kappa0, psi0
        self.nu0 = out_dim + 1 if nu0 is None else nu0
        self.entropy = entropy
        self._log_precision_of_no_entropy = self._zero_of_entropy()
        self.beta_u = nn.Parameter(torch.zeros(out_capsules))
        start = mixture.LOGIT_OF_NOTHING if entropy == "relative" else 0.0
        self.beta_a = nn.Parameter(torch.full((out_capsules,), start))

    def _zero_of_entropy(self) -> float:
        """Log precision for which the entropy counts as zero."""
        if self.entropy == "absolute":
            return self.out_dim * math.log(2 * math.pi * math.e)
        orders = torch.arange(self.out_dim, dtype=torch.float64)
        digammas = ((self.nu0 - orders) / 2).digamma().sum().item()
        return digammas + self.out_dim * math.log(2 / self.psi0)

    def couplings(self, votes: Votes) -> Tensor | None:
        """The assignments R of the last update; see `BaseRouting.couplings`."""
        dense, assignments = votes.dense(), None
        for _ in range(self.iterations - 1):
            posterior = self._update(votes, dense, assignments)
            log_mixing = posterior.log_mixing.unsqueeze(2)
            logits = log_mixing + self._log_density(dense, posterior)
            assignments = votes.share(logits)
            if self.assignments == "released":
                assignments = assignments * (-log_mixing).exp()
        return assignments

    def settle(self, votes: Votes, couplings: Tensor | None) -> tuple[Tensor, Tensor]:
        """The last update of the posterior; see `BaseRouting.settle`."""
        posterior = self._update(votes, votes.dense(), couplings)
        entropy = (self._log_precision_of_no_entropy - posterior.log_precision) / 2
        logits = self.beta_a - (self.beta_u + posterior.log_mixing.exp() * entropy)
        return posterior.means, logits.sigmoid()

    def _update(self, votes: Votes, dense: Tensor, assignments: Tensor | None) -> Posterior:
        weights, amounts = mixture.weigh(votes, assignments)
        alpha, kappa, nu = (prior + amounts for prior in (self.alpha0, self.kappa0, self.nu0))
        centres = votes.mix(weights)
        kept = amounts / kappa
        scale = self._scale(weights, amounts, self.kappa0 * kept, dense, centres)
        log_mixing = alpha.digamma() - alpha.sum(1, keepdim=True).digamma()
        means = kept.unsqueeze(2) * centres
        return Posterior(means, scale, kappa, nu, self._log_precision(scale, nu), log_mixing)

    def _scale(
        self, weights: Tensor, amounts: Tensor, pull: Tensor, dense: Tensor, centres: Tensor
    ) -> Tensor:
        """Inverse Wishart scale: its diagonal, or its Cholesky factor."""
        apart = dense - centres.unsqueeze(1)
        pull = pull.unsqueeze(2)
        if self.cov == "diag":
            spread = torch.einsum("bji,bije->bje", weights, apart.square())
            return self.psi0 + amounts.unsqueeze(2) * spread + pull * centres.square()
        spread = torch.einsum("bji,bije,bijf->bjef", weights, apart, apart)
        prior = self.psi0 * torch.eye(self.out_dim, dtype=dense.dtype, device=dense.device)
        outer = pull.unsqueeze(3) * centres.unsqueeze(3) * centres.unsqueeze(2)
        return torch.linalg.cholesky(prior + amounts[..., None, None] * spread + outer)

    def _log_precision(self, scale: Tensor, nu: Tensor) -> Tensor:
        orders = torch.arange(self.out_dim, dtype=nu.dtype, device=nu.device)
        digammas = ((nu.unsqueeze(2) - orders) / 2).digamma().sum(2)
        if self.cov == "diag":
            log_determinant = scale.log().sum(2)
        else:
            log_determinant = 2 * scale.diagonal(dim1=2, dim2=3).log().sum(2)
        return digammas + self.out_dim * math.log(2) - log_determinant

    def _log_density(self, dense: Tensor, posterior: Posterior) -> Tensor:
        """Expected log density of each vote, less ``D / 2 log 2 pi``: ``[batch, out, in]``."""
        apart = dense - posterior.means.unsqueeze(1)
        if self.cov == "diag":
            distances = torch.einsum("bije,bje->bji", apart.square(), 1 / posterior.scale)
        else:
            columns = apart.permute(0, 2, 3, 1)
            solved = torch.linalg.solve_triangular(posterior.scale, columns, upper=False)
            distances = solved.square().sum(2)
        widths = self.out_dim / posterior.kappa.unsqueeze(2) + posterior.nu.unsqueeze(2) * distances
        return (posterior.log_precision.unsqueeze(2) - widths) / 2

    def extra_repr(self) -> str:
        """The settings, for ``print(network)``."""
        return (
            f"{super().extra_repr()}, cov={self.cov!r}, alpha0={self.alpha0}, "
            f"kappa0={self.kappa0}, psi0={self.psi0}, nu0={self.nu0}, "
            f"entropy={self.entropy!r}, assignments={self.assignments!r}"
        )
